"""Roles in moto's IAM, with the trust policies that decide who may assume them."""

import json
from collections.abc import Mapping
from typing import Any

from local.aws import LocalAws

Json = dict[str, Any]


def trust_of(account: str, **conditions: Mapping[str, object]) -> Json:
    """A trust policy for `account`, under `conditions` by their operators."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": account},
                "Action": "sts:AssumeRole",
                **({"Condition": conditions} if conditions else {}),
            }
        ],
    }


def create_role(aws: LocalAws, account: str, name: str, trust: Json) -> str:
    """Make the role; its ARN."""
    made = aws.client("iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    return str(made["Role"]["Arn"])

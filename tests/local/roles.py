"""Roles in moto's IAM, with the trust policies that decide who may assume them."""

import json
from collections.abc import Mapping
from typing import Any

import boto3

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


def sts_of(aws: LocalAws, credentials: Mapping[str, str]) -> Any:  # noqa: ANN401 - boto3 makes it
    """A client with credentials as AssumeRole answers them."""
    key, secret, token = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    return boto3.Session(key, secret, token, region_name=aws.region).client("sts", endpoint_url=aws.endpoint_url)


def sts_as(aws: LocalAws, role_arn: str) -> Any:  # noqa: ANN401 - boto3 makes it
    """A client of a function whose execution role this is."""
    found = aws.role_environment(role_arn)
    names = {"AccessKeyId": "ACCESS_KEY_ID", "SecretAccessKey": "SECRET_ACCESS_KEY", "SessionToken": "SESSION_TOKEN"}
    return sts_of(aws, {name: found[f"AWS_{variable}"] for name, variable in names.items()})

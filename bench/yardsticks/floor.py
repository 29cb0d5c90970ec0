"""The floor: the least code that reads the item, judges it and puts one evaluation with boto3. It checks nothing."""

import json
from typing import Any

import boto3

config = boto3.client("config")


def handler(event: dict[str, Any], _context: object) -> None:
    """Answer a change notification of an instance that exists."""
    item = json.loads(event["invokingEvent"])["configurationItem"]
    profile = item["configuration"].get("iamInstanceProfile")
    config.put_evaluations(
        Evaluations=[
            {
                "ComplianceResourceType": item["resourceType"],
                "ComplianceResourceId": item["resourceId"],
                "ComplianceType": "COMPLIANT" if profile else "NON_COMPLIANT",
                "OrderingTimestamp": item["configurationItemCaptureTime"],
            }
        ],
        ResultToken=event["resultToken"],
    )

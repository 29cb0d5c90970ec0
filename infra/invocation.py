"""Who may invoke the function of a region: AWS Config, on behalf of accounts of the organization."""

import json

from aws_cdk import CfnResource
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.limits import RESOURCE_POLICY
from infra.organization_settings import REGIONS_WITHOUT_RESOURCE_POLICY, OrganizationSettings
from infra.rule import CONFIG_PRINCIPAL

_LONGEST_FUNCTION_NAME = 64
"""Lambda's limit; the name itself is made when the function is deployed."""


class OrganizationInvocation(Construct):
    """Lets AWS Config of the organization's accounts invoke `function`.

    One full resource policy, or, where CloudFormation does not have it, a permission for each account; never both, as
    either overwrites the other. `grants` is what a conformance pack must wait for: Config refuses a rule whose function
    it may not invoke.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: OrganizationSettings,
        region: str,
        function: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        self.grants: list[CfnResource] = (
            self._permissions(settings, function)
            if region in REGIONS_WITHOUT_RESOURCE_POLICY
            else [self._policy(settings, region, function)]
        )

    def _policy(
        self, settings: OrganizationSettings, region: str, function: lambda_.IFunction
    ) -> lambda_.CfnResourcePolicy:
        check_size(settings, region)
        return lambda_.CfnResourcePolicy(
            self,
            "Policy",
            resource_arn=function.function_arn,
            policy_document=policy_document(settings, function.function_arn),
        )

    def _permissions(self, settings: OrganizationSettings, function: lambda_.IFunction) -> list[CfnResource]:
        return [
            lambda_.CfnPermission(
                self,
                f"Account{account}",
                action="lambda:InvokeFunction",
                function_name=function.function_arn,
                principal=CONFIG_PRINCIPAL,
                source_account=account,
            )
            for account in settings.invoking_accounts
        ]


def check_size(settings: OrganizationSettings, region: str) -> str:
    """The longest text that the resource policy can get. Raises InvalidSettings if Lambda does not take it."""
    function = f"function:{'n' * _LONGEST_FUNCTION_NAME}"
    longest_arn = f"arn:{settings.partition}:lambda:{region}:{settings.audit_account_id}:{function}"
    return RESOURCE_POLICY.check(
        json.dumps(policy_document(settings, longest_arn), separators=(",", ":")),
        "Let the setting invokeTrust be org, or memberAccounts be fewer",
    )


def policy_document(settings: OrganizationSettings, function_arn: str) -> dict[str, object]:
    """The function's whole resource policy: one statement."""
    condition: dict[str, object] = (
        {"aws:SourceOrgID": settings.organization_id}
        if settings.invoke_trust == "org"
        else {"aws:SourceAccount": settings.invoking_accounts}
    )
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ConfigOfThisOrganization",
                "Effect": "Allow",
                "Principal": {"Service": CONFIG_PRINCIPAL},
                "Action": "lambda:InvokeFunction",
                "Resource": function_arn,
                "Condition": {"StringEquals": condition},
            }
        ],
    }

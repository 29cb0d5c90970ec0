"""What Security Hub itself is told: to suppress AWS Config's own findings, and which insights to show."""

from aws_cdk import aws_securityhub as securityhub
from constructs import Construct

from infra.settings import Settings
from rolecall.findings.identity import ComplianceStatus, generator_id

SUPPRESSION, NOTE_BY = "SUPPRESSED", "rolecall"

RULE_ORDER = 100
"""Among the automation rules of the account, of which Security Hub applies those with lower values first."""

_Filters = securityhub.CfnInsight.AwsSecurityFindingFiltersProperty
_Text = securityhub.CfnInsight.StringFilterProperty


class NativeFindingsSuppressed(Construct):
    """An automation rule for the findings that AWS Config sends by itself, which say less.

    Their title is the name of the Config rule; in a conformance pack it has a suffix. It works on findings that come or
    change from now on, of this account and, in the delegated administrator's home region, of all.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        kind = securityhub.CfnAutomationRule
        kind(
            self,
            "Rule",
            rule_name=f"{settings.stack_name}-native-findings",
            description="rolecall has a finding of its own for what this one of AWS Config says",
            rule_order=RULE_ORDER,
            rule_status="ENABLED",
            criteria=kind.AutomationRulesFindingFiltersProperty(
                product_name=[kind.StringFilterProperty(comparison="EQUALS", value="Config")],
                title=[kind.StringFilterProperty(comparison="PREFIX", value=settings.rule_name)],
            ),
            actions=[
                kind.AutomationRulesActionProperty(
                    type="FINDING_FIELDS_UPDATE",
                    finding_fields_update=kind.AutomationRulesFindingFieldsUpdateProperty(
                        workflow=kind.WorkflowUpdateProperty(status=SUPPRESSION),
                        note=kind.NoteUpdateProperty(
                            text=f"See the finding of {generator_id(settings.rule_name)} for the same instance.",
                            updated_by=NOTE_BY,
                        ),
                    ),
                )
            ],
        )


class Insights(Construct):
    """Where the instances are that fail, and those that are exempt."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        for name, status, attribute in (
            ("FailingByAccount", ComplianceStatus.FAILED, "AwsAccountId"),
            ("FailingByRegion", ComplianceStatus.FAILED, "Region"),
            ("ExemptByAccount", ComplianceStatus.WARNING, "AwsAccountId"),
        ):
            securityhub.CfnInsight(
                self,
                name,
                name=f"{settings.rule_name}: {_WORDS[name]}",
                filters=_Filters(
                    generator_id=[_Text(comparison="EQUALS", value=generator_id(settings.rule_name))],
                    compliance_status=[_Text(comparison="EQUALS", value=status.value)],
                    record_state=[_Text(comparison="EQUALS", value="ACTIVE")],
                ),
                group_by_attribute=attribute,
            )


_WORDS = {
    "FailingByAccount": "failing instances by account",
    "FailingByRegion": "failing instances by region",
    "ExemptByAccount": "exempt instances by account",
}

"""The stacks: the constructs put together, for one account or for an organization."""

from collections.abc import Callable

from aws_cdk import App, CfnOutput, Environment, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import Alarms
from infra.dashboard import RuleDashboard
from infra.evidence import Evidence
from infra.findings import Findings
from infra.findings_alarms import FindingsDashboard
from infra.function import RuleFunction
from infra.guardrail import Guardrail
from infra.home import (
    Aggregator,
    EvaluationsBus,
    ExecutionRole,
    account_bus_name,
    bus_name,
    publishing,
    shared_role,
)
from infra.invocation import OrganizationInvocation
from infra.member_roles import ManagementRole, MemberRoles
from infra.metrics import RuleMetrics
from infra.organization_settings import OrganizationSettings
from infra.pack import AccountPack, OrganizationPack
from infra.package import EVIDENCE, FINDINGS, RULE, Contents
from infra.rule import ConfigRule
from infra.security_hub import Insights, NativeFindingsSuppressed
from infra.settings import Settings
from infra.topic import alarm_topic

_EVIDENCE = "a ledger of all verdicts, and a signed package of every day"
_SECURITY_HUB = "what Security Hub is told about findings of AWS Config, and its insights"
_SUBJECT = "every EC2 instance carries an IAM instance profile, or a documented reason not to"


def add_stacks(app: App, settings: Settings, code: Callable[[Contents], lambda_.Code]) -> None:
    """Add to `app` the stacks of the mode that `settings` are for. `code` makes a package for one stack."""
    if isinstance(settings, OrganizationSettings):
        _add_organization(app, settings, code)
    else:
        account = AccountStack(app, settings=settings, code=code)
        if _has_security_hub_stack(settings):
            # Of its own: Security Hub has to be on before, and where findings are aggregated it may be elsewhere.
            hub = Stack(
                app,
                f"{settings.stack_name}-SecurityHub",
                description=f"rolecall: {_SECURITY_HUB}",
                analytics_reporting=False,
            )
            _tell_security_hub(hub, settings)
        if settings.evidence:
            evidence = Stack(
                app, f"{settings.stack_name}-Evidence", description=f"rolecall: {_EVIDENCE}", analytics_reporting=False
            )
            bus = settings.event_bus or account_bus_name(settings)
            Evidence(evidence, "Evidence", settings=settings, bus_name=bus, code=code(EVIDENCE))
            evidence.add_stack_dependency(account)


class AccountStack(Stack):
    """Rolecall for one account and region, whichever they are: the stack is synthesized without knowing them.

    `code` makes a deployment package.
    """

    def __init__(self, scope: Construct, *, settings: Settings, code: Callable[[Contents], lambda_.Code]) -> None:
        super().__init__(
            scope,
            settings.stack_name,
            description=f"rolecall: {_SUBJECT}",
            # Its resource would only tell AWS which CDK was used.
            analytics_reporting=False,
        )
        bus, findings = settings.event_bus, None
        if settings.security_hub or settings.evidence:
            bus = bus or self._own_bus(settings)
        if settings.security_hub and bus:
            findings = Findings(self, "Findings", settings=settings, code=code(FINDINGS), bus=bus)
        function = RuleFunction(self, "RuleFunction", settings=settings, code=code(RULE), bus=bus)
        rule: Construct = (
            AccountPack(self, "ConformancePack", settings=settings, function=function.function)
            if settings.conformance_pack
            else ConfigRule(self, "ConfigRule", settings=settings, function=function.function)
        )
        if findings:
            # As soon as there is a rule, there are records; those that come before the queue are lost to findings.
            rule.node.add_dependency(findings.queue)
        _watch(self, settings, function, findings)

    def _own_bus(self, settings: Settings) -> str:
        name = account_bus_name(settings)
        return EvaluationsBus(self, "EvaluationsBus", name=name, description="Evaluation records of rolecall").name


class OrganizationStack(Stack):
    """A stack of an organization's deployment; unlike that of one account, it knows where it belongs."""

    def __init__(  # noqa: PLR0913  # what it is called, where it belongs, what it is for
        self,
        scope: Construct,
        suffix: str,
        *,
        settings: OrganizationSettings,
        account: str,
        region: str | None = None,
        description: str,
    ) -> None:
        super().__init__(
            scope,
            f"{settings.stack_name}-{suffix}",
            env=Environment(account=account, region=region or settings.home_region),
            description=f"rolecall: {description}",
            analytics_reporting=False,
        )


class RuleStack(OrganizationStack):
    """One region of an organization, in the audit account: the function, and the pack that has it invoked."""

    def __init__(self, scope: Construct, *, settings: OrganizationSettings, region: str, code: lambda_.Code) -> None:
        super().__init__(
            scope,
            f"Rule-{region}",
            settings=settings,
            account=settings.audit_account_id,
            region=region,
            description=_SUBJECT,
        )
        function = RuleFunction(self, "RuleFunction", settings=settings, code=code, shared=shared_role(settings))
        invocation = OrganizationInvocation(
            self, "Invocation", settings=settings, region=region, function=function.function
        )
        OrganizationPack(
            self,
            "ConformancePack",
            settings=settings,
            region=region,
            function=function.function,
            grants=invocation.grants,
        )
        _watch(self, settings, function)


class FindingsStack(OrganizationStack):
    """The home region of an organization, in the audit account: the findings of all accounts and regions."""

    def __init__(self, scope: Construct, *, settings: OrganizationSettings, code: lambda_.Code) -> None:
        super().__init__(
            scope,
            "Findings",
            settings=settings,
            account=settings.audit_account_id,
            description="Security Hub findings in every account and region",
        )
        findings = Findings(
            self, "Findings", settings=settings, code=code, bus=bus_name(settings), publishing=publishing(settings)
        )
        alarms, rows = findings.watch(alarm_topic(self, "AlarmTopic", settings=settings))
        if settings.dashboard:
            FindingsDashboard(self, "Dashboard", settings=settings, alarms=alarms, rows=rows)


def _add_organization(app: App, settings: OrganizationSettings, code: Callable[[Contents], lambda_.Code]) -> None:
    """The order of deployment is that of the stacks' dependencies: whatever a function needs is there before a rule."""
    home = OrganizationStack(
        app,
        "Home",
        settings=settings,
        account=settings.audit_account_id,
        description="the functions' role, the evaluations bus and the aggregator of an organization",
    )
    EvaluationsBus(
        home,
        "EvaluationsBus",
        name=bus_name(settings),
        description="Evaluation records of rolecall, from all regions",
    )
    ExecutionRole(home, "ExecutionRole", settings=settings)
    Aggregator(home, "Aggregator", settings=settings)
    roles = OrganizationStack(
        app,
        "MemberRoles",
        settings=settings,
        account=settings.audit_account_id,
        description="the roles by which evaluations and findings are reported, in every member account",
    )
    MemberRoles(roles, "MemberRoles", settings=settings)
    before_rules = [home, roles]
    if settings.include_management_account:
        management = OrganizationStack(
            app,
            "ManagementRole",
            settings=settings,
            account=settings.management_account_id,
            description="the roles by which evaluations and findings are reported, in the management account",
        )
        ManagementRole(management, "ManagementRole", settings=settings)
        before_rules.append(management)
    if settings.security_hub:
        findings = FindingsStack(app, settings=settings, code=code(FINDINGS))
        for stack in before_rules:
            findings.add_stack_dependency(stack)
        # A record that comes before the findings' queue is lost to them.
        before_rules.append(findings)
    if settings.evidence:
        evidence = OrganizationStack(
            app, "Evidence", settings=settings, account=settings.audit_account_id, description=_EVIDENCE
        )
        Evidence(evidence, "Evidence", settings=settings, bus_name=bus_name(settings), code=code(EVIDENCE))
        for stack in (home, roles):
            evidence.add_stack_dependency(stack)
        # As above: lost to the ledger.
        before_rules.append(evidence)
    if _has_security_hub_stack(settings):
        hub = OrganizationStack(
            app, "SecurityHub", settings=settings, account=settings.audit_account_id, description=_SECURITY_HUB
        )
        _tell_security_hub(hub, settings)
    if settings.guardrail:
        guardrail = OrganizationStack(
            app,
            "Guardrail",
            settings=settings,
            account=settings.management_account_id,
            description="who may exempt instances",
        )
        Guardrail(guardrail, "Guardrail", settings=settings)
    for region in settings.regions:
        rule = RuleStack(app, settings=settings, region=region, code=code(RULE))
        for stack in before_rules:
            rule.add_stack_dependency(stack)


def _has_security_hub_stack(settings: Settings) -> bool:
    return settings.security_hub and (settings.insights or settings.suppress_native_findings)


def _tell_security_hub(stack: Stack, settings: Settings) -> None:
    if settings.suppress_native_findings:
        NativeFindingsSuppressed(stack, "NativeFindings", settings=settings)
    if settings.insights:
        Insights(stack, "Insights", settings=settings)


def _watch(stack: Stack, settings: Settings, function: RuleFunction, findings: Findings | None = None) -> None:
    """Alarms, dashboard and outputs."""
    metrics = RuleMetrics(settings.rule_name)
    topic = alarm_topic(stack, "AlarmTopic", settings=settings)
    every = [*Alarms(stack, "Alarms", settings=settings, function=function, metrics=metrics, topic=topic).every]
    rows: list[list[cloudwatch.IWidget]] = []
    if findings:
        alarms, rows = findings.watch(topic)
        every += alarms.every
    if settings.dashboard:
        RuleDashboard(
            stack, "Dashboard", settings=settings, function=function, metrics=metrics, alarms=every, further=rows
        )
    CfnOutput(stack, "RuleName", value=settings.rule_name, description="The AWS Config rule")
    CfnOutput(stack, "FunctionName", value=function.function.function_name, description="The rule's function")
    CfnOutput(stack, "LogGroupName", value=function.log_group.log_group_name, description="The function's log group")
    CfnOutput(stack, "DeadLetterQueueUrl", value=function.dead_letters.queue_url, description="Events given up")
    if topic:
        CfnOutput(stack, "AlarmTopicArn", value=topic.topic_arn, description="Subscribe to this topic for alarms")

"""Three accounts of an organization in a local AWS, with all that the synthesized stacks deploy.

Rule and evidence functions run under AWS's runtime client, from their own packages and with the credentials of their
own roles; the roles of the members come from the StackSet, the rules from the conformance pack, the aggregator from the
home stack, and records go over the bus through Firehose. The state machine is that of the template.
"""

from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta

from local.aws import LocalAws
from local.config_service import ConfigService as LocalConfig
from local.deployment import Deployment
from local.evidence_deployment import EvidenceDeployment
from local.invocations import Outcome
from local.organization import Organization, read_organization
from local.state_machine import Execution
from tests.builders import Json, iso
from tests.evidence.living_organization import HOME, LivingOrganization
from tests.infra.organization import EXAMPLE
from tests.local.synthesized import packaged_assembly

SETTINGS: Json = {**EXAMPLE, "regions": HOME, "securityHub": False, "evidence": True}
"""Those of the example organization, in one region."""

TIME_SCALE = 0.001
NOON = time(12)


class DeployedOrganization(LivingOrganization):
    """It runs until it is closed."""

    regions = (HOME,)

    def __init__(self, first_day: date) -> None:
        self.now = datetime.combine(first_day, time(), UTC)
        self._rule_day: date | None = None
        cdk_out = packaged_assembly(**SETTINGS)
        assembly = read_organization(cdk_out)
        self.executions: dict[date, Execution] = {}
        """The first one of each day."""
        with ExitStack() as started:
            config = LocalConfig(clock=lambda: round(self.now.timestamp() * 1000))
            self.aws = started.enter_context(LocalAws(assembly.audit_account, assembly.region, config=config))
            self._rule = started.enter_context(Deployment(self.aws, cdk_out, time_scale=TIME_SCALE))
            self._evidence = started.enter_context(
                EvidenceDeployment(self.aws, cdk_out, clock=lambda: self.now, time_scale=TIME_SCALE)
            )
            self._organization = Organization(self.aws, assembly)
            first, second, self.closed = self.found()
            self.accounts = (assembly.audit_account, first, second)
            self._rules = {account: self._organization.join(account) for account in self.accounts}
            for account in (first, second):
                self.give_role(account)
            self._organization.aggregate()
            self.become(self.now)
            self._running = started.pop_all()
        self.ledger, self.packages = self._evidence.bucket("Ledger"), self._evidence.bucket("Packages")
        self.signing_key = self._evidence.key_arn

    def close(self) -> None:
        """Stop it."""
        self._running.close()

    def rule(self, account: str) -> str:
        """The rule's name there, which the pack has given to it."""
        return self._rules[account]

    def give_role(self, account: str) -> None:
        """The StackSet gets to the account."""
        self._organization.roll_out_role(account)

    def become(self, moment: datetime) -> None:
        """It becomes that time; for the rule's function it is noon all day: each change costs a new process."""
        if self._rule_day != moment.date():
            self._rule.runtime.set_clock(datetime.combine(moment, NOON, UTC))
            self._rule_day = moment.date()
        super().become(moment)

    def settle(self) -> None:
        """One event after the other: one process is enough for them. None may be in vain."""
        self._rule.wait_idle()
        assert all(entry.outcome is Outcome.SUCCEEDED for entry in self._rule.invocations.journal)

    def deliver(self, day: date) -> None:
        """From the bus through Firehose."""
        assert self.now.date() == day
        self._evidence.relay.deliver()

    def run(self, day: date) -> Json:
        """The state machine, started as its schedule does."""
        scheduled = datetime.combine(day + timedelta(days=1), time(1), UTC)
        execution = self._evidence.state_machine.run({"scheduledTime": iso(scheduled)})
        self.executions.setdefault(day, execution)
        assert (execution.status, execution.cause) == ("SUCCEEDED", None)
        answer: Json = execution.output
        return answer

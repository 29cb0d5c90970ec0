"""Collecting evidence in the account that some credentials belong to. For the command line alone."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import partial
from typing import Any

from rolecall import __version__
from rolecall.aws.clients import Deadline, calling
from rolecall.aws.evidence_account import EvidenceAccount
from rolecall.aws.evidence_sources import AccountEvidence, CredentialReports
from rolecall.evidence.comparing import RuleDefinition
from rolecall.evidence.plan import Deployed, Plan, ShardItem, plan_account
from rolecall.parameters import RuleParameters


class CollectingAccount(EvidenceAccount):
    """Credentials for collecting: they read AWS Config, and IAM's credential report. Everything raises ServiceError."""

    @contextmanager
    def collection(self, rule_name: str, regions: Sequence[str]) -> Iterator["Collection"]:
        """What is asked of the account, in these regions; the first of them is its home."""
        with ExitStack() as opened:

            def made(service: str, region: str) -> Any:  # noqa: ANN401 - made by boto3
                return opened.enter_context(self._client(service, region))

            configs = {region: made("config", region) for region in regions}
            with calling("GetCallerIdentity"):
                account = str(made("sts", regions[0]).get_caller_identity()["Account"])
            deadline = Deadline()
            reports = partial(CredentialReports, made("iam", regions[0]), deadline)
            own_rule = RuleDefinition(rule_name, None, RuleParameters())
            yield Collection(account, regions, AccountEvidence(own_rule, configs.__getitem__, reports, deadline))


class Collection:
    """One account in its regions."""

    def __init__(self, account: str, regions: Sequence[str], evidence: AccountEvidence) -> None:
        self._account = account
        self._regions = regions
        self.evidence = evidence

    def plan(self, day: date) -> Plan:
        """Every region becomes a shard. Parameters are those of the first region that has the rule.

        Raises ServiceError, InvalidParameter.
        """
        deployed = Deployed(
            day=day,
            home_region=self._regions[0],
            rule_name=self.evidence.own_rule_name,
            parameters=self._parameters(day).to_strings(),
            rolecall_version=__version__,
        )
        return plan_account(deployed, self._account, self._regions)

    def _parameters(self, day: date) -> RuleParameters:
        for region in self._regions:
            for rule in self.evidence.rules(ShardItem(day, self._account, region)).values():
                return rule.parameters
        return RuleParameters()

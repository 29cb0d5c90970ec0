"""What the evidence functions find in their environment.

ROLECALL_LEDGER_BUCKET     ledger, plans and shards
ROLECALL_PACKAGES_BUCKET   packages, below packages/; seal alone
ROLECALL_SIGNING_KEY       id, ARN or alias of the KMS key; seal alone
ROLECALL_OLDER_KEYS        comma-separated ARNs of the keys that it took the place of; default: none; seal alone
ROLECALL_LOCK_MODE         GOVERNANCE or COMPLIANCE; empty, or without days: no lock; seal alone
ROLECALL_LOCK_DAYS         how many days an object is locked; seal alone
ROLECALL_RULE_NAME         the rule's own name; default: POWERTOOLS_SERVICE_NAME
ROLECALL_RULE_PARAMETERS   its parameters as deployed, as JSON: no aggregator knows them; default: none
ROLECALL_AGGREGATOR        name of the aggregator in the home region; empty: there is one account, our own
ROLECALL_COLLECTOR_ROLE    name of the role in each account
ROLECALL_REGIONS           comma-separated; default: the home region
ROLECALL_HOME_REGION       default: AWS_REGION
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property
from typing import Any

from rolecall import __version__
from rolecall.aws.aggregator import Aggregator
from rolecall.aws.clients import Deadline, client, own_session
from rolecall.aws.evidence_sources import (
    AccountEvidence,
    CredentialReports,
    OrganizationEvidence,
    Recorders,
    aggregated_sources,
    organization_accounts,
)
from rolecall.aws.member_sessions import MemberServices
from rolecall.aws.object_store import LockMode, ObjectStore, Retention
from rolecall.aws.signing_key import OlderKey, SigningKey
from rolecall.errors import InvalidSetting
from rolecall.evidence.comparing import RuleDefinition
from rolecall.evidence.plan import Deployed, Plan, plan_account, plan_organization
from rolecall.evidence.steps import PACKAGES, ledger_keys
from rolecall.parameters import parse_parameters

SESSION_NAME = "rolecall-evidence"
"""What CloudTrail in the member account shows beside the collector role."""


class EvidenceEnvironment:
    """Makes what a step needs, once. Raises InvalidSetting, and KeyError for a name that must be there."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.deadline = Deadline()
        self._session = own_session()
        self._account = self._partition = ""
        self._clients: dict[tuple[str, str], Any] = {}
        self._members: list[Callable[[str], None]] = []

    def started(self, function_arn: str, seconds: float) -> None:
        """An invocation of our function begins, and has to end in `seconds`."""
        self.deadline.set(seconds)
        _, self._partition, _, _, self._account, *_ = function_arn.split(":")
        for belong_to in self._members:
            belong_to(function_arn)

    @property
    def home_region(self) -> str:
        """Where the buckets are, and the aggregator."""
        return self._environ.get("ROLECALL_HOME_REGION") or self._environ["AWS_REGION"]

    @cached_property
    def rule(self) -> RuleDefinition:
        """The rule as deployed, under its own name."""
        name = self._environ.get("ROLECALL_RULE_NAME") or self._environ["POWERTOOLS_SERVICE_NAME"]
        return RuleDefinition(name, None, parse_parameters(self._environ.get("ROLECALL_RULE_PARAMETERS")))

    @cached_property
    def working_store(self) -> ObjectStore:
        """Ledger, plans and shards."""
        return ObjectStore(self._client("s3"), self._environ["ROLECALL_LEDGER_BUCKET"], deadline=self.deadline)

    @cached_property
    def packages(self) -> ObjectStore:
        """All packages; what is written is locked."""
        bucket = self._environ["ROLECALL_PACKAGES_BUCKET"]
        return ObjectStore(self._client("s3"), bucket, PACKAGES, self.retention, deadline=self.deadline)

    @cached_property
    def signer(self) -> SigningKey:
        """Signs packages."""
        return SigningKey(self._client("kms"), self._environ["ROLECALL_SIGNING_KEY"])

    @cached_property
    def older_keys(self) -> tuple[OlderKey, ...]:
        """Those that may have signed the package before."""
        return tuple(OlderKey(self._client("kms"), key) for key in self._listed("ROLECALL_OLDER_KEYS"))

    @cached_property
    def evidence(self) -> OrganizationEvidence | AccountEvidence:
        """Whom to ask about shards; `started` comes first."""
        if not self._aggregator:
            reports = CredentialReports(self._client("iam"), self.deadline)
            return AccountEvidence(
                self.rule, lambda region: self._client("config", region), lambda: reports, self.deadline
            )
        recorders = self._services("config", lambda made, _account, _region: Recorders(made))
        reports_of = self._services("iam", lambda made, _account, _region: CredentialReports(made, self.deadline))
        return OrganizationEvidence(self._aggregator, self.rule, recorders.of, reports_of.of)

    def plan(self, day: date) -> Plan:
        """What `day` covers, as far as can be seen now. Raises ServiceError, OutOfTime."""
        regions = self._listed("ROLECALL_REGIONS") or (self.home_region,)
        deployed = Deployed(
            day=day,
            home_region=self.home_region,
            rule_name=self.rule.name,
            parameters=self.rule.parameters.to_strings(),
            rolecall_version=__version__,
            ledger_keys=ledger_keys(self.working_store, day),
        )
        if not self._aggregator:
            return plan_account(deployed, self._account, regions)
        accounts = organization_accounts(self._client("organizations"), self.deadline)
        sources = aggregated_sources(self._aggregator)
        return plan_organization(deployed, accounts, sources, regions, self._aggregator.rules(self.rule.name))

    def _listed(self, name: str) -> tuple[str, ...]:
        return tuple(self._environ.get(name, "").replace(",", " ").split())

    @cached_property
    def _aggregator(self) -> Aggregator | None:
        name = self._environ.get("ROLECALL_AGGREGATOR", "")
        return Aggregator(self._client("config"), name, self.deadline) if name else None

    def _services(self, service: str, serving: Callable[[Any, str, str], Any]) -> "MemberServices[Any]":
        role = self._environ["ROLECALL_COLLECTOR_ROLE"]
        own = self._client(service)
        made = MemberServices(role, self._session, own, self.deadline, serving, session_name=SESSION_NAME)
        made.belong_to(f"arn:{self._partition}:lambda:{self.home_region}:{self._account}:function")
        self._members.append(made.belong_to)
        return made

    def _client(self, service: str, region: str | None = None) -> Any:  # noqa: ANN401 - made by boto3
        place = service, region or self.home_region
        if place not in self._clients:
            self._clients[place] = client(service, self.deadline, self._session, region=place[1])
        return self._clients[place]

    @property
    def retention(self) -> Retention | None:
        """How long what is written to the packages is locked. Raises InvalidSetting."""
        mode, days = (self._environ.get(f"ROLECALL_LOCK_{name}", "") for name in ("MODE", "DAYS"))
        if not mode or not days:
            return None
        if mode not in LockMode.__members__:
            raise InvalidSetting("ROLECALL_LOCK_MODE", mode, ", ".join(LockMode))
        if not days.isdecimal() or not int(days):
            raise InvalidSetting("ROLECALL_LOCK_DAYS", days, "a whole number above 0")
        return Retention(LockMode(mode), int(days))

"""One run of `rolecall doctor`: what to look at, many regions at once, and one thing that fails stops no other."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial

from rolecall.aws.preflight import READS, Preflight
from rolecall.cli import checks_of_organizations as organizations
from rolecall.cli import checks_of_regions as regional
from rolecall.cli.checks_of_organizations import SERVICES, Answer, Kind, Mode
from rolecall.cli.diagnosis import Diagnosis, cannot_tell, ok, problem
from rolecall.errors import AwsError, ServiceError

THREADS = 8
"""Calls at once: 30 regions take seconds, and no API's rate limit is near."""

_REFUSALS = frozenset(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])

Look = Callable[[], Sequence[Diagnosis]]


class Examination:
    """Of one account: `look_around` first, then `run`."""

    def __init__(self, account: Preflight, rule: str, prefix: str, regions: Sequence[str], home: str) -> None:
        self._reads = account
        self._rule = rule
        self._prefix = prefix
        self._regions = regions
        self._home = home
        self._organization: Answer | None = None
        self._standing: list[Diagnosis] = []
        self.account = ""
        self.partition = ""
        self.kind = Kind.UNKNOWN
        self.mode = Mode.ACCOUNT

    def look_around(self, mode: Mode | None) -> None:
        """Find out whose credentials these are, and what the account is. Raises AwsError without credentials."""
        self.account, self.partition = self._reads.identity(self._home)
        self._standing = self._attempt("account", "organization", self._stand)
        by_itself = self.kind in (Kind.MANAGEMENT, Kind.DELEGATED)
        self.mode = mode or (Mode.ORGANIZATION if by_itself else Mode.ACCOUNT)
        if self.kind is Kind.ALONE and self.mode is Mode.ORGANIZATION:
            create = "aws organizations create-organization --feature-set ALL"
            says = f"{self.account} is {self.kind.value}, which mode organization needs"
            self._standing = [problem("account", "organization", says, create, organizations.MANAGEMENT)]

    @property
    def size(self) -> int:
        """How often `run` says that it came further."""
        return len(self._looks())

    def run(self, advance: Callable[[int], None]) -> list[Diagnosis]:
        """Look at everything; `advance` is called after each look. In a fixed order."""
        looks = self._looks()
        with ThreadPoolExecutor(THREADS) as pool:
            futures: list[Future[Sequence[Diagnosis]]] = [pool.submit(look) for look in looks]
            for _ in as_completed(futures):
                advance(1)
        return [*self._standing, *(found for future in futures for found in future.result())]

    def _looks(self) -> list[Look]:
        looks: list[Look] = []
        if self.mode is Mode.ORGANIZATION and self.kind is not Kind.ALONE:
            looks += self._looks_at_organization()
        if self.mode is Mode.ACCOUNT or self.kind is not Kind.MANAGEMENT:
            looks += [partial(self._region, region) for region in self._regions]
        return looks

    def _stand(self) -> list[Diagnosis]:
        self._organization = self._reads.organization(self._home)
        services: list[str] = []
        if self._organization and self._organization.get("MasterAccountId") != self.account:
            try:
                services = self._reads.delegated_services(self._home, self.account)
            except ServiceError as error:
                if error.code not in _REFUSALS:
                    raise
        self.kind = organizations.kind_of(self.account, self._organization, services)
        return [ok("account", "organization", organizations.standing(self.account, self.kind, self._organization))]

    def _looks_at_organization(self) -> list[Look]:
        looks: list[Look] = [self._features]
        looks += [partial(self._delegation, principal) for principal in SERVICES]
        looks += [self._trusted_access, self._activation, self._member_roles]
        return looks if self.kind is Kind.MANAGEMENT else [*looks, self._aggregator]

    def _features(self) -> list[Diagnosis]:
        if self._organization is None:
            return []  # the first line says why nothing is known
        return [organizations.check_features(self._organization)]

    def _delegation(self, principal: str) -> list[Diagnosis]:
        check = f"delegation of {SERVICES[principal]}"
        administrators = partial(self._reads.delegated_administrators, self._home)

        def look() -> list[Diagnosis]:
            wanted = {self.account}
            if self.kind is Kind.MANAGEMENT:  # whoever has the conformance packs is to have the rest
                wanted = {str(one["Id"]) for one in administrators(next(iter(SERVICES)))}
            try:
                found = administrators(principal)
            except ServiceError as error:
                if error.code not in _REFUSALS or self.kind in (Kind.MANAGEMENT, Kind.DELEGATED):
                    raise
                return [organizations.delegation_unknown(principal, self.account, error.code)]
            return [organizations.check_delegation(principal, found, wanted)]

        return self._attempt(check, "organization", look)

    def _trusted_access(self) -> list[Diagnosis]:
        def look() -> list[Diagnosis]:
            trusted = self._reads.trusted_services(self._home)
            return [organizations.check_trusted_access(principal, trusted) for principal in SERVICES]

        return self._attempt("trusted access", "organization", look)

    def _activation(self) -> list[Diagnosis]:
        return self._attempt(
            organizations.ACTIVATED,
            "organization",
            lambda: [organizations.check_stack_sets_access(self._reads.stack_sets_access(self._home, self._call_as))],
        )

    def _member_roles(self) -> list[Diagnosis]:
        def look() -> list[Diagnosis]:
            names = self._reads.stack_set_names(self._home, self._call_as)
            names = [name for name in names if self._is_ours(name)]
            if not names:
                return [organizations.no_stack_set(self._prefix, self._home)]
            members = self._members()
            found: list[Diagnosis] = []
            for name in names:
                stack_set = self._reads.stack_set(self._home, self._call_as, name)
                instances = self._reads.stack_instances(self._home, self._call_as, name)
                roles = organizations.MemberRoles(stack_set, instances, members, self._home, self._call_as)
                found += roles.check()
            return found

        return self._attempt(organizations.ROLES, self._home, look)

    def _members(self) -> set[str]:
        management = (self._organization or {}).get("MasterAccountId")
        accounts = self._reads.accounts(self._home)
        return {str(one["Id"]) for one in accounts if one.get("Status") == "ACTIVE" and one["Id"] != management}

    def _aggregator(self) -> list[Diagnosis]:
        def look() -> list[Diagnosis]:
            aggregators = self._reads.aggregators(self._home)
            best = organizations.widest(aggregators, self._regions)
            whole = organizations.check_aggregator(best, self._regions, self._home, self.account, self.partition)
            if best is None:
                return [whole]
            name = str(best["ConfigurationAggregatorName"])
            sources = self._attempt(
                organizations.SOURCES,
                self._home,
                lambda: [organizations.check_sources(self._reads.failed_sources(self._home, name), name, self._home)],
            )
            return [whole, *sources]

        return self._attempt(organizations.AGGREGATOR, self._home, look)

    def _region(self, region: str) -> list[Diagnosis]:
        reads = self._reads
        packed = self.mode is Mode.ORGANIZATION and self.kind is not Kind.ALONE
        return [
            *self._attempt(
                "recorder",
                region,
                lambda: regional.check_recorder(reads.recorders(region), region, self.account, self.partition),
            ),
            *self._attempt(
                "delivery channel", region, lambda: [regional.check_delivery(reads.delivery_channels(region), region)]
            ),
            *(self._attempt("conformance pack", region, lambda: [self._pack(region)]) if packed else ()),
            *self._attempt("rule", region, lambda: self._rule_and_function(region)),
            *self._attempt("Security Hub", region, lambda: [regional.check_hub(reads.hub(region), region)]),
        ]

    def _rule_and_function(self, region: str) -> list[Diagnosis]:
        rules = regional.rolecall_rules(self._reads.rules(region), self._rule)
        organization = self.mode is Mode.ORGANIZATION
        found = [regional.check_rule(rules, self._rule, region, organization=organization)]
        if len(rules) == 1:
            name = str(rules[0]["ConfigRuleName"])
            found += self._attempt("results", region, lambda: [self._results(region, name)])
        if regional.function_account(rules) in (None, self.account):
            # The function is here, or nobody can say where: without a rule, its runs would only repeat the problem.
            if rules:
                found += self._attempt("scheduled run", region, lambda: [self._runs(region)])
            found += self._attempt(
                "concurrency",
                region,
                lambda: [regional.check_concurrency(self._reads.concurrency(region), region)],
            )
        return found

    def _pack(self, region: str) -> Diagnosis:
        packs = self._reads.packs(region)
        ours = [pack for pack in packs if self._is_ours(pack["OrganizationConformancePackName"])]
        pack = min(ours, key=lambda pack: str(pack["Status"]).endswith("_SUCCESSFUL"), default=None)
        failed = pack is not None and str(pack["Status"]).endswith("_FAILED")
        accounts = self._reads.pack_accounts(region, pack["OrganizationConformancePackName"]) if pack and failed else []
        return regional.check_pack(self._prefix, pack, accounts, region)

    def _is_ours(self, name: str) -> bool:
        return name.lower().startswith(self._prefix.lower())

    def _results(self, region: str, rule: str) -> Diagnosis:
        compliance = self._reads.compliance_of(region, rule)
        return regional.check_results(compliance, self._reads.recorded_instances(region), rule, region)

    def _runs(self, region: str) -> Diagnosis:
        points = self._reads.completed_runs(region, self._rule, regional.RUN_HOURS)
        return regional.check_runs(points, self._rule, self._prefix, region)

    @property
    def _call_as(self) -> str:
        return "SELF" if self.kind is Kind.MANAGEMENT else "DELEGATED_ADMIN"

    def _attempt(self, check: str, where: str, look: Look) -> list[Diagnosis]:
        """What `look` finds; a call that fails is a line that cannot be told, and stops nothing else."""
        try:
            return list(look())
        except AwsError as error:
            return [cannot_tell(check, where, str(error), self._mend(error))]

    @staticmethod
    def _mend(error: AwsError) -> str:
        if isinstance(error, ServiceError) and error.code in _REFUSALS:
            return f"allow {READS[error.operation]}:{error.operation} to these credentials"
        return "mend what the message says, then run this again"

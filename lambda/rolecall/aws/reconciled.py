"""What `rolecall findings reconcile` compares, in one account or an organization. It reads, and publishes records.

Both kinds of scope answer the same questions: where there is a copy of the rule and what AWS Config recorded for it,
which findings Security Hub shows, and what is known of the instances.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from rolecall.aws.aggregator import SUCCEEDED, AggregatedRule, Aggregator, SourceStatus
from rolecall.aws.clients import Deadline, calling
from rolecall.aws.config_service import ConfigService
from rolecall.aws.evaluations_bus import EvaluationsBus, region_of
from rolecall.aws.live import LiveAccount, NotRecording, check_recorder
from rolecall.aws.paging import pages
from rolecall.aws.security_hub import SecurityHub
from rolecall.errors import AwsError, ServiceError
from rolecall.findings.identity import generator_id, product_arn
from rolecall.findings.reconciling import ACCOUNT_LAG, AGGREGATOR_LAG
from rolecall.findings.shown import Place
from rolecall.items import partition_of
from rolecall.model import INSTANCE_TYPE, ConfigurationItem
from rolecall.parameters import RuleParameters, parse_parameters
from rolecall.received_record import PACK_SUFFIX
from rolecall.recorded_results import RecordedResult

_UNKNOWN_RESOURCE = ("ResourceNotDiscoveredException", "EmptyHistory")
"""GetResourceConfigHistory of what AWS Config does not know."""


class RuleNotFound(AwsError):
    """There is no such rule, or more than one copy of it."""


class ListingUnproven(AwsError):
    """What AWS Config shows of an account and region says nothing about now."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One copy of the rule, and how to read what AWS Config recorded for it."""

    place: Place
    rule_name: str
    """As AWS Config knows it: in a conformance pack with a suffix."""
    rule_arn: str | None
    """None where an aggregator does not tell it."""
    unproven: str
    """Why the results may not be all; empty where nothing speaks against it."""
    results: Callable[[], Iterator[RecordedResult]]
    """Raises ServiceError."""


class OneRegion:
    """One account in one region. Every method raises AwsError."""

    lag = ACCOUNT_LAG

    def __init__(self, config: Any, hub: SecurityHub, place: Place, rule_name: str) -> None:  # noqa: ANN401 - made by boto3
        self.place = place
        self._client = config
        self._config = ConfigService(config, Deadline())
        self._hub = hub
        self._rule_name = rule_name
        self._rule: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """As people are told."""
        return str(self.place)

    def own_rule_name(self) -> str:
        """Without what a conformance pack adds."""
        return self._rule_name.partition(PACK_SUFFIX)[0]

    def parameters(self) -> RuleParameters:
        """The rule's own. Raises InvalidParameter, too."""
        return parse_parameters(self._found().get("InputParameters"))

    def unreadable(self) -> Iterator[tuple[Place, str]]:
        """Nothing: what cannot be read here is raised."""
        return iter(())

    def listings(self) -> Iterator[Listing]:
        """The one copy of the rule. Raises ListingUnproven and RuleNotFound, too."""
        try:
            check_recorder(self._client)
        except NotRecording as error:
            unproven = f"{error.why}, so its results may be old, and nothing can be held against them"
            raise ListingUnproven(unproven) from None
        rule = self._found()
        name = rule["ConfigRuleName"]
        yield Listing(self.place, name, rule["ConfigRuleArn"], "", partial(self._config.recorded_results, name))

    def findings(self) -> Iterator[Mapping[str, Any]]:
        """The rule's active findings here."""
        partition = partition_of(None, self.place.region)
        return self._hub.findings(
            _active(self.own_rule_name())
            | _equals("ProductArn", product_arn(partition, self.place.region, self.place.account))
        )

    def instance_rows(self) -> Iterator[object]:
        """Every recorded instance, as a row of a query."""
        return self._config.instance_rows()

    def newest_item(self, resource_id: str) -> ConfigurationItem | None:
        """The newest item of an instance; None where AWS Config knows none. Raises InvalidItem, too."""
        try:
            return self._config.newest_item(INSTANCE_TYPE, resource_id)
        except ServiceError as error:
            if error.code in _UNKNOWN_RESOURCE:
                return None
            raise

    def _found(self) -> Mapping[str, Any]:
        if self._rule is None:
            self._rule = _one_of(_rules(self._client, self._rule_name), self._rule_name, self.name)
        return self._rule


class Organization:
    """All that one configuration aggregator collects from. Every method raises AwsError."""

    lag = AGGREGATOR_LAG

    def __init__(
        self,
        config: Any,  # noqa: ANN401 - made by boto3
        hub: SecurityHub,
        aggregator: str,
        rule_name: str,
        parameters: RuleParameters | None,
    ) -> None:
        self._client = config
        self._aggregator = Aggregator(config, aggregator, Deadline())
        self._hub = hub
        self._name = aggregator
        self._rule_name = rule_name
        self._parameters = parameters
        self._sources: dict[Place, SourceStatus] | None = None

    @property
    def name(self) -> str:
        """As people are told."""
        return f"aggregator {self._name}"

    def own_rule_name(self) -> str:
        """Without what a conformance pack adds."""
        return self._rule_name.partition(PACK_SUFFIX)[0]

    def parameters(self) -> RuleParameters:
        """Those that were given, else those of the copy in the aggregator's own account and region.

        Raises RuleNotFound, InvalidParameter, too.
        """
        if self._parameters is None:
            rules = _rules(self._client, self.own_rule_name())
            if not rules:
                raise RuleNotFound(
                    f"an aggregator does not tell a rule's parameters, and its own account and region has no copy of "
                    f"rule {self.own_rule_name()}; give them as --parameters"
                )
            self._parameters = parse_parameters(_one_of(rules, self._rule_name, self.name).get("InputParameters"))
        return self._parameters

    def unreadable(self) -> Iterator[tuple[Place, str]]:
        """The sources from which the aggregator did not collect what is there now, and why."""
        for place, source in self._by_place().items():
            if why := _not_collected(source):
                yield place, why

    def listings(self) -> Iterator[Listing]:
        """Every copy of the rule that has a result, one for each account and region."""
        copies: dict[Place, list[AggregatedRule]] = {}
        for rule in self._aggregator.rules(self._rule_name):
            copies.setdefault(Place(rule.account, rule.region), []).append(rule)
        for place, rules in sorted(copies.items()):
            source = self._by_place().get(place)
            not_collected = _not_collected(source) if source else "it is no source of the aggregator"
            name = rules[0].name
            results = partial(self._results, place, [rule.name for rule in rules])
            yield Listing(place, name, None, not_collected, results)

    def findings(self) -> Iterator[Mapping[str, Any]]:
        """The rule's active findings in all that Security Hub's aggregation region shows."""
        return self._hub.findings(_active(self.own_rule_name()))

    def instance_rows(self) -> Iterator[object]:
        """Every recorded instance, as a row of a query."""
        return self._aggregator.instance_rows()

    def newest_item(self, resource_id: str) -> ConfigurationItem | None:  # noqa: ARG002 - nobody can be asked
        """None: an aggregator has no history."""
        return None

    def _results(self, place: Place, names: Sequence[str]) -> Iterator[RecordedResult]:
        if len(names) > 1:
            raise RuleNotFound(_several(names, self._rule_name, str(place)))
        return self._aggregator.results(names[0], place.account, place.region)

    def _by_place(self) -> dict[Place, SourceStatus]:
        if self._sources is None:
            self._sources = {Place(one.account, one.region): one for one in self._aggregator.sources()}
        return self._sources


Scope = OneRegion | Organization


class ReconciledAccount(LiveAccount):
    """The account whose findings, or whose organization's, are compared. Every method raises AwsError."""

    def account_id(self, region: str) -> str:
        """Its 12 digits."""
        with self._client("sts", region) as sts, calling("GetCallerIdentity"):
            return str(sts.get_caller_identity()["Account"])

    @contextmanager
    def one_region(self, account: str, region: str, rule_name: str) -> Iterator[OneRegion]:
        """Of this account, one region."""
        with self._client("config", region) as config, self._client("securityhub", region) as hub:
            place = Place(account, region)
            yield OneRegion(config, SecurityHub(hub, Deadline(), account, region), place, rule_name)

    @contextmanager
    def organization(
        self, account: str, region: str, aggregator: str, rule_name: str, parameters: RuleParameters | None
    ) -> Iterator[Organization]:
        """The organization, seen from an aggregator of this account, and Security Hub's aggregation region `region`."""
        with self._client("config", region) as config, self._client("securityhub", region) as hub:
            shown = SecurityHub(hub, Deadline(), account, region)
            yield Organization(config, shown, aggregator, rule_name, parameters)

    @contextmanager
    def bus(self, bus: str, region: str) -> Iterator[EvaluationsBus]:
        """The evaluations bus, by its name in `region` or by its ARN.

        It is looked for first: AWS documents no error of PutEvents for a bus that is not there.
        """
        with self._client("events", region_of(bus) or region) as events:
            with calling("DescribeEventBus"):
                events.describe_event_bus(Name=bus)
            yield EvaluationsBus(events, bus, Deadline())


def _rules(config: Any, rule_name: str) -> list[Mapping[str, Any]]:  # noqa: ANN401 - made by boto3
    """The rule of that very name, else all copies that conformance packs made of it."""
    listed = pages("DescribeConfigRules", config.describe_config_rules, {}, Deadline())
    rules = [rule for answer in listed for rule in answer.get("ConfigRules", ())]
    exact = [rule for rule in rules if rule["ConfigRuleName"] == rule_name]
    return exact or [rule for rule in rules if rule["ConfigRuleName"].startswith(f"{rule_name}{PACK_SUFFIX}")]


def _one_of(rules: Sequence[Mapping[str, Any]], rule_name: str, where: str) -> Mapping[str, Any]:
    if not rules:
        raise RuleNotFound(f"there is no rule {rule_name} in {where}, nor a copy of it in a conformance pack")
    if len(rules) > 1:
        raise RuleNotFound(_several([rule["ConfigRuleName"] for rule in rules], rule_name, where))
    return rules[0]


def _several(names: Sequence[str], rule_name: str, where: str) -> str:
    return f"there are {len(names)} copies of rule {rule_name} in {where}; --rule-name takes one of {', '.join(names)}"


def _not_collected(source: SourceStatus) -> str:
    if source.status == SUCCEEDED:
        return ""
    return f"the aggregator's source is {source.status}{f' ({source.error})' if source.error else ''}"


def _active(own_rule_name: str) -> dict[str, Any]:
    return _equals("GeneratorId", generator_id(own_rule_name)) | _equals("RecordState", "ACTIVE")


def _equals(field: str, value: str) -> dict[str, Any]:
    return {field: [{"Value": value, "Comparison": "EQUALS"}]}

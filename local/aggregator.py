"""Configuration aggregators: what AWS Config recorded in many accounts and regions, read from one.

An aggregator belongs to one account and region, and only there it is known. It shows what its sources recorded and
results that are COMPLIANT or NON_COMPLIANT, as AWS does: whatever is not applicable is not there. An account and region
without a recorder has nothing to show, though its source SUCCEEDED: AWS documents the status as that of the
authorization. Likewise a rule without results is not listed, and an unknown rule, account or region has no results
rather than an error. AWS's copy lags behind; here `sources.hold` lets it, with whatever status.

Taken for granted: authorizations, and that an organization's aggregator is put by whoever administers it.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from local import query
from local.aggregator_definitions import MAX_AGGREGATORS, Definition, checked
from local.aggregator_sources import Place, Sources
from local.compliance import Result, detail
from local.config_region import ConfigRegion
from local.config_settings import Settings
from local.configuration_items import Item, query_document
from local.faults import FaultKind
from local.inventory import QUERY_DEFAULT_LIMIT, Rows, answer_of_query
from local.paging import Pages
from local.service_errors import ServiceError
from rolecall.items import partition_of

_DETAILS_DEFAULT_LIMIT = 50
_GROUPS_MAX_LIMIT = 1000
_MAX_LIMIT = 100
_COUNT_CAP = 100
"""Of contributing resources: the Config API's ComplianceSummary."""
_SHOWN = ("COMPLIANT", "NON_COMPLIANT")
_QUERIES_KEPT = 8
"""Of which each may be large."""

Answer = dict[str, Any]
Row = TypeVar("Row")


class Aggregators:
    """All aggregators of all accounts and regions. Safe to use from many threads."""

    def __init__(self, regions: Mapping[Place, ConfigRegion], settings: Settings) -> None:
        self.sources = Sources(regions, settings.clock)
        self._settings = settings
        self._definitions: dict[Place, dict[str, Definition]] = {}
        self._lock = threading.RLock()
        self._queries: Pages[str] = Pages(_QUERIES_KEPT)
        self._pages: Pages[Any] = Pages()

    # The API. Inputs have passed the service model; `home` is the caller's account and the endpoint's region.

    def put(self, home: Place, request: Answer) -> Answer:
        """PutConfigurationAggregator."""
        name = request["ConfigurationAggregatorName"]
        with self._lock:
            known = self._definitions.setdefault(home, {})
            account, region = home
            prefix = f"arn:{partition_of(None, region)}:config:{region}:{account}:config-aggregator/"
            made = checked(request, known.get(name), prefix, self._settings.clock())
            if made.accounts is None and account not in self.sources.organizations:
                raise ServiceError(
                    "NoAvailableOrganizationException", "The account is not a member of an organization."
                )
            if name not in known and len(known) >= MAX_AGGREGATORS:
                raise ServiceError(
                    "LimitExceededException", f"You have reached the limit of {MAX_AGGREGATORS} aggregators."
                )
            known[name] = made
            return {"ConfigurationAggregator": made.described()}

    def describe(self, home: Place, request: Answer) -> Answer:
        """DescribeConfigurationAggregators."""
        names = tuple(request.get("ConfigurationAggregatorNames") or ())
        with self._lock:
            known = self._definitions.get(home, {})
            if any(name not in known for name in names):
                raise _no_such_aggregator(len(names))
            wanted = sorted(names or known)
            return self._answer(
                "DescribeConfigurationAggregators",
                "ConfigurationAggregators",
                (home, names),
                lambda: [known[name].described() for name in wanted],
                request,
                _MAX_LIMIT,
            )

    def sources_status(self, home: Place, request: Answer) -> Answer:
        """DescribeConfigurationAggregatorSourcesStatus. An organization is a source of its own, without a region."""
        wanted = tuple(request.get("UpdateStatus") or ("SUCCEEDED", "FAILED", "OUTDATED"))
        with self._lock:
            definition = self._definition(home, request)
            return self._answer(
                "DescribeConfigurationAggregatorSourcesStatus",
                "AggregatedSourceStatusList",
                (home, definition.name, wanted),
                lambda: [one for one in self.sources.statuses(home, definition) if one["LastUpdateStatus"] in wanted],
                request,
                _MAX_LIMIT,
            )

    def select(self, home: Place, request: Answer) -> bytes:
        """SelectAggregateResourceConfig."""
        expression = request["Expression"]
        with self._lock:
            definition = self._definition(home, request)
            understood = query.parse(expression)

            def rows() -> Rows:
                items = (item for place in self.sources.places(home, definition) for item in self.sources.items(place))
                return Rows(understood, [item for item in items if understood.matches(query_document(item))])

            limit = request.get("MaxResults") or request.get("Limit") or QUERY_DEFAULT_LIMIT
            empty = self._empty("SelectAggregateResourceConfig")
            call = (home, definition.name, expression)
            page, token = self._queries.page(call, rows, limit, request.get("NextToken"), empty=empty)
            return answer_of_query(understood, page, token)

    def rules(self, home: Place, request: Answer) -> Answer:
        """DescribeAggregateComplianceByConfigRules: the filters match exactly, and a rule without results is absent."""
        filters = request.get("Filters") or {}
        with self._lock:
            definition = self._definition(home, request)

            def rows() -> list[Answer]:
                found = (
                    _rule_compliance(place, name, results)
                    for place in self.sources.places(home, definition)
                    for name, results in sorted(self.sources.results(place).items())
                    if results
                )
                return [one for one in found if _passes(one, filters)]

            return self._answer(
                "DescribeAggregateComplianceByConfigRules",
                "AggregateComplianceByConfigRules",
                (home, definition.name, tuple(sorted(filters.items()))),
                rows,
                request,
                _GROUPS_MAX_LIMIT,
            )

    def details(self, home: Place, request: Answer) -> Answer:
        """GetAggregateComplianceDetailsByConfigRule."""
        wanted = request.get("ComplianceType")
        if wanted is not None and wanted not in _SHOWN:
            raise ServiceError(
                "ValidationException", f"ComplianceType {wanted} is not supported: {', '.join(_SHOWN)} are"
            )
        rule, place = request["ConfigRuleName"], (request["AccountId"], request["AwsRegion"])
        with self._lock:
            definition = self._definition(home, request)

            def rows() -> list[Result]:
                seen = self.sources.sees(home, definition, place)
                results = self.sources.results(place).get(rule, ()) if seen else ()
                return [one for one in results if wanted in (None, one.compliance_type)]

            answer = self._answer(
                "GetAggregateComplianceDetailsByConfigRule",
                "AggregateEvaluationResults",
                (home, definition.name, rule, place, wanted),
                rows,
                request,
                _DETAILS_DEFAULT_LIMIT,
            )
        where = {"AccountId": place[0], "AwsRegion": place[1]}
        shown = [detail(one, rule) | where for one in answer["AggregateEvaluationResults"]]
        return answer | {"AggregateEvaluationResults": shown}

    def counts(self, home: Place, request: Answer) -> Answer:
        """GetAggregateDiscoveredResourceCounts."""
        filters, grouping = request.get("Filters") or {}, request.get("GroupByKey")
        with self._lock:
            definition = self._definition(home, request)
            counted: Counter[str] = Counter()
            for place in self.sources.places(home, definition):
                if filters.get("AccountId", place[0]) != place[0] or filters.get("Region", place[1]) != place[1]:
                    continue
                for item in self.sources.items(place):
                    if filters.get("ResourceType", item["resourceType"]) == item["resourceType"]:
                        counted[_group(place, item, grouping)] += 1
            total = {"TotalDiscoveredResources": counted.total()}
            if grouping is None:
                return total
            groups = self._answer(
                "GetAggregateDiscoveredResourceCounts",
                "GroupedResourceCounts",
                (home, definition.name, tuple(sorted(filters.items())), grouping),
                lambda: [{"GroupName": name, "ResourceCount": count} for name, count in sorted(counted.items())],
                request,
                _GROUPS_MAX_LIMIT,
            )
            return total | {"GroupByKey": grouping} | groups

    def _answer(  # noqa: PLR0913, PLR0917 - what a page consists of
        self,
        operation: str,
        member: str,
        call: tuple[object, ...],
        rows: Callable[[], Sequence[Row]],
        request: Mapping[str, Any],
        default_limit: int,
    ) -> dict[str, Any]:
        """One page. A limit of 0 means the default."""
        limit = request.get("Limit") or default_limit
        page, token = self._pages.page(
            (operation, *call), rows, limit, request.get("NextToken"), empty=self._empty(operation)
        )
        return {member: list(page)} | ({"NextToken": token} if token else {})

    def _empty(self, operation: str) -> bool:
        return self._settings.faults.take(operation, FaultKind.EMPTY_PAGE) is not None

    def _definition(self, home: Place, request: Mapping[str, Any]) -> Definition:
        found = self._definitions.get(home, {}).get(request["ConfigurationAggregatorName"])
        if found is None:
            raise _no_such_aggregator(1)
        return found


def _no_such_aggregator(asked: int) -> ServiceError:
    message = (
        "The configuration aggregator does not exist. Check the configuration aggregator name and try again."
        if asked == 1
        else "At least one of the configuration aggregators does not exist. Check the configuration aggregator names "
        "and try again."
    )
    return ServiceError("NoSuchConfigurationAggregatorException", message)


def _rule_compliance(place: Place, name: str, results: Sequence[Result]) -> Answer:
    failing = sum(one.compliance_type == "NON_COMPLIANT" for one in results)
    count = failing or len(results)
    return {
        "ConfigRuleName": name,
        "Compliance": {
            "ComplianceType": "NON_COMPLIANT" if failing else "COMPLIANT",
            "ComplianceContributorCount": {
                "CappedCount": min(count, _COUNT_CAP),
                "CapExceeded": count > _COUNT_CAP,
            },
        },
        "AccountId": place[0],
        "AwsRegion": place[1],
    }


def _passes(one: Answer, filters: Mapping[str, str]) -> bool:
    values = {**one, "ComplianceType": one["Compliance"]["ComplianceType"]}
    return all(values[name] == value for name, value in filters.items())


def _group(place: Place, item: Item, grouping: str | None) -> str:
    match grouping:
        case "ACCOUNT_ID":
            return place[0]
        case "AWS_REGION":
            return place[1]
        case _:
            return str(item["resourceType"])

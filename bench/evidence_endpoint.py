"""What evidence is collected from in its benchmark: an aggregator, and the few calls that go to the accounts.

TLS on loopback, as `endpoint` does it. An answer is made when it is asked for: a million rows would not fit beside
what is measured.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.endpoint import Answer, Endpoint, json_answer, xml_answer
from bench.evidence_organization import PACK_RULE, Place
from rolecall.aws.aggregator import RULES_PER_PAGE, SOURCES_PER_PAGE
from rolecall.aws.config_service import INSTANCES_QUERY, ROWS_PER_PAGE

INVENTORY, RESULTS = "SelectAggregateResourceConfig", "GetAggregateComplianceDetailsByConfigRule"

_SCOPE = re.compile(r" AND accountId = '(\d+)' AND awsRegion = '([a-z0-9-]+)'")

_RECORDER = {"name": "default", "recordingGroup": {"allSupported": True}}
_RECORDER_STATUS = {"name": "default", "recording": True, "lastStatus": "SUCCESS"}

_REPORT = (
    "user,arn,access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated\n"
    "<root_account>,arn,false,N/A,false,N/A\n"
)


class EvidenceEndpoint(Endpoint):
    """Serves an organization's places, whatever account asks. A context manager."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._places: dict[tuple[str, str], Place] = {}
        self._recorded: tuple[Place | None, Sequence[int]] = (None, ())

    def serve(self, places: Sequence[Place]) -> None:
        """These, and no other."""
        self._places = {(place.account, place.region): place for place in places}

    def content(self, operation: str, body: bytes) -> Answer:
        """Of a call. Raises AssertionError for one that is none of collecting's."""
        if operation == "GenerateCredentialReport":
            return xml_answer(operation, "<State>COMPLETE</State>")
        if operation == "GetCredentialReport":
            return xml_answer(operation, _credential_report())
        if operation == "AssumeRole":
            return super().content(operation, body)
        return json_answer(self._answered(operation, json.loads(body)))

    def _answered(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        start = int(asked.get("NextToken") or 0)
        match operation:
            case "SelectAggregateResourceConfig":
                place = self._asked_for(str(asked["Expression"]))
                return _page("Results", place.numbers, start, asked["Limit"], place.query_row)
            case "GetAggregateComplianceDetailsByConfigRule":
                place = self._places[asked["AccountId"], asked["AwsRegion"]]
                if asked["ConfigRuleName"] != PACK_RULE:
                    raise AssertionError(f"nothing is recorded for {asked['ConfigRuleName']}")
                return _page("AggregateEvaluationResults", self._results(place), start, asked["Limit"], place.result)
            case "DescribeConfigurationAggregatorSourcesStatus":
                return _page("AggregatedSourceStatusList", [*map(_source, self._places)], start, SOURCES_PER_PAGE)
            case "DescribeAggregateComplianceByConfigRules":
                return _page("AggregateComplianceByConfigRules", [*map(_rule, self._places)], start, RULES_PER_PAGE)
        return self._of_accounts(operation)

    def _of_accounts(self, operation: str) -> dict[str, Any]:
        match operation:
            case "ListAccounts":
                accounts = sorted({account for account, _ in self._places})
                return {"Accounts": [{"Id": one, "Name": one, "Status": "ACTIVE"} for one in accounts]}
            case "DescribeConfigurationRecorders":
                return {"ConfigurationRecorders": [_RECORDER]}
            case "DescribeConfigurationRecorderStatus":
                return {"ConfigurationRecordersStatus": [_RECORDER_STATUS]}
        raise AssertionError(f"no benchmark calls {operation}")

    def _asked_for(self, expression: str) -> Place:
        scope = _SCOPE.fullmatch(expression.removeprefix(INSTANCES_QUERY))
        if not scope:
            raise AssertionError(f"the answers were made for another query than {expression}")
        return self._places[scope[1], scope[2]]

    def _results(self, place: Place) -> Sequence[int]:
        if self._recorded[0] is not place:
            self._recorded = place, place.recorded()
        return self._recorded[1]


def least_calls(places: Sequence[Place]) -> int:
    """Of the two listings, at 100 rows a page, which is the most that AWS Config gives at once.

    Nothing may be known of a place before it is asked for: an empty listing takes a call, too.
    """
    return sum(_pages(len(place.numbers)) + _pages(len(place.recorded())) for place in places)


def _pages(rows: int) -> int:
    return max(-(-rows // ROWS_PER_PAGE), 1)


def _page(
    name: str, listed: Sequence[Any], start: int, limit: int, shown: Callable[[Any], Any] = lambda one: one
) -> dict[str, Any]:
    end = start + limit
    return {name: [shown(one) for one in listed[start:end]]} | ({"NextToken": f"{end}"} if end < len(listed) else {})


def _source(pair: tuple[str, str]) -> dict[str, Any]:
    return {"SourceId": pair[0], "SourceType": "ACCOUNT", "AwsRegion": pair[1], "LastUpdateStatus": "SUCCEEDED"}


def _rule(pair: tuple[str, str]) -> dict[str, Any]:
    return {"ConfigRuleName": PACK_RULE, "AccountId": pair[0], "AwsRegion": pair[1]}


def _credential_report() -> str:
    content = base64.b64encode(_REPORT.encode()).decode()
    return (
        f"<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>"
        "<GeneratedTime>2026-11-25T00:00:00Z</GeneratedTime>"
    )

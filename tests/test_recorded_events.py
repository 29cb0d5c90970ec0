import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rolecall.annotations import fitted
from rolecall.errors import RolecallError
from rolecall.events import OversizedNotification, parse_invocation
from rolecall.items import configuration_item
from rolecall.model import ConfigurationItem, Evaluation
from rolecall.responding import Responder
from tests.builders import Json, invocation, iso, notification_item, query_row
from tests.fakes import FakeBus, FakeConfig, FakeTelemetry

OWN = Path(__file__).parent / "events"
EXAMPLES = Path(__file__).parents[2] / "shared" / "data" / "config-events"
"""Public examples, where they lie beside the checkout: these tests do not need them, and read what is there."""

NOW = datetime(2026, 4, 2, 14, 0, tzinfo=UTC)

NO_PROFILE = (
    "NO_PROFILE: attach an instance profile with a least-privilege role or, if having no role is intended, "
    "set tag intentional-no-role to the reason."
)
UNKNOWN_PARAMETER = (
    "allowed: the parameters exemptionTagKey, exemptionReasonRequired, exemptionExpiryRequired, exemptionMaxDays, "
    "exemptionApproverRequired, allowedInstanceProfileArns, evaluateStopped"
)
MESSAGE_TYPES = (
    "ConfigurationItemChangeNotification, OversizedConfigurationItemChangeNotification, ScheduledNotification"
)

Put = tuple[str, str, str, str]
"""Resource id, compliance type, annotation and ordering timestamp of one evaluation."""

PUT: dict[str, Put] = {
    "change_profile_attached.json": (
        "i-0e52b7c94d1f8a360",
        "COMPLIANT",
        "PROFILE_ATTACHED: instance profile orders-api is attached.",
        "2026-04-02T06:14:09.518Z",
    ),
    "change_profile_with_path_in_china.json": (
        "i-0a4d81c6f5e2b7390",
        "COMPLIANT",
        "PROFILE_ATTACHED: instance profile ledger is attached.",
        "2026-04-01T01:33:02.640Z",
    ),
    "change_stopped_without_profile.json": (
        "i-03c1a9f27e60b4d58",
        "NON_COMPLIANT",
        NO_PROFILE,
        "2026-04-01T19:01:40.002Z",
    ),
    "change_least_keys.json": ("i-5d2f8e1a", "NON_COMPLIANT", NO_PROFILE, "2019-02-11T17:08:51.772Z"),
    "change_exempt.json": (
        "i-0b86d4e13f9725ac0",
        "COMPLIANT",
        "EXEMPT: no role is intended through 2026-06-13: vendor appliance, calls no AWS API",
        "2026-03-15T14:25:33.941Z",
    ),
    "change_exempt_for_too_long.json": (
        "i-0d19f5b38a7c24e61",
        "NON_COMPLIANT",
        (
            "EXEMPTION_INVALID: tag intentional-no-role:expires is 2027-03-15, 365 days after "
            "intentional-no-role:granted: the limit is 90. Correct it, or attach an instance profile."
        ),
        "2026-03-15T14:25:34.007Z",
    ),
    "change_spot_shutting_down.json": (
        "i-0952ce7d1b4f8a036",
        "NOT_APPLICABLE",
        "TERMINATING: the instance is terminated or about to be; nothing is to be done.",
        "2026-04-02T04:41:20.390Z",
    ),
    "change_deleted.json": (
        "i-07fa3c85e2d9160b4",
        "NOT_APPLICABLE",
        "DELETED: the instance no longer exists.",
        "2026-04-02T09:47:12.876Z",
    ),
    "change_left_scope.json": (
        "i-01b7e4f96c28d35a0",
        "NOT_APPLICABLE",
        "LEFT_SCOPE: the resource is no longer in this rule's scope.",
        "2026-03-28T12:03:10.450Z",
    ),
    "change_other_resource.json": (
        "vol-0e7c25a9d1f4b8063",
        "NOT_APPLICABLE",
        "OTHER_RESOURCE: this rule judges AWS::EC2::Instance only.",
        "2026-04-02T11:00:01.001Z",
    ),
    "oversized.json": ("i-0c94f7a1e5d3b2860", "NON_COMPLIANT", NO_PROFILE, "2026-04-02T12:05:37.264Z"),
    "oversized_deleted.json": (
        "i-0872d5c3f9a1e4b60",
        "NOT_APPLICABLE",
        "DELETED: the instance no longer exists.",
        "2026-04-02T12:31:18.905Z",
    ),
    "scheduled.json": ("i-0a1b2c3d4e5f60718", "NON_COMPLIANT", NO_PROFILE, "2026-03-01T09:30:00.123Z"),
}

REFUSED = {
    "change_without_state.json": (
        "i-0f38b6a2c9d471e50: configuration.state is None; allowed: an object with the state's name"
    ),
    "proactive.json": (
        "evaluationMode is 'PROACTIVE'; allowed: DETECTIVE: rolecall judges what exists, not what is proposed"
    ),
    "snapshot_delivered.json": (
        f"invokingEvent.messageType is 'ConfigurationSnapshotDeliveryCompleted'; allowed: {MESSAGE_TYPES}"
    ),
    "unknown_parameter.json": f"rule parameter desiredInstanceType is 't2.micro'; {UNKNOWN_PARAMETER}",
}


def respond_with(config: FakeConfig, event: object) -> None:
    """Let the rule answer in an account whose AWS Config is `config`."""
    Responder(lambda _: config, FakeBus(), FakeTelemetry(), lambda: NOW).respond(event)


def answer(event: object) -> tuple[list[Evaluation], int]:
    """What is put for `event`, and how many items were fetched, in an account of one instance without a profile.

    The item of an oversized notification has no profile either.
    """
    config = FakeConfig(rows=[query_row(profile=None, tags={})], items=_announced(event))
    respond_with(config, event)
    return [evaluation for evaluations, _, _ in config.calls for evaluation in evaluations], config.fetched


def _announced(event: object) -> Sequence[ConfigurationItem]:
    try:
        notification = parse_invocation(event).notification
    except RolecallError:
        return ()
    if not isinstance(notification, OversizedNotification):
        return ()
    summary = notification.summary
    whole = notification_item(
        profile=None,
        tags={},
        resourceId=summary.resource_id,
        configurationItemCaptureTime=iso(summary.capture_time),
        ARN=summary.arn,
    )
    return [configuration_item(whole)]


def read(path: Path) -> Json:
    """One event."""
    event: Json = json.loads(path.read_text(encoding="utf-8"))
    return event


def test_every_event_has_its_expectation_and_its_line_in_the_readme() -> None:
    """A file that nobody expects anything of proves nothing."""
    files = {path.name for path in OWN.glob("*.json")}
    assert files == set(PUT) | set(REFUSED)
    readme = (OWN / "README.md").read_text(encoding="utf-8")
    assert {name for name in files if f"| `{name}` |" in readme} == files


@pytest.mark.parametrize("name", PUT)
def test_a_whole_event_is_answered_with_one_evaluation(name: str) -> None:
    """From the JSON that Lambda hands over to what PutEvaluations is given."""
    ((evaluation,), fetched) = answer(read(OWN / name))
    assert (
        evaluation.item.resource_id,
        evaluation.compliance_type.value,
        evaluation.annotation,
        iso(evaluation.ordering_timestamp),
    ) == PUT[name]
    assert fetched == (1 if name == "oversized.json" else 0)


@pytest.mark.parametrize("name", REFUSED)
def test_a_whole_event_that_cannot_be_answered_is_refused(name: str) -> None:
    """One clear error, and nothing is put."""
    with pytest.raises(RolecallError) as refused:
        answer(read(OWN / name))
    assert str(refused.value) == REFUSED[name]


def variants(event: Json) -> Iterator[Json]:
    """The event as it is, without another rule's parameters, and what an SNS notification carries as an event."""
    yield event
    yield {**event, "ruleParameters": "{}"}
    if "Message" in event:
        yield invocation(event["Message"])


@pytest.mark.parametrize(
    "path", [*sorted(OWN.glob("*.json")), *sorted(EXAMPLES.glob("*.json"))], ids=lambda path: path.name
)
def test_every_event_at_hand_is_answered_or_refused_by_name(path: Path) -> None:
    """Files that others wrote get evaluations that Config takes, or an error that rolecall raises on purpose."""
    for event in variants(read(path)):
        config = FakeConfig(rows=[query_row(profile=None)], items=_announced(event))
        try:
            respond_with(config, event)
        except RolecallError as refused:
            assert "; allowed: " in str(refused)  # noqa: PT017 - whether it is refused is the file's own matter
            assert config.calls == []
        else:
            ((evaluations, token, _),) = config.calls
            assert token == event["resultToken"]
            assert [fitted(one.annotation) for one in evaluations] == [one.annotation for one in evaluations]


@pytest.mark.parametrize("path", sorted(OWN.glob("*.json")), ids=lambda path: path.name)
def test_the_ids_in_our_events_are_invented(path: Path) -> None:
    """Account ids are those of AWS's own documentation, and each file is small enough to be read."""
    event = read(path)
    assert event["accountId"] in {"111122223333", "444455556666"}
    assert path.stat().st_size < 20_000

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import __version__
from rolecall.errors import InvalidRecord
from rolecall.events import parse_invocation
from rolecall.items import configuration_item
from rolecall.model import (
    ComplianceType,
    Exemption,
    ExemptionState,
    Instance,
    InstanceState,
    Reason,
    Source,
)
from rolecall.parameters import RuleParameters
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import REFRESH, VERDICT, evaluation_record
from rolecall.rule import evaluate
from tests.builders import (
    ABSENT,
    ACCOUNT,
    CAPTURED,
    FIRST_LAUNCHED,
    INSTANCE_ARN,
    INSTANCE_ID,
    LAUNCHED,
    NOW,
    PROFILE_ARN,
    REGION,
    RULE_ARN,
    RULE_NAME,
    Json,
    change_event,
    changed,
    deleted_item,
    exemption_tags,
    notification_item,
)
from tests.strategies import anything, instances, moments, parameters

REASONS = ", ".join(Reason)
TEXT = "a text that is not empty"
ELSEWHERE = "\N{ARABIC-INDIC DIGIT ONE}"


def made(item: Json | None = None, *, given_parameters: Json | None = None) -> dict[str, Any]:
    """The record of a change of `item`, after it went through JSON."""
    invocation = parse_invocation(change_event(item, parameters=given_parameters))
    evaluation = evaluate(invocation.notification.item, invocation.parameters, NOW)  # type: ignore[union-attr]  # a change
    decoded: dict[str, Any] = json.loads(json.dumps(evaluation_record(evaluation, invocation, Source.CHANGE)))
    return decoded


EXEMPT = made(
    notification_item(
        profile=None,
        tags=exemption_tags("appliance", expires="2026-12-31", granted="2026-01-01", approved_by="ops", ticket="SEC-1"),
    )
)


def broken(path: str, value: object, raw: Json = EXEMPT) -> Json:
    """The record with another value at `path`, or none (`ABSENT`)."""
    name, _, rest = path.partition(".")
    return changed(raw, {name: broken(rest, value, raw[name]) if rest else value})


def test_a_record_is_read_whole() -> None:
    """Every field that consumers use, typed; and the object itself, for whoever passes it on."""
    assert read_record(EXEMPT) == EvaluationRecord(
        raw=EXEMPT,
        id=EXEMPT["id"],
        kind="verdict",
        account=ACCOUNT,
        region=REGION,
        partition="aws",
        resource_type="AWS::EC2::Instance",
        resource_id=INSTANCE_ID,
        resource_arn=INSTANCE_ARN,
        compliance_type=ComplianceType.COMPLIANT,
        reason=Reason.EXEMPT,
        annotation="EXEMPT: no role is intended through 2026-12-31: appliance",
        ordering_timestamp=CAPTURED,
        evaluated_at=NOW,
        rule_name=RULE_NAME,
        rule_arn=RULE_ARN,
        rolecall_version=__version__,
        exemption=Exemption(
            state=ExemptionState.VALID,
            problem="",
            reason="appliance",
            approved_by="ops",
            ticket="SEC-1",
            granted=date(2026, 1, 1),
            expires=date(2026, 12, 31),
        ),
        instance=Instance(
            state=InstanceState.RUNNING,
            profile_arn=None,
            tags=EXEMPT["instance"]["tags"],
            instance_type="t3.small",
            image_id="ami-0123456789abcdef0",
            first_launch=FIRST_LAUNCHED,
            last_launch=LAUNCHED,
            vpc_id="vpc-0ee55ff66aa77bb88",
            subnet_id="subnet-0aa11bb22cc33dd44",
            metadata_options=EXEMPT["instance"]["metadataOptions"],
        ),
    )


@pytest.mark.parametrize(
    "given_form", [EXEMPT, json.dumps(EXEMPT), json.dumps(EXEMPT).encode()], ids=["object", "text", "bytes"]
)
def test_a_record_is_read_from_an_object_or_its_json(given_form: object) -> None:
    """As a bus, a queue and a file hold it."""
    assert read_record(given_form) == read_record(EXEMPT)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (made(deleted_item()), (Reason.DELETED, None, None)),
        (made(notification_item(resourceType="AWS::S3::Bucket", ARN=None)), (Reason.OTHER_RESOURCE, None, None)),
        (made(), (Reason.PROFILE_ATTACHED, PROFILE_ARN, None)),
        (made(notification_item(profile=None)), (Reason.NO_PROFILE, None, None)),
    ],
)
def test_what_a_record_has_not_is_none(raw: Json, expected: tuple[object, ...]) -> None:
    """No instance, no profile, no exemption; and no ARN is an empty text."""
    one = read_record(raw)
    assert (one.reason, one.instance.profile_arn if one.instance else None, one.exemption) == expected
    assert one.resource_arn == (raw["resourceArn"] or "")


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("role", "role"),
        ("role-conformance-pack-szsm1uv0w", "role"),
        ("role-conformance-packs", "role-conformance-packs"),
        ("a-conformance-pack-b-conformance-pack-c", "a"),
    ],
)
def test_a_rules_own_name_is_without_the_packs_suffix(name: str, own: str) -> None:
    """A conformance pack names its copy differently in every account."""
    assert read_record(broken("rule.name", name)).own_rule_name == own


def test_the_newer_of_two_records_has_the_larger_version() -> None:
    """The ordering timestamp decides, and the evaluation's time where that is the same."""
    later_evaluated = broken("evaluatedAt", "2026-03-02T12:00:00.001Z")
    later_captured = broken(
        "orderingTimestamp", "2026-03-01T09:30:00.124Z", broken("evaluatedAt", "2026-03-01T09:31:00.000Z")
    )
    versions = [read_record(raw).version for raw in (EXEMPT, later_evaluated, later_captured)]
    assert versions == [
        (CAPTURED, NOW),
        (CAPTURED, NOW.replace(microsecond=1000)),
        (datetime(2026, 3, 1, 9, 30, 0, 124_000, tzinfo=UTC), datetime(2026, 3, 1, 9, 31, tzinfo=UTC)),
    ]
    assert versions == sorted(versions)


REFUSED = [
    ("no JSON", "{", "evaluation record is '{'; allowed: JSON text of an object"),
    ("nested without end", "[" * 100_000, f"evaluation record is '{'[' * 119}…; allowed: JSON text of an object"),
    ("bytes that are no text", b"\xff", r"evaluation record is b'\xff'; allowed: JSON text of an object"),
    ("a list", "[]", "evaluation record is []; allowed: a JSON object"),
    ("nothing", None, "evaluation record is None; allowed: a JSON object"),
    ("an event", change_event(), "schema is None; allowed: rolecall.evaluation/v1"),
    (
        "another version",
        broken("schema", "rolecall.evaluation/v2"),
        "schema is 'rolecall.evaluation/v2'; allowed: rolecall.evaluation/v1",
    ),
    ("another kind", broken("kind", "rumour"), "kind is 'rumour'; allowed: verdict, refresh"),
    ("no kind", broken("kind", ABSENT), f"kind is None; allowed: {TEXT}"),
    ("no id", broken("id", ""), f"id is ''; allowed: {TEXT}"),
    ("another reason", broken("reason", "BECAUSE"), f"reason is 'BECAUSE'; allowed: {REASONS}"),
    (
        "another type",
        broken("complianceType", "INSUFFICIENT_DATA"),
        "complianceType is 'INSUFFICIENT_DATA'; allowed: COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE",
    ),
    (
        "a type that is not the reason's",
        broken("complianceType", "NON_COMPLIANT"),
        "complianceType is 'NON_COMPLIANT'; allowed: COMPLIANT, as the reason says",
    ),
    ("an account too short", broken("account", "1111"), "account is '1111'; allowed: 12 digits"),
    ("an account of letters", broken("account", "1" * 11 + "a"), "account is '11111111111a'; allowed: 12 digits"),
    (
        "digits of another script",
        broken("account", ELSEWHERE * 12),
        f"account is '{ELSEWHERE * 12}'; allowed: 12 digits",
    ),
    ("an account that is a number", broken("account", 1), f"account is 1; allowed: {TEXT}"),
    ("no region", broken("region", None), f"region is None; allowed: {TEXT}"),
    ("no partition", broken("partition", ""), f"partition is ''; allowed: {TEXT}"),
    ("no resource type", broken("resourceType", 7), f"resourceType is 7; allowed: {TEXT}"),
    ("no resource", broken("resourceId", ABSENT), f"resourceId is None; allowed: {TEXT}"),
    ("an ARN that is none", broken("resourceArn", 7), "resourceArn is 7; allowed: a text, or null"),
    ("no annotation", broken("annotation", ""), f"annotation is ''; allowed: {TEXT}"),
    (
        "a time without a zone",
        broken("orderingTimestamp", "2026-03-01T09:30:00"),
        "orderingTimestamp is '2026-03-01T09:30:00'; allowed: a time as 2026-01-31T12:00:00.000Z",
    ),
    ("no time", broken("evaluatedAt", None), f"evaluatedAt is None; allowed: {TEXT}"),
    ("no rule", broken("rule", None), "rule is None; allowed: a JSON object"),
    ("a rule without a name", broken("rule.name", ""), f"rule.name is ''; allowed: {TEXT}"),
    ("a rule without an ARN", broken("rule.arn", ABSENT), f"rule.arn is None; allowed: {TEXT}"),
    ("no version", broken("rule.rolecallVersion", 1), f"rule.rolecallVersion is 1; allowed: {TEXT}"),
    ("an exemption that is none", broken("exemption", "yes"), "exemption is 'yes'; allowed: a JSON object"),
    (
        "another state of it",
        broken("exemption.state", "eternal"),
        "exemption.state is 'eternal'; allowed: valid, expired, malformed",
    ),
    ("a reason that is none", broken("exemption.reason", 7), "exemption.reason is 7; allowed: a text, or null"),
    (
        "no day",
        broken("exemption.expires", "soon"),
        "exemption.expires is 'soon'; allowed: a day as 2026-01-31, or null",
    ),
    (
        "a day that is none",
        broken("exemption.granted", "2026-02-30"),
        "exemption.granted is '2026-02-30'; allowed: a day as 2026-01-31, or null",
    ),
    ("an instance that is none", broken("instance", []), "instance is []; allowed: a JSON object"),
    (
        "another state of it",
        broken("instance.state", "asleep"),
        "instance.state is 'asleep'; allowed: pending, running, shutting-down, terminated, stopping, stopped",
    ),
    ("a profile that is none", broken("profileArn", {}), "profileArn is {}; allowed: a text, or null"),
    ("tags as a list", broken("instance.tags", []), "instance.tags is []; allowed: a JSON object"),
    (
        "options as a text",
        broken("instance.metadataOptions", "x"),
        "instance.metadataOptions is 'x'; allowed: a JSON object",
    ),
    (
        "a launch at no time",
        broken("instance.lastLaunch", "yesterday"),
        "instance.lastLaunch is 'yesterday'; allowed: a time as 2026-01-31T12:00:00.000Z",
    ),
]


@pytest.mark.parametrize(("what", "received", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_is_no_record_is_refused_by_the_field(what: str, received: object, message: str) -> None:
    """With the value it has and what is allowed: no retry mends it, so whoever reads it must see it at once."""
    with pytest.raises(InvalidRecord) as refused:
        read_record(received)
    assert str(refused.value) == message, what


@given(anything)
def test_whatever_arrives_is_read_or_refused(received: object) -> None:
    """No other error, whatever stands in a queue."""
    with pytest.raises(InvalidRecord):
        read_record(received)


@given(
    path=st.sampled_from(
        [*EXEMPT, *(f"{part}.{name}" for part in ("rule", "exemption", "instance") for name in EXEMPT[part])]
    ),
    value=anything | st.just(ABSENT),
)
def test_a_damaged_record_is_read_or_refused(path: str, value: object) -> None:
    """One field is anything, or gone."""
    try:
        one = read_record(broken(path, value))
    except InvalidRecord as refused:
        assert "; allowed: " in str(refused)  # noqa: PT017 - refusing is one of two outcomes
    else:
        assert one.compliance_type is one.reason.compliance_type


@given(raw=instances(), drawn=parameters, now=moments, kind=st.sampled_from([VERDICT, REFRESH]))
def test_a_record_gives_back_what_went_into_it(raw: Json, drawn: RuleParameters, now: datetime, kind: str) -> None:
    """For any evaluation of any item: to the millisecond, and through JSON."""
    evaluation = evaluate(configuration_item(raw), drawn, now)
    invocation = parse_invocation(change_event(parameters=drawn.changed()))
    record = evaluation_record(evaluation, invocation, Source.SWEEP, kind=kind)
    one = read_record(json.dumps(record))
    item, instance = evaluation.item, evaluation.item.instance
    assert one.raw == json.loads(json.dumps(record))
    assert (one.kind, one.account, one.region, one.partition) == (kind, item.account, item.region, item.partition)
    assert (one.resource_type, one.resource_id, one.resource_arn) == (item.resource_type, item.resource_id, item.arn)
    assert (one.reason, one.compliance_type, one.annotation) == (
        evaluation.reason,
        evaluation.compliance_type,
        evaluation.annotation,
    )
    assert one.version == (_milliseconds(evaluation.ordering_timestamp), _milliseconds(evaluation.evaluated_at))
    assert (one.rule_name, one.rule_arn, one.rolecall_version) == (RULE_NAME, RULE_ARN, __version__)
    assert one.exemption == evaluation.exemption
    assert one.instance == instance


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

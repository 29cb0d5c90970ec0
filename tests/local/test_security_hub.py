from collections.abc import Iterator
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from local.finding_limits import LIMITS, TIMES, problems
from tests.builders import ACCOUNT, INSTANCE_ARN, NOW, REGION, Json, iso
from tests.local.config_harness import refusal
from tests.local.security_hub_harness import FINDING_ID, PRODUCT_ARN, Hub, finding, later, running_hub

OTHER = "444455556666"
OTHER_REGION = "eu-central-1"


@pytest.fixture
def hub() -> Iterator[Hub]:
    """One whose hub is enabled."""
    with running_hub() as running:
        yield running


def identifier(finding_id: str = FINDING_ID) -> Json:
    """The finding, as BatchUpdateFindings names it."""
    return {"Id": finding_id, "ProductArn": PRODUCT_ARN}


def update(hub: Hub, **changes: object) -> Json:
    """BatchUpdateFindings of the one finding, as the customer."""
    answer: Json = hub.client().batch_update_findings(FindingIdentifiers=[identifier()], **changes)
    return answer


def test_a_finding_is_taken_and_completed(hub: Hub) -> None:
    """What the provider says comes to the top level; what only Security Hub knows is filled in."""
    assert hub.put(finding()) == {"SuccessCount": 1, "FailedCount": 0, "FailedFindings": []}
    assert hub.stored == finding() | {
        "Severity": {"Label": "HIGH", "Normalized": 70},
        "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        "RecordState": "ACTIVE",
        "Workflow": {"Status": "NEW"},
        "ProductName": "Default",
        "CompanyName": "Personal",
        "Region": REGION,
        "ProcessedAt": iso(NOW),
    }


def test_a_hub_has_to_be_enabled(hub: Hub) -> None:
    """In each account and region by itself; enabling twice is refused, and disabling takes the findings away."""
    other = hub.client(OTHER)
    denied = ("InvalidAccessException", f"Account {OTHER} is not subscribed to AWS Security Hub")
    assert refusal(other.batch_import_findings, Findings=[finding()]) == denied
    assert refusal(other.get_findings) == denied
    assert refusal(other.describe_hub) == denied
    assert refusal(hub.client(region=OTHER_REGION).batch_import_findings, Findings=[finding()])[0] == denied[0]
    other.enable_security_hub()
    assert other.describe_hub()["HubArn"] == f"arn:aws:securityhub:{REGION}:{OTHER}:hub/default"
    assert refusal(other.enable_security_hub)[0] == "ResourceConflictException"
    hub.put(finding())
    hub.client().disable_security_hub()
    hub.client().enable_security_hub()
    assert hub.service.findings(ACCOUNT, REGION) == []


def test_nobody_writes_findings_of_another_account(hub: Hub) -> None:
    """Not even for one of a call; the error hides the cause, as AWS's does."""
    hub.service.enable(OTHER, REGION)
    foreign = finding(Id="2", AwsAccountId=OTHER)
    code, _ = refusal(hub.client().batch_import_findings, Findings=[finding(), foreign])
    assert (code, hub.service.findings(ACCOUNT, REGION)) == ("AccessDeniedException", [])


@pytest.mark.parametrize(
    ("what", "arn"),
    [
        ("another account's", f"arn:aws:securityhub:{REGION}:{OTHER}:product/{OTHER}/default"),
        ("another region's", f"arn:aws:securityhub:{OTHER_REGION}:{ACCOUNT}:product/{ACCOUNT}/default"),
        ("another partition's", f"arn:aws-cn:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"),
        ("a partner's", f"arn:aws:securityhub:{REGION}::product/prowler/prowler"),
    ],
)
def test_the_product_is_the_callers_own(hub: Hub, what: str, arn: str) -> None:
    """Its account, its region."""
    assert hub.failure(finding(ProductArn=arn))[0] == "InvalidInput", what


@pytest.mark.parametrize("count", [0, 101])
def test_a_call_holds_1_to_100_findings(hub: Hub, count: int) -> None:
    """Anything else is refused whole."""
    findings = [finding(Id=str(number)) for number in range(count)]
    code, _ = refusal(hub.client(validate=False).batch_import_findings, Findings=findings)
    assert (code, len(hub.service.findings(ACCOUNT, REGION))) == ("InvalidInputException", 0)


def test_100_findings_are_one_call(hub: Hub) -> None:
    """The most that there can be."""
    assert hub.put(*(finding(Id=str(number)) for number in range(100)))["SuccessCount"] == 100


def padded(size: int, number: int = 0) -> Json:
    """A finding of about `size` bytes: the only fields that can be so large are resources."""
    resources = [{"Type": "Other", "Id": f"{one}", "Details": {"Other": {"k": "x" * 9_000}}} for one in range(30)]
    return finding(Id=str(number), Resources=resources[: max(1, size // 9_000)])


def test_a_finding_has_at_most_240_kilobytes(hub: Hub) -> None:
    """A larger one fails alone."""
    assert hub.put(padded(230_000))["SuccessCount"] == 1
    code, message = hub.failure(padded(270_000, 1))
    assert (code, "more than 240000" in message) == ("InvalidInput", True)


def test_a_call_has_at_most_6_megabytes(hub: Hub) -> None:
    """A larger one is refused whole."""
    code, message = refusal(
        hub.client().batch_import_findings, Findings=[padded(230_000, number) for number in range(30)]
    )
    assert (code, "more than 6000000" in message) == ("InvalidInputException", True)


REQUIRED = (
    "SchemaVersion",
    "Id",
    "ProductArn",
    "GeneratorId",
    "AwsAccountId",
    "CreatedAt",
    "UpdatedAt",
    "Title",
    "Description",
    "Resources",
)


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_has_to_be_there(hub: Hub, name: str) -> None:
    """The model's required members."""
    without = {key: value for key, value in finding().items() if key != name}
    code, message = hub.failure(without)
    assert (code, "Member must not be null" in message) == ("InvalidInput", True)


MALFORMED: list[tuple[str, Json, str]] = [
    ("another version of the format", {"SchemaVersion": "2017-01-01"}, "data.SchemaVersion"),
    ("no severity", {"FindingProviderFields": {"Types": ["Software and Configuration Checks"]}}, "data.Severity"),
    ("a severity that says nothing", {"FindingProviderFields": {"Severity": {}, "Types": ["T"]}}, "data.Severity"),
    ("no types", {"FindingProviderFields": {"Severity": {"Label": "LOW"}}}, "data.Types"),
    ("a reserved product field", {"ProductFields": {"aws/config/Rule": "x"}}, "reserved"),
    ("a blank title", {"Title": " "}, "regular expression"),
    ("a label that there is not", {"Severity": {"Label": "URGENT"}}, "enum value set"),
    ("a status that there is not", {"Compliance": {"Status": "EXEMPT"}}, "enum value set"),
    ("a number for a text", {"Title": 7}, "can not be converted to a String"),
    (
        "an update without a zone",
        {"UpdatedAt": "2026-03-02T12:00:00"},
        'data.UpdatedAt should match format "date-time"',
    ),
    ("a day that there is not", {"CreatedAt": "2026-02-30T12:00:00Z"}, "data.CreatedAt"),
]


@pytest.mark.parametrize(("what", "changes", "named"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_a_malformed_finding_fails_alone(hub: Hub, what: str, changes: Json, named: str) -> None:
    """The others of its call are imported; the failure says what is wrong with it."""
    answer = hub.put(finding(**changes), finding(Id="good"))
    [failed] = answer["FailedFindings"]
    assert (answer["SuccessCount"], failed["ErrorCode"]) == (1, "InvalidInput"), what
    assert named in failed["ErrorMessage"]


def test_a_malformed_finding_may_spoil_its_call() -> None:
    """AWS does not document which; so both can be tried."""
    with running_hub(refuses_whole_calls=True) as strict:
        findings = [finding(Id="good"), finding(Title="x" * 257)]
        code, message = refusal(strict.client(validate=False).batch_import_findings, Findings=findings)
        assert (code, "Findings[1]" in message) == ("InvalidInputException", True)
        assert strict.service.findings(ACCOUNT, REGION) == []


def at(path: str, value: object) -> Json:
    """A finding with `value` at a path of the table of limits."""
    made = finding(
        Resources=[{"Type": "AwsEc2Instance", "Id": INSTANCE_ARN, "Details": {"AwsEc2Instance": {}}, "Tags": {}}],
        Compliance={"Status": "FAILED"},
    )
    steps = path.replace("[]", ".0").replace("{key}", ".{key}").replace("{}", ".{}").split(".")
    here: object = made
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if step == "{key}":
            here[value] = "x"  # type: ignore[index]  # a map
            return made
        key: object = int(step) if step == "0" else "k" if step == "{}" else step
        if last:
            if isinstance(here, list) and not here:
                here.append(value)
            else:
                here[key] = value  # type: ignore[index]  # a map or a list
            return made
        if isinstance(here, list):
            here = here[int(step)]
            continue
        following = steps[number + 1]
        here = here.setdefault(key, [] if following == "0" else {})  # type: ignore[attr-defined]  # a map
    raise AssertionError(path)


TEXTS = {limit.path for limit in LIMITS} - {
    "Types",
    "FindingProviderFields.Types",
    "ProductFields",
    "UserDefinedFields",
    "Malware",
    "Threats",
    "ThreatIntelIndicators",
    "RelatedFindings",
    "Compliance.RelatedRequirements",
    "Compliance.AssociatedStandards",
    "Resources",
    "Resources[].Tags",
    "Resources[].Details.AwsEc2Instance.IpV4Addresses",
}


def of_size(path: str, size: int) -> object:
    """A text, list or map as the path takes it."""
    if path in TEXTS:
        return "x" * size
    if path.endswith(("Fields", "Tags")):
        return {str(number): "x" for number in range(size)}
    if path == "Resources":
        return [{"Type": "Other", "Id": str(number)} for number in range(size)]
    return ["x"] * size


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.path)
def test_every_limit_holds_at_its_end_and_not_beyond(limit: object) -> None:
    """Of the table itself; the harness above shows that the service asks it."""
    path, most, least = limit.path, limit.most, limit.least  # type: ignore[attr-defined]  # ids wants an object
    assert [one for one in problems(at(path, of_size(path, most))) if "should have" in one and "Label" not in one] == []
    [beyond] = [one for one in problems(at(path, of_size(path, most + 1))) if f" to {most}, not {most + 1}" in one]
    assert beyond.startswith("data.")
    if least:
        assert [one for one in problems(at(path, of_size(path, least - 1))) if f"{least} to {most}" in one]


@pytest.mark.parametrize("path", TIMES)
def test_every_time_is_looked_at(path: str) -> None:
    """A text that is no time is named."""
    assert problems(at(path, "yesterday"))


def test_an_older_or_equal_update_is_ignored(hub: Hub) -> None:
    """Silently: it counts as a success."""
    hub.put(finding(later(), Title="newest"))
    for updated_at in (NOW, later()):
        assert hub.put(finding(updated_at, Title="older"))["SuccessCount"] == 1
    assert hub.stored["Title"] == "newest"
    hub.put(finding(later() + timedelta(milliseconds=1), Title="newer by a millisecond"))
    assert hub.stored["Title"] == "newer by a millisecond"


def test_an_ignored_update_may_count_as_a_failure() -> None:
    """AWS does not document which; so both can be tried."""
    with running_hub(ignored_counts_as_success=False) as strict:
        strict.put(finding())
        assert strict.failure(finding())[0] == "FindingNotUpdated"


def test_what_is_the_customers_is_never_overwritten(hub: Hub) -> None:
    """By an import, whatever that says."""
    hub.put(finding())
    update(
        hub,
        Workflow={"Status": "SUPPRESSED"},
        Note={"Text": "known", "UpdatedBy": "me"},
        UserDefinedFields={"owner": "shop"},
        VerificationState="BENIGN_POSITIVE",
    )
    theirs = {
        name: value
        for name, value in hub.stored.items()
        if name in ("Workflow", "Note", "UserDefinedFields", "VerificationState")
    }
    assert len(theirs) == 4
    note = {"Text": "ours", "UpdatedBy": "provider", "UpdatedAt": iso(NOW)}
    ours: Json = {
        "Workflow": {"Status": "NEW"},
        "Note": note,
        "UserDefinedFields": {"owner": "provider"},
        "VerificationState": "UNKNOWN",
    }
    hub.put(finding(later(), **ours))
    assert {name: hub.stored[name] for name in theirs} == theirs


def test_what_the_customer_left_empty_stays_empty(hub: Hub) -> None:
    """An update cannot bring a note either."""
    hub.put(finding())
    hub.put(finding(later(), Note={"Text": "ours", "UpdatedBy": "provider", "UpdatedAt": iso(NOW)}))
    assert "Note" not in hub.stored


def test_severity_follows_the_provider_until_the_customer_changes_it(hub: Hub) -> None:
    """From then on only what the provider says of itself follows."""
    low = {"Severity": {"Label": "LOW"}, "Types": ["Effects"]}
    hub.put(finding())
    hub.put(finding(later(1), FindingProviderFields=low))
    assert (hub.stored["Severity"], hub.stored["Types"]) == ({"Label": "LOW", "Normalized": 1}, ["Effects"])
    update(hub, Severity={"Label": "CRITICAL"})
    hub.put(finding(later(2), FindingProviderFields=low | {"Types": ["TTPs"]}))
    assert (hub.stored["Severity"], hub.stored["Types"]) == ({"Label": "CRITICAL", "Normalized": 90}, ["TTPs"])
    assert hub.stored["FindingProviderFields"]["Severity"] == {"Label": "LOW"}


def test_an_update_of_the_customer_does_not_make_imports_older(hub: Hub) -> None:
    """UpdatedAt is the provider's."""
    hub.put(finding())
    hub.clock.forward(timedelta(days=1))
    update(hub, Workflow={"Status": "NOTIFIED"})
    hub.put(finding(later(), Title="newer"))
    assert hub.stored["Title"] == "newer"


CLOSED: Json = {"RecordState": "ARCHIVED"}
OPEN: Json = {"RecordState": "ACTIVE"}
PASSED: Json = {"Compliance": {"Status": "PASSED"}}
WARNING: Json = {"Compliance": {"Status": "WARNING"}}


@pytest.mark.parametrize(
    ("what", "before", "after", "workflow", "expected"),
    [
        ("archived, then active", CLOSED, OPEN, "RESOLVED", "NEW"),
        ("the same of one that was notified", CLOSED, OPEN, "NOTIFIED", "NEW"),
        ("suppressed stays so", CLOSED, OPEN, "SUPPRESSED", "SUPPRESSED"),
        ("passed, then a warning", PASSED, WARNING, "RESOLVED", "NEW"),
        ("passed, then failed", PASSED, {}, "NOTIFIED", "NEW"),
        ("failed, then passed", {}, PASSED, "NOTIFIED", "NOTIFIED"),
        ("nothing changed", {}, {}, "RESOLVED", "RESOLVED"),
    ],
)
def test_the_workflow_begins_anew_when_a_finding_comes_back(  # noqa: PLR0913, PLR0917 - the columns of the table
    hub: Hub, what: str, before: Json, after: Json, workflow: str, expected: str
) -> None:
    """As documented, and only then."""
    hub.put(finding(**before))
    update(hub, Workflow={"Status": workflow})
    hub.put(finding(later(), **after))
    assert hub.stored["Workflow"] == {"Status": expected}, what


def test_an_update_of_what_is_not_there_is_told(hub: Hub) -> None:
    """By name, beside what was updated."""
    hub.put(finding())
    missing = identifier("another")
    answer = hub.client().batch_update_findings(
        FindingIdentifiers=[identifier(), missing], Workflow={"Status": "NOTIFIED"}
    )
    assert (answer["ProcessedFindings"], answer["UnprocessedFindings"][0]["FindingIdentifier"]) == (
        [identifier()],
        missing,
    )


def test_30_calls_may_come_at_once_and_10_each_second(hub: Hub) -> None:
    """Of one account in one region; others are not slowed."""
    hub.service.enable(OTHER, REGION)
    for _ in range(30):
        hub.put(finding())
    throttled = ("ThrottlingException", "Rate exceeded")
    assert refusal(hub.client().batch_import_findings, Findings=[finding()]) == throttled
    assert refusal(hub.client(OTHER).batch_import_findings, Findings=[finding()])[0] == "AccessDeniedException"
    hub.clock.forward(timedelta(seconds=1))
    for _ in range(10):
        hub.put(finding())
    assert refusal(hub.client().batch_import_findings, Findings=[finding()]) == throttled
    hub.service.behaviour.limits_rates = False
    hub.put(finding())


FILTERS: list[tuple[str, Json, list[str]]] = [
    ("none", {}, ["a", "b", "c"]),
    ("a rule's", {"GeneratorId": [{"Value": "rolecall/x", "Comparison": "EQUALS"}]}, ["b"]),
    ("alternatives", {"Id": [{"Value": one, "Comparison": "EQUALS"} for one in "ab"]}, ["a", "b"]),
    ("a prefix", {"GeneratorId": [{"Value": "rolecall/", "Comparison": "PREFIX"}]}, ["a", "b", "c"]),
    ("a negation", {"Id": [{"Value": one, "Comparison": "NOT_EQUALS"} for one in "ab"]}, ["c"]),
    (
        "several fields",
        {
            "RecordState": [{"Value": "ACTIVE", "Comparison": "EQUALS"}],
            "AwsAccountId": [{"Value": ACCOUNT, "Comparison": "EQUALS"}],
            "Region": [{"Value": REGION, "Comparison": "EQUALS"}],
            "ProductArn": [{"Value": PRODUCT_ARN, "Comparison": "EQUALS"}],
            "ComplianceStatus": [{"Value": "FAILED", "Comparison": "EQUALS"}],
        },
        ["a", "b"],
    ),
]


@pytest.mark.parametrize(("what", "filters", "expected"), FILTERS, ids=[case[0] for case in FILTERS])
def test_findings_are_filtered(hub: Hub, what: str, filters: Json, expected: list[str]) -> None:
    """Where moto ignores filters."""
    hub.put(finding(Id="a"), finding(Id="b", GeneratorId="rolecall/x"), finding(Id="c", RecordState="ARCHIVED"))
    found = hub.client().get_findings(Filters=filters)["Findings"]
    assert [one["Id"] for one in found] == expected, what


@pytest.mark.parametrize(
    "filters",
    [
        {"NoteText": [{"Value": "x", "Comparison": "EQUALS"}]},
        {"Id": [{"Value": "x", "Comparison": "CONTAINS_WORD"}]},
        {"Id": [{"Value": "x"}]},
    ],
)
def test_a_filter_that_is_not_understood_is_refused(hub: Hub, filters: Json) -> None:
    """Rather than ignored."""
    assert refusal(hub.client().get_findings, Filters=filters)[0] == "InvalidInputException"


def test_findings_come_in_pages(hub: Hub) -> None:
    """Which lead on when some are empty, and are refused for other filters."""
    hub.put(*(finding(Id=str(number)) for number in range(5)))
    hub.service.faults.inject("empty-page", "GetFindings")
    client, token = hub.client(), dict[str, str]()
    found, sizes = list[str](), list[int]()
    while True:
        answer = client.get_findings(MaxResults=2, **token)
        found += [one["Id"] for one in answer["Findings"]]
        sizes.append(len(answer["Findings"]))
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert (found, sizes) == (["0", "1", "2", "3", "4"], [0, 2, 2, 1])
    other = {"Id": [{"Value": "1", "Comparison": "EQUALS"}]}
    assert refusal(client.get_findings, Filters=other, MaxResults=2, **token)[0] == "InvalidInputException"


def test_the_administrators_home_region_sees_all(hub: Hub) -> None:
    """Members see their own findings alone, in the home region those of every region."""
    places = [(account, region) for account in (ACCOUNT, OTHER) for region in (REGION, OTHER_REGION)]
    for account, region in places:
        hub.service.enable(account, region)
        product = f"arn:aws:securityhub:{region}:{account}:product/{account}/default"
        ours = finding(Id=f"{account} {region}", ProductArn=product, AwsAccountId=account)
        hub.put(ours, account=account, region=region)
    hub.service.aggregates(ACCOUNT, REGION, [OTHER], [OTHER_REGION])
    seen = {place: {one["Id"] for one in hub.client(*place).get_findings()["Findings"]} for place in places}
    everything = {f"{account} {region}" for account, region in places}
    assert seen == {
        (ACCOUNT, REGION): everything,
        (ACCOUNT, OTHER_REGION): {f"{account} {OTHER_REGION}" for account in (ACCOUNT, OTHER)},
        (OTHER, REGION): {f"{OTHER} {region}" for region in (REGION, OTHER_REGION)},
        (OTHER, OTHER_REGION): {f"{OTHER} {OTHER_REGION}"},
    }


def test_findings_fail_on_purpose(hub: Hub) -> None:
    """Those that are named, with the code that was asked for, once."""
    hub.service.faults.inject("fail-findings", resource_ids=["a"], code="InternalError")
    answer = hub.put(finding(Id="a"), finding(Id="b"))
    assert [(one["Id"], one["ErrorCode"]) for one in answer["FailedFindings"]] == [("a", "InternalError")]
    assert hub.put(finding(Id="a"))["SuccessCount"] == 1


@pytest.mark.parametrize(("kind", "stored"), [("drop", 0), ("lose-answer", 1)])
def test_a_broken_connection(hub: Hub, kind: str, stored: int) -> None:
    """The caller sees the same, but the call may have been carried out."""
    hub.service.faults.inject(kind, "BatchImportFindings")
    with pytest.raises(ConnectionClosedError):
        hub.put(finding())
    assert len(hub.service.findings(ACCOUNT, REGION)) == stored


def test_an_outage_passes(hub: Hub) -> None:
    """For a client that retries."""
    hub.service.faults.inject("outage", times=1, status=503)
    hub.service.faults.inject("throttle", times=1)
    assert hub.client(attempts=3).batch_import_findings(Findings=[finding()])["SuccessCount"] == 1
    assert [call.error for call in hub.service.journal.calls()] == ["outage", "throttle", None]


def test_the_journal_names_findings_by_id(hub: Hub) -> None:
    """Whole findings would fill the memory."""
    hub.put(finding())
    [call] = hub.service.journal.calls("BatchImportFindings")
    assert (call.account, call.region, call.input) == (ACCOUNT, REGION, {"Findings": [FINDING_ID]})


def test_what_is_not_carried_out_is_refused(hub: Hub) -> None:
    """With its name."""
    with pytest.raises(ClientError, match="does not carry out POST /insights/get"):
        hub.client().get_insights()

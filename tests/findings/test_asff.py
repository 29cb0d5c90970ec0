import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import __version__
from rolecall.findings import asff
from rolecall.findings.settings import DEFAULTS, FindingSettings
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord, read_record
from tests.builders import ACCOUNT, INSTANCE_ARN, INSTANCE_ID, PROFILE_ARN, REGION, RULE_ARN, RULE_NAME, Json
from tests.findings.asff_contract import violations
from tests.findings.records import raw_record, record
from tests.strategies import texts

CREATED = datetime(2026, 3, 2, 12, 0, 5, 250_000, tzinfo=UTC)
UPDATED = datetime(2026, 3, 9, 12, 0, 0, 1_000, tzinfo=UTC)


def finding_of(
    one: EvaluationRecord, settings: FindingSettings = DEFAULTS, *, archived: bool = False
) -> dict[str, Any]:
    """The finding of a record, at the tests' times."""
    return asff.finding(one, settings, archived=archived, created_at=CREATED, updated_at=UPDATED)


def with_instance(**changes: object) -> EvaluationRecord:
    """The record of an instance without a profile, with other facts under the record's own names."""
    return record(instance={**raw_record()["instance"], **changes})


def with_tags(tags: dict[str, str]) -> EvaluationRecord:
    """The same, with these tags."""
    return with_instance(tags=tags)


def test_a_finding_holds_all_that_somebody_needs_to_act() -> None:
    """The whole finding of an exempt instance."""
    parameters = raw_record()["rule"]["parameters"]
    assert finding_of(record(Reason.EXEMPT)) == {
        "SchemaVersion": "2018-10-08",
        "Id": f"rolecall/{RULE_NAME}/{ACCOUNT}/{REGION}/{INSTANCE_ID}",
        "ProductArn": f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default",
        "ProductName": "Rolecall",
        "CompanyName": "Rolecall",
        "GeneratorId": f"rolecall/{RULE_NAME}",
        "AwsAccountId": ACCOUNT,
        "CreatedAt": "2026-03-02T12:00:05.250Z",
        "UpdatedAt": "2026-03-09T12:00:00.001Z",
        "LastObservedAt": "2026-03-01T09:30:00.123Z",
        "Title": f"EC2 instance {INSTANCE_ID} intentionally has no IAM instance profile",
        "Description": (
            f"EC2 instance {INSTANCE_ID} of account {ACCOUNT} in {REGION} intentionally has no IAM instance profile. "
            "The exemption is what the instance's tags declare; nobody has verified it. "
            "No role is intended through 2026-12-31: licensed appliance, calls no AWS API."
        ),
        "FindingProviderFields": {
            "Severity": {"Label": "INFORMATIONAL", "Original": "INFORMATIONAL"},
            "Types": [
                "Software and Configuration Checks/AWS Security Best Practices",
                "Software and Configuration Checks/Industry and Regulatory Standards",
            ],
        },
        "Remediation": {
            "Recommendation": {
                "Text": (
                    "No role is intended through 2026-12-31: licensed appliance, calls no AWS API. "
                    "Nothing is to be done while it holds; review whether it is still needed, and attach an instance "
                    "profile if not."
                ),
                "Url": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html",
            }
        },
        "Compliance": {
            "Status": "WARNING",
            "StatusReasons": [
                {
                    "ReasonCode": "EXEMPT",
                    "Description": (
                        "EXEMPT: no role is intended through 2026-12-31: licensed appliance, calls no AWS API"
                    ),
                },
                {
                    "ReasonCode": "EXEMPTION_DECLARED",
                    "Description": (
                        "As the instance's tags declare, unverified: reason: licensed appliance, calls no AWS API; "
                        "approved by: platform security; ticket: SEC-1; granted: 2026-01-01; last day: 2026-12-31"
                    ),
                },
            ],
            "RelatedRequirements": [str(requirement) for requirement in REQUIREMENTS],
        },
        "Resources": [
            {
                "Type": "AwsEc2Instance",
                "Id": INSTANCE_ARN,
                "Partition": "aws",
                "Region": REGION,
                "Tags": {
                    "intentional-no-role": "licensed appliance, calls no AWS API",
                    "intentional-no-role:expires": "2026-12-31",
                    "intentional-no-role:granted": "2026-01-01",
                    "intentional-no-role:approved-by": "platform security",
                    "intentional-no-role:ticket": "SEC-1",
                },
                "Details": {
                    "AwsEc2Instance": {
                        "Type": "t3.small",
                        "ImageId": "ami-0123456789abcdef0",
                        "VpcId": "vpc-0ee55ff66aa77bb88",
                        "SubnetId": "subnet-0aa11bb22cc33dd44",
                        "LaunchedAt": "2026-02-20T07:00:05.000Z",
                        "MetadataOptions": {
                            "HttpEndpoint": "enabled",
                            "HttpPutResponseHopLimit": 2,
                            "HttpTokens": "required",
                        },
                    }
                },
            }
        ],
        "ProductFields": {
            "rolecall/Reason": "EXEMPT",
            "rolecall/RuleName": RULE_NAME,
            "rolecall/RuleArn": RULE_ARN,
            "rolecall/RuleParameters": json.dumps(parameters, sort_keys=True),
            "rolecall/Version": __version__,
            "rolecall/RecordId": raw_record(Reason.EXEMPT)["id"],
            "rolecall/OrderingTimestamp": "2026-03-01T09:30:00.123Z",
            "rolecall/EvaluatedAt": "2026-03-02T12:00:00.000Z",
            "rolecall/InstanceState": "running",
            "rolecall/FirstLaunchedAt": "2025-11-03T16:45:30.000Z",
            "rolecall/ExemptionState": "valid",
            "rolecall/ExemptionReason": "licensed appliance, calls no AWS API",
            "rolecall/ExemptionApprovedByAsDeclared": "platform security",
            "rolecall/ExemptionTicket": "SEC-1",
            "rolecall/ExemptionGranted": "2026-01-01",
            "rolecall/ExemptionExpires": "2026-12-31",
        },
        "RecordState": "ACTIVE",
    }


VERDICTS = [
    (Reason.LEFT_SCOPE, "NOT_AVAILABLE", "INFORMATIONAL"),
    (Reason.DELETED, "NOT_AVAILABLE", "INFORMATIONAL"),
    (Reason.NOT_RECORDED, "NOT_AVAILABLE", "INFORMATIONAL"),
    (Reason.OTHER_RESOURCE, "NOT_AVAILABLE", "INFORMATIONAL"),
    (Reason.TERMINATING, "NOT_AVAILABLE", "INFORMATIONAL"),
    (Reason.STOPPED, "NOT_AVAILABLE", "INFORMATIONAL"),
    (Reason.PROFILE_NOT_ALLOWED, "FAILED", "HIGH"),
    (Reason.PROFILE_ATTACHED, "PASSED", "INFORMATIONAL"),
    (Reason.EXEMPT, "WARNING", "INFORMATIONAL"),
    (Reason.EXEMPTION_EXPIRED, "FAILED", "MEDIUM"),
    (Reason.EXEMPTION_INVALID, "FAILED", "MEDIUM"),
    (Reason.NO_PROFILE, "FAILED", "MEDIUM"),
]


@pytest.mark.parametrize(("reason", "status", "label"), VERDICTS)
def test_each_reason_has_its_status_and_severity_and_breaks_no_rule(reason: Reason, status: str, label: str) -> None:
    """The first status reason is rolecall's own code with the annotation."""
    finding = finding_of(record(reason))
    assert violations(finding) == []
    assert finding["Compliance"]["Status"] == status
    assert finding["FindingProviderFields"]["Severity"] == {"Label": label, "Original": label}
    assert finding["Compliance"]["StatusReasons"][0] == {
        "ReasonCode": reason.value,
        "Description": record(reason).annotation,
    }


def test_settings_choose_severities_and_the_page() -> None:
    """The page is for every reason, the severity for its own."""
    page = "https://wiki.example.com/roles"
    chosen = FindingSettings({**DEFAULT_SEVERITIES, Reason.NO_PROFILE: Severity.CRITICAL}, remediation_url=page)
    failing, exempt = finding_of(record(), chosen), finding_of(record(Reason.EXEMPT), chosen)
    assert (
        failing["FindingProviderFields"]["Severity"]["Label"],
        exempt["FindingProviderFields"]["Severity"]["Label"],
    ) == (
        "CRITICAL",
        "INFORMATIONAL",
    )
    assert {one["Remediation"]["Recommendation"]["Url"] for one in (failing, exempt)} == {page}


def test_an_archived_finding_says_so() -> None:
    """What closes it is in the rest."""
    assert [finding_of(record(), archived=archived)["RecordState"] for archived in (False, True)] == [
        "ACTIVE",
        "ARCHIVED",
    ]


def test_a_profile_is_a_detail_of_the_instance() -> None:
    """Where there is one."""
    (resource,) = finding_of(record(Reason.PROFILE_NOT_ALLOWED))["Resources"]
    assert resource["Details"]["AwsEc2Instance"]["IamInstanceProfileArn"] == PROFILE_ARN


def test_a_resource_without_an_instance_has_neither_details_nor_tags() -> None:
    """A deleted instance, and something that is no instance."""
    assert [finding_of(record(reason))["Resources"] for reason in (Reason.DELETED, Reason.OTHER_RESOURCE)] == [
        [{"Type": "AwsEc2Instance", "Id": INSTANCE_ARN, "Partition": "aws", "Region": REGION}],
        [{"Type": "Other", "Id": "arn:aws:s3:::a-bucket", "Partition": "aws", "Region": REGION}],
    ]


@pytest.mark.parametrize(
    ("arn", "resource_type", "expected"),
    [
        (None, "AWS::EC2::Instance", INSTANCE_ARN),
        (" ", "AWS::EC2::Instance", INSTANCE_ARN),
        (None, "AWS::S3::Bucket", INSTANCE_ID),
    ],
)
def test_a_resource_is_named_by_its_arn_or_by_what_is_known(arn: str | None, resource_type: str, expected: str) -> None:
    """An instance's ARN can be built; another resource keeps its id."""
    one = record(resourceArn=arn, resourceType=resource_type)
    assert finding_of(one)["Resources"][0]["Id"] == expected


@pytest.mark.parametrize(
    ("partition", "shown"),
    [
        ("aws", "aws"),
        ("aws-cn", "aws-cn"),
        ("aws-us-gov", "aws-us-gov"),
        ("aws-iso", None),
        ("aws-iso-b", None),
        ("aws-eusc", None),
    ],
)
def test_a_partition_that_the_format_does_not_know_is_left_out(partition: str, shown: str | None) -> None:
    """The import would be refused; the ARNs name it anyway."""
    finding = finding_of(record(partition=partition))
    assert finding["Resources"][0].get("Partition") == shown
    assert finding["ProductArn"].split(":")[1] == partition
    assert violations(finding) == []


def test_what_is_not_known_is_left_out() -> None:
    """A blank text would make the whole finding invalid."""
    bare: Json = {**dict.fromkeys(raw_record()["instance"]), "state": "pending", "tags": {}}
    (resource,) = finding_of(record(instance=bare))["Resources"]
    assert resource == {
        "Type": "AwsEc2Instance",
        "Id": INSTANCE_ARN,
        "Partition": "aws",
        "Region": REGION,
        "Details": {"AwsEc2Instance": {}},
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"state": "applied"}, None),
        ({"httpTokens": "", "httpEndpoint": 1, "httpPutResponseHopLimit": True}, None),
        ({"httpPutResponseHopLimit": "2"}, None),
        (
            {"httpTokens": "optional", "httpProtocolIpv6": "disabled", "instanceMetadataTags": "enabled"},
            {"HttpTokens": "optional", "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "enabled"},
        ),
    ],
)
def test_metadata_options_are_shown_as_far_as_the_format_knows_them(options: Json, expected: Json | None) -> None:
    """Whatever else a record holds there is left out."""
    details = finding_of(with_instance(metadataOptions=options))["Resources"][0]["Details"]["AwsEc2Instance"]
    assert details.get("MetadataOptions") == expected


def test_the_first_launch_stands_in_for_an_unknown_last_one() -> None:
    """`LaunchedAt` moves with every start, as it does in EC2; the first launch has a field of its own."""
    finding = finding_of(with_instance(lastLaunch=None))
    assert finding["Resources"][0]["Details"]["AwsEc2Instance"]["LaunchedAt"] == "2025-11-03T16:45:30.000Z"


AT_THE_LIMIT = [
    ("50 tags", {f"k{n}": "v" for n in range(50)}, {f"k{n}": "v" for n in range(50)}, None),
    ("51 tags", {f"k{n}": "v" for n in range(51)}, {f"k{n}": "v" for n in range(50)}, "1"),
    (
        "AWS's own go first",
        {"aws:autoscaling:groupName": "g", **{f"k{n}": "v" for n in range(50)}},
        {f"k{n}": "v" for n in range(50)},
        "1",
    ),
    ("longest key and value", {"k" * 128: "v" * 256}, {"k" * 128: "v" * 256}, None),
    ("one longer", {"k" * 129: "v" * 257}, {"k" * 128: "v" * 256}, None),
    ("two that are one when cut", {"k" * 129: "a", "k" * 130: "b"}, {"k" * 128: "a"}, "1"),
    ("half a character", {"k" * 127 + "😀": "v" * 255 + "😀"}, {"k" * 127: "v" * 255}, None),
    ("without a value", {"empty": "", "blank": " ", " ": "v", "kept": "v"}, {"kept": "v"}, "3"),
    ("what UTF-8 cannot carry", {"k\ud800": "\udfffv"}, {"k\ufffd": "\ufffdv"}, None),
]


@pytest.mark.parametrize(("what", "tags", "expected", "left_out"), AT_THE_LIMIT, ids=[case[0] for case in AT_THE_LIMIT])
def test_tags_keep_their_limits_and_what_is_left_out_is_counted(
    what: str, tags: dict[str, str], expected: dict[str, str], left_out: str | None
) -> None:
    """At the limit and one beyond it."""
    finding = finding_of(with_tags(tags))
    assert finding["Resources"][0]["Tags"] == expected, what
    assert finding["ProductFields"].get("rolecall/TagsLeftOut") == left_out
    assert violations(finding) == []


def _exemption_of(reason: str) -> Json:
    """What the tags of an instance declare, with nothing but a reason."""
    return {"state": "expired", "reason": reason}


def _parameters_of(length: int) -> Json:
    """Rule parameters whose JSON has that many characters."""
    return {**raw_record()["rule"], "parameters": {"x": "y" * (length - len('{"x": ""}'))}}


@pytest.mark.parametrize(
    ("field", "at_limit", "beyond", "limit"),
    [
        (
            "ProductFields.rolecall/RuleParameters",
            {"rule": _parameters_of(2048)},
            {"rule": _parameters_of(2049)},
            2048,
        ),
        (
            "ProductFields.rolecall/ExemptionReason",
            {"exemption": _exemption_of("x" * 256)},
            {"exemption": _exemption_of("x" * 257)},
            256,
        ),
        (
            "Compliance.StatusReasons.1.Description",
            {"exemption": _exemption_of("x" * 256)},
            {"exemption": _exemption_of("x" * 257)},
            len("As the instance's tags declare, unverified: reason: ") + 256,
        ),
        ("ProductFields.rolecall/RecordId", {"id": "x" * 256}, {"id": "x" * 257}, 256),
        ("Resources.0.Id", {"resourceArn": "x" * 512}, {"resourceArn": "x" * 513}, 512),
        (
            "Resources.0.Details.AwsEc2Instance.IamInstanceProfileArn",
            {"profileArn": "x" * 1024},
            {"profileArn": "x" * 1025},
            1024,
        ),
        (
            "Resources.0.Details.AwsEc2Instance.VpcId",
            {"instance": {**raw_record()["instance"], "vpcId": "x" * 256}},
            {"instance": {**raw_record()["instance"], "vpcId": "x" * 257}},
            256,
        ),
        ("Compliance.StatusReasons.0.Description", {"annotation": "x" * 1024}, {"annotation": "x" * 1025}, 1024),
        ("Resources.0.Region", {"region": "r" * 16}, {"region": "r" * 17}, 16),
    ],
)
def test_a_field_keeps_its_limit(field: str, at_limit: Json, beyond: Json, limit: int) -> None:
    """At the limit it is whole; one beyond it is cut, or, where half of it would be wrong, left out."""
    whole, cut = (_at(finding_of(record(**changes)), field) for changes in (at_limit, beyond))
    assert whole is not None
    assert len(whole) == limit
    assert cut is None or len(cut) == limit
    assert violations(finding_of(record(**beyond))) == []


def _at(finding: Json, path: str) -> str | None:
    value: Any = finding
    for name in path.split("."):
        value = value[int(name)] if name.isdigit() else value.get(name)
    assert value is None or isinstance(value, str)
    return value


def _hostile(character: str) -> EvaluationRecord:
    """A record all of whose texts are many times as long as they may be, and made of one character."""
    long = character * 5000
    raw = raw_record(Reason.EXEMPT)
    exemption = dict.fromkeys(("problem", "reason", "approvedBy", "ticket"), long)
    return read_record(
        {
            **raw,
            "id": long,
            "region": long,
            "resourceId": long,
            "resourceArn": long,
            "annotation": long,
            "profileArn": long,
            "rule": {"name": long, "arn": long, "rolecallVersion": long, "parameters": {long: long}},
            "exemption": {**raw["exemption"], **exemption},
            "instance": {
                **raw["instance"],
                **dict.fromkeys(("type", "imageId", "vpcId", "subnetId"), long),
                "metadataOptions": dict.fromkeys(("httpTokens", "httpEndpoint", "instanceMetadataTags"), long),
                "tags": {f"{n:04}{long}": long for n in range(1000)},
            },
        }
    )


@pytest.mark.parametrize("character", ["x", "é", "😀", "\x00", "\ud800", "\\", '"'])
def test_a_finding_has_at_most_240_kb_whatever_its_record_holds(character: str) -> None:
    """As JSON, in which a character may take six bytes, with everything at its limit."""
    assert violations(finding_of(_hostile(character))) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"Title": "x" * 257}, ["Title has 257 characters"]),
        ({"Title": " "}, ["Title is blank"]),
        ({"Title": "😀" * 129}, ["Title has 258 characters"]),
        ({"Workflow": {"Status": "NEW"}}, ["Workflow is not the provider's"]),
        ({"Severity": {"Label": "LOW"}}, ["Severity is not the provider's"]),
        ({"RecordState": "CLOSED"}, ["RecordState is CLOSED"]),
        ({"ProductFields": {"aws/x": "y"}}, ["ProductFields.aws/x is reserved"]),
        ({"ProductFields": {"x": "y" * 2049}}, ["ProductFields.x has 2049 characters"]),
        ({"ProductFields": {f"k{n}": "v" for n in range(51)}}, ["ProductFields has 51 members"]),
        ({"Resources": []}, ["Resources has 0 members"]),
        ({"SourceUrl": "x" * 240_000}, ["more than 240000 bytes"]),
        ({"Titel": "x"}, None),
        ({"Id": None}, None),
    ],
)
def test_the_contract_sees_what_breaks_it(broken: Json, said: list[str] | None) -> None:
    """Or the tests that hold findings against it would prove nothing; what botocore says is in its own words."""
    found = violations({**finding_of(record()), **broken})
    assert found
    assert said is None or found == said


@given(
    reason=st.sampled_from(Reason),
    fields=st.fixed_dictionaries(
        {},
        optional={name: texts.filter(bool) for name in ("region", "resourceId", "annotation", "id", "partition")}
        | {"resourceArn": texts, "profileArn": texts},
    ),
    facts=st.fixed_dictionaries(
        {},
        optional={name: st.none() | texts for name in ("type", "imageId", "vpcId", "subnetId")}
        | {"tags": st.dictionaries(texts, texts, max_size=60)},
    ),
    archived=st.booleans(),
)
def test_no_record_becomes_a_finding_that_breaks_a_rule(
    reason: Reason, fields: Json, facts: Json, *, archived: bool
) -> None:
    """Whatever it holds; and the finding can be sent."""
    instance = raw_record(reason)["instance"]
    changed = {**fields, **({"instance": {**instance, **facts}} if instance else {})}
    finding = finding_of(record(reason, **changed), archived=archived)
    assert violations(finding) == []
    json.dumps(finding, ensure_ascii=False).encode()

import json
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.aws import LocalAws
from local.faults import FaultKind
from tests.builders import ACCOUNT, Json
from tests.local.roles import create_role, sts_as, sts_of, trust_of

MEMBER = "444455556666"


def refused(client: Any, **request: object) -> tuple[str, str]:  # noqa: ANN401 - boto3 makes it
    """Code and message of the error that AssumeRole ends with."""
    with pytest.raises(ClientError) as caught:
        client.assume_role(**{"RoleSessionName": "sts-test", **request})
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_a_role_that_nobody_made_cannot_be_assumed(local_aws: LocalAws) -> None:
    """Moto alone would hand out credentials; AWS says the same as for a role that does not trust the caller."""
    arn = f"arn:aws:iam::{MEMBER}:role/nobodys"
    code, message = refused(local_aws.client("sts"), RoleArn=arn)
    caller = f"arn:aws:iam::{ACCOUNT}:user/administrator"
    assert code == "AccessDenied"
    assert message == f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"


def test_a_role_lets_in_whom_it_trusts(local_aws: LocalAws) -> None:
    """The session of a role counts as the role; one of another role of the same account does not."""
    wanted, other = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("sts-wanted", "sts-other"))
    arn = create_role(local_aws, MEMBER, "sts-trusting", trust_of(ACCOUNT, ArnEquals={"aws:PrincipalArn": wanted}))
    client = sts_as(local_aws, wanted)
    answer = client.assume_role(RoleArn=arn, RoleSessionName="sts-test")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{MEMBER}:assumed-role/sts-trusting/sts-test"
    assert refused(sts_as(local_aws, other), RoleArn=arn)[0] == "AccessDenied"


def test_an_assumed_role_may_assume_the_next_one_for_an_hour_at_most(local_aws: LocalAws) -> None:
    """Role chaining: whom the second role sees is the first role."""
    first = create_role(local_aws, ACCOUNT, "sts-first", trust_of(ACCOUNT))
    second = create_role(local_aws, MEMBER, "sts-second", trust_of(ACCOUNT, ArnEquals={"aws:PrincipalArn": first}))
    assert refused(local_aws.client("sts"), RoleArn=second)[0] == "AccessDenied"
    credentials = local_aws.client("sts").assume_role(RoleArn=first, RoleSessionName="sts-test")["Credentials"]
    chained = sts_of(local_aws, credentials)
    assert chained.assume_role(RoleArn=second, RoleSessionName="sts-test")["Credentials"]["AccessKeyId"]
    code, message = refused(chained, RoleArn=second, DurationSeconds=3601)
    assert (code, "1 hour session limit" in message) == ("ValidationError", True)


def test_external_id_and_organization_are_looked_at(local_aws: LocalAws) -> None:
    """Each as the caller or its account has it, or not at all."""
    conditions = {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "sts:ExternalId": "shared"}
    arn = create_role(local_aws, MEMBER, "sts-conditions", trust_of(ACCOUNT, StringEquals=conditions))
    client = local_aws.client("sts")
    assert refused(client, RoleArn=arn, ExternalId="shared")[0] == "AccessDenied"
    local_aws.sts.organizations[ACCOUNT] = "o-a1b2c3d4e5"
    try:
        assert refused(client, RoleArn=arn)[0] == "AccessDenied"
        assert client.assume_role(RoleArn=arn, RoleSessionName="sts-test", ExternalId="shared")["Credentials"]
    finally:
        local_aws.sts.organizations.clear()


def test_a_role_has_its_whole_arn(local_aws: LocalAws) -> None:
    """Its path belongs to it."""
    iam = local_aws.client("iam", MEMBER)
    iam.create_role(RoleName="sts-path", Path="/team/", AssumeRolePolicyDocument=json.dumps(trust_of(ACCOUNT)))
    client = local_aws.client("sts")
    assert refused(client, RoleArn=f"arn:aws:iam::{MEMBER}:role/sts-path")[0] == "AccessDenied"
    assert client.assume_role(RoleArn=f"arn:aws:iam::{MEMBER}:role/team/sts-path", RoleSessionName="sts-test")


INVALID: list[tuple[Json, str]] = [
    ({"RoleArn": f"arn:aws:iam::{MEMBER}:user/somebody"}, f"arn:aws:iam::{MEMBER}:user/somebody is invalid"),
    ({"RoleArn": f"arn:aws:iam::{MEMBER}:role/r", "RoleSessionName": "a b"}, "Value 'a b' at 'roleSessionName' failed"),
]


@pytest.mark.parametrize(("request_", "message"), INVALID, ids=[case[1] for case in INVALID])
def test_what_is_malformed_is_refused(local_aws: LocalAws, request_: Json, message: str) -> None:
    """As STS words it."""
    code, said = refused(local_aws.client("sts"), **request_)
    assert (code, said.startswith(message)) == ("ValidationError", True)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.THROTTLE, "Throttling"),
        (FaultKind.DENY, "AccessDenied"),
        (FaultKind.OUTAGE, "InternalFailure"),
    ],
)
def test_sts_can_be_made_to_fail(local_aws: LocalAws, kind: FaultKind, code: str) -> None:
    """Only AssumeRole, and the journal tells."""
    client = local_aws.client("sts")
    local_aws.sts.faults.inject(kind, times=None)
    try:
        client.get_caller_identity()
        assert refused(client, RoleArn=f"arn:aws:iam::{MEMBER}:role/r")[0] == code
    finally:
        local_aws.sts.faults.clear()
    assert local_aws.sts.journal.calls()[-1].error == kind


def test_sts_can_lose_the_connection(local_aws: LocalAws) -> None:
    """Then there is no answer at all."""
    local_aws.sts.faults.inject(FaultKind.DROP, times=None)
    try:
        with pytest.raises(BotoCoreError, match="Connection was closed"):
            local_aws.client("sts").assume_role(RoleArn=f"arn:aws:iam::{MEMBER}:role/r", RoleSessionName="sts-test")
    finally:
        local_aws.sts.faults.clear()


def test_credentials_of_a_session_end(local_aws: LocalAws) -> None:
    """When STS said that they would."""
    arn = create_role(local_aws, MEMBER, "sts-short", trust_of(ACCOUNT))
    answer = local_aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="sts-test", DurationSeconds=900)
    client = sts_of(local_aws, answer["Credentials"])
    assert client.get_caller_identity()["Account"] == MEMBER
    before = local_aws.config.credentials.clock
    local_aws.config.credentials.clock = lambda: before() + 900_000
    try:
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            client.get_caller_identity()
    finally:
        local_aws.config.credentials.clock = before

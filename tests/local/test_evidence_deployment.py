"""A day's package, made by the functions of the synthesized stack out of what the rule's function has judged."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.demo_evidence import PUBLIC_KEY, take_along, verified
from local.deployment import Deployment
from local.evidence_deployment import EvidenceDeployment
from local.faults import FaultKind
from rolecall.aws.object_store import ObjectStore
from rolecall.evidence.findings import Outcome
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.verifying import verify
from tests.local.synthesized import packaged_assembly

ROOT = Path(__file__).parents[2]
STACK = "Evident"


def yesterday() -> date:
    """The day that is packaged: a day has to be over."""
    return datetime.now(UTC).date() - timedelta(days=1)


@pytest.fixture(scope="module")
def evident() -> Iterator[tuple[LocalAws, EvidenceDeployment]]:
    """One account whose instances were judged; what its bus sent has arrived in the ledger."""
    assembled = packaged_assembly(evidence=True, stackName=STACK)
    arrival = datetime.combine(yesterday(), datetime.min.time(), UTC) + timedelta(hours=12)
    with (
        LocalAws() as aws,
        Deployment(aws, assembled, time_scale=0.001) as deployment,
        EvidenceDeployment(aws, assembled, clock=lambda: arrival, time_scale=0.001) as evidence,
    ):
        ec2 = aws.client("ec2")
        ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=2, MaxCount=2)
        aws.recorder.record_now()
        deployment.wait_idle(60)
        assert evidence.relay.deliver() == 2
        yield aws, evidence


def read(aws: LocalAws, bucket: str, key: str) -> bytes:
    """An object, unpacked if it is packed."""
    body = bytes(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return gzip.decompress(body) if key.endswith(".gz") else body


def keys(aws: LocalAws, bucket: str, prefix: str = "") -> list[str]:
    """What a bucket holds."""
    listed = aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [one["Key"] for one in listed.get("Contents", ())]


def test_a_shard_that_cannot_be_collected_fails_the_day(evident: tuple[LocalAws, EvidenceDeployment]) -> None:
    """After five attempts; then nothing is sealed. The next test runs the same day again."""
    aws, evidence = evident
    aws.config.faults.inject(FaultKind.GARBLE, "SelectResourceConfig", times=None)
    try:
        execution = evidence.package(yesterday())
    finally:
        aws.config.faults.clear()
    assert (execution.status, execution.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert "ServiceError" in str(execution.cause)
    assert keys(aws, evidence.bucket("Packages")) == []


def test_a_day_is_packaged(evident: tuple[LocalAws, EvidenceDeployment]) -> None:
    """By the three functions under AWS's runtime client, from their own package; each object is locked."""
    aws, evidence = evident
    day = yesterday()
    execution = evidence.package(day)
    assert (execution.status, execution.cause) == ("SUCCEEDED", None)
    assert [attempt.state for attempt in execution.attempts] == ["Plan", "CollectShard", "Seal"]
    packages = evidence.bucket("Packages")
    manifest = json.loads(read(aws, packages, f"packages/{day}/manifest.json"))
    assert manifest["schema"] == "rolecall.evidence/v1"
    assert manifest["sequence"] == 1
    assert {file["path"] for file in manifest["files"]} >= {"coverage.json", "kpis.json", "report.html"}
    assert sorted(keys(aws, packages)) == sorted(
        f"packages/{day}/{path}"
        for path in ("manifest.json", "manifest.sig", *(file["path"] for file in manifest["files"]))
    )
    rows = read(aws, packages, f"packages/{day}/evaluations/{aws.account}_{aws.region}.jsonl.gz").splitlines()
    verdicts = [json.loads(row).get("verdict") for row in rows]
    assert verdicts.count("NON_COMPLIANT") == 2
    public = PublicKey.from_der(aws.client("kms").get_public_key(KeyId=evidence.key_arn)["PublicKey"])
    verified = verify(ObjectStore(aws.client("s3"), packages, "packages"), [public], until=day)
    assert (verified.outcome, [*verified.all_findings()]) == (Outcome.OK, [])
    for key in keys(aws, packages):
        head = aws.client("s3").head_object(Bucket=packages, Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert head["ObjectLockRetainUntilDate"] - datetime.now(UTC) > timedelta(days=399)


def test_the_package_of_yesterday_is_counted(evident: tuple[LocalAws, EvidenceDeployment]) -> None:
    """The metric that an alarm waits for, and the instances by verdict; a package that is there counts again."""
    _, evidence = evident
    (seal,) = (arn for arn in evidence.functions if "Seal" in arn)
    (metrics,) = (line for line in evidence.invoke(seal, {"day": yesterday().isoformat()}).json_log() if "_aws" in line)
    assert (metrics["service"], metrics["PackagesSealed"]) == ("rolecall-ec2-instance-profile", [1.0])
    assert {name: metrics[name] for name in metrics if name.startswith("Instances")} == {
        "Instances": [2.0],
        "InstancesWithRole": [0.0],
        "InstancesExempt": [0.0],
        "InstancesNonCompliant": [2.0],
        "InstancesNotApplicable": [0.0],
        "InstancesUnevaluated": [0.0],
    }


def test_nobody_else_writes_or_deletes_what_is_signed(evident: tuple[LocalAws, EvidenceDeployment]) -> None:
    """Neither an administrator nor a role named like theirs, by the policies that the stack has."""
    aws, evidence = evident
    tomorrow = yesterday() + timedelta(days=1)
    ledger, packages = evidence.bucket("Ledger"), evidence.bucket("Packages")
    planted = [
        (packages, f"packages/{tomorrow}/manifest.json"),
        *((ledger, f"{folder}/{tomorrow}/planted") for folder in ("plans", "shards")),
        (ledger, f"ledger/dt={tomorrow}/planted"),
    ]
    there = [(bucket, keys(aws, bucket, prefix)[0]) for bucket, prefix in ((packages, ""), (ledger, "shards/"))]
    for s3 in (aws.client("s3"), aws.client("s3", role_arn=f"arn:aws:iam::{aws.account}:role/{STACK}-evidence-other")):
        lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
        for bucket, key in planted:
            with pytest.raises(ClientError, match="not authorized to perform: s3:PutObject"):
                s3.put_object(Bucket=bucket, Key=key, IfNoneMatch="*", **(lock if bucket == packages else {}))
        for bucket, key in there:
            version = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
            for action, named in (("s3:DeleteObject", {}), ("s3:DeleteObjectVersion", {"VersionId": version})):
                with pytest.raises(ClientError, match=f"not authorized to perform: {action} on"):
                    s3.delete_object(Bucket=bucket, Key=key, **named)


def test_the_same_day_again_changes_nothing(evident: tuple[LocalAws, EvidenceDeployment]) -> None:
    """Each step finds its work done; versions show that nothing was written over."""
    aws, evidence = evident
    first = evidence.package(yesterday())
    again = evidence.package(yesterday())
    assert (again.status, again.output) == ("SUCCEEDED", first.output)
    versions: Any = aws.client("s3").list_object_versions(Bucket=evidence.bucket("Packages"))["Versions"]
    assert len(versions) == len({version["Key"] for version in versions})


def test_a_day_that_is_not_over_is_refused(evident: tuple[LocalAws, EvidenceDeployment]) -> None:
    """After all retries, as Step Functions cannot know that waiting is in vain."""
    _, evidence = evident
    execution = evidence.package(yesterday() + timedelta(days=1))
    assert (execution.status, execution.error) == ("FAILED", "InvalidRecord")


def test_a_package_is_taken_along(
    evident: tuple[LocalAws, EvidenceDeployment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the demo does: in place of what is there, with the public key; its command tells the good from the bad."""
    monkeypatch.chdir(ROOT)
    aws, evidence = evident
    folder, day = tmp_path / "the evidence", yesterday()
    (folder / "2026-01-01").mkdir(parents=True)
    package = take_along(aws, evidence, day, folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"{day}", PUBLIC_KEY]
    assert (package.totals.population, package.totals.non_compliant) == (2, 2)
    assert package.report.is_file()
    outcome, _, says = verified(package.verify_command).partition("  ")
    assert (outcome, says.strip()) == (
        "ok",
        f"1 package of {day}: every file is as it was sealed, every instance is accounted for.",
    )
    package.report.write_text("<!doctype html>All is well.", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"→ report\.html: was changed: it has 27 bytes; the manifest says"):
        verified(package.verify_command)


def test_nothing_is_taken_along_of_a_day_that_is_not_over(
    evident: tuple[LocalAws, EvidenceDeployment], tmp_path: Path
) -> None:
    """The demo ends with the state machine's own words, and what is there stays."""
    (tmp_path / "kept").touch()
    with pytest.raises(SystemExit, match=r"the state machine FAILED: InvalidRecord: .* is not over"):
        take_along(*evident, yesterday() + timedelta(days=1), tmp_path)
    assert (tmp_path / "kept").is_file()

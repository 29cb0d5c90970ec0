import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from local.aws import LocalAws
from rolecall.aws.object_store import ObjectStore
from rolecall.aws.signing_key import SigningKey
from rolecall.cli import app
from rolecall.evidence.keys import PublicKey
from rolecall.evidence.packages import read_package
from rolecall.evidence.sealing import seal
from rolecall.evidence.stores import FolderStore
from tests.evidence.chains import A_DAY, ANOTHER_KEY, FIRST_DAY, KEY, RULE, build, measured

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date()
PART = "evaluations/111122223333_eu-west-1.jsonl.gz"


@pytest.fixture(name="evidence")
def _evidence(tmp_path: Path) -> Path:
    """Three days that end yesterday."""
    folder = tmp_path / "evidence"
    build(FolderStore(folder), 3, first=YESTERDAY - timedelta(days=2))
    return folder


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Path:
    file = tmp_path / "public-key.pem"
    file.write_text(KEY.public.pem())
    return file


def run(*arguments: object) -> Result:
    """`rolecall evidence …`."""
    return CliRunner().invoke(app, ["evidence", *map(str, arguments)])


def test_evidence_that_is_whole_ends_with_0(evidence: Path, key: Path) -> None:
    """A line for each package, and what was found out."""
    result = run("verify", evidence, "--public-key", key)
    first = YESTERDAY - timedelta(days=2)
    assert result.exit_code == 0
    days = [first + timedelta(days=number) for number in range(3)]
    packages = [
        f"ok             {day}  number {number}: 12 files, {size:,} bytes, 8 instances"
        for number, (day, size) in enumerate(zip(days, _sizes(evidence), strict=True), 1)
    ]
    assert result.stdout.splitlines() == [
        *packages,
        f"pinned key     {KEY.fingerprint}, from {key}",
        f"note           the chain begins on {first}, with number 1: compare with the day that you know",
        (
            f"ok             3 packages from {first} to {YESTERDAY}, without a gap: every file is as it was sealed, "
            "every instance is accounted for."
        ),
    ]


def _sizes(evidence: Path) -> Iterator[int]:
    for day in sorted(evidence.iterdir()):
        yield sum(path.stat().st_size for path in day.rglob("*") if path.is_file() and "manifest" not in path.name)


def test_what_is_wrong_is_said_where_it_is(evidence: Path, key: Path) -> None:
    """The package, the file, and what it should be; --quiet leaves out the rest."""
    size = (evidence / f"{YESTERDAY}" / PART).stat().st_size
    (evidence / f"{YESTERDAY}" / PART).write_bytes(b"")
    (evidence / f"{YESTERDAY}" / "\x1b[2Jnotes").write_bytes(b"")
    result = run("verify", evidence, "--public-key", key, "--quiet")
    assert result.exit_code == 3
    package, *findings = result.stdout.splitlines()
    assert package.startswith(f"tampered       {YESTERDAY}  number 3: ")
    assert findings == [
        "               → \N{REPLACEMENT CHARACTER}[2Jnotes: is not listed in the manifest: it was added",
        f"               → {PART}: was changed: it has 0 bytes; the manifest says {size}",
    ]


def tampered(evidence: Path) -> None:
    """Change a byte."""
    (evidence / f"{YESTERDAY}" / "kpis.json").write_bytes(b"")


def incomplete(evidence: Path) -> None:
    """Remove a file."""
    (evidence / f"{YESTERDAY}" / "kpis.json").unlink()


def gap(evidence: Path) -> None:
    """Remove a day."""
    shutil.rmtree(evidence / f"{YESTERDAY - timedelta(days=1)}")


def stale(evidence: Path) -> None:
    """Remove the last day."""
    shutil.rmtree(evidence / f"{YESTERDAY}")


def nothing(evidence: Path) -> None:
    """Remove everything."""
    shutil.rmtree(evidence)
    evidence.mkdir()


@pytest.mark.parametrize(
    ("harms", "code", "outcome"),
    [
        ([], 0, "ok"),
        ([tampered], 3, "tampered"),
        ([incomplete], 4, "incomplete"),
        ([gap], 5, "gap"),
        ([stale], 6, "stale"),
        ([nothing], 7, "cannot verify"),
        ([stale, gap], 6, "stale"),
        ([tampered, gap], 3, "tampered"),
        ([incomplete, gap], 4, "incomplete"),
    ],
)
def test_the_exit_code_says_what_kind_of_wrong_it_is(
    evidence: Path, key: Path, harms: list[object], code: int, outcome: str
) -> None:
    """And so does the report; of several, the worst."""
    for harm in harms:
        harm(evidence)  # type: ignore[operator]  # one of the above
    result = run("verify", evidence, "--public-key", key, "--format", "json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["exitCode"], report["outcome"]) == (code, code, outcome)
    assert report["begins"] == (None if harms == [nothing] else f"{YESTERDAY - timedelta(days=2)}")


def test_files_that_are_not_there_are_not_counted(evidence: Path, key: Path) -> None:
    """Nor are they passed over in silence."""
    incomplete(evidence)
    line = run("verify", evidence, "--public-key", key).stdout.splitlines()[2]
    assert line.startswith(f"incomplete     {YESTERDAY}  number 3: 11 of 12 files, ")


def test_of_packages_that_are_all_later_the_option_is_named(tmp_path: Path, key: Path) -> None:
    """Whoever verifies old evidence or a demo has forgotten it."""
    build(FolderStore(tmp_path), 1, first=YESTERDAY)
    before = YESTERDAY - timedelta(days=1)
    result = run("verify", tmp_path, "--public-key", key, "--until", before)
    assert result.exit_code == 5
    assert (
        f"there is no package of {before}; the next one is of {YESTERDAY}: --until says which day must be the last"
        in result.stdout
    )


def test_a_report_for_programs_says_everything(evidence: Path, key: Path) -> None:
    """Keys, days, what the first package hangs on, every package and every finding."""
    first, second = (YESTERDAY - timedelta(days=2), YESTERDAY - timedelta(days=1))
    sealed = [read_package(FolderStore(evidence), day) for day in (first, second, YESTERDAY)]
    incomplete(evidence)
    result = run("verify", evidence, "--public-key", key, "--from", second, "--until", YESTERDAY, "-f", "json")
    sizes = list(_sizes(evidence))[1:]
    assert json.loads(result.stdout) == {
        "outcome": "incomplete",
        "exitCode": 4,
        "publicKeys": [KEY.fingerprint],
        "from": f"{second}",
        "until": f"{YESTERDAY}",
        "begins": None,
        "signedSince": {KEY.fingerprint: f"{second}"},
        "anchor": sealed[0].as_previous.to_json(),
        "packages": [
            {
                "day": f"{one.manifest.day}",
                "outcome": outcome,
                "sequence": one.manifest.sequence,
                "manifestSha256": one.manifest_sha256,
                "files": 12,
                "filesPresent": 12 - findings,
                "bytes": size,
                "totals": one.manifest.totals.to_json(),
                "findings": findings,
            }
            for one, outcome, size, findings in zip(sealed[1:], ("ok", "incomplete"), sizes, (0, 1), strict=True)
        ],
        "findings": [
            {"outcome": "incomplete", "says": "is missing", "day": f"{YESTERDAY}", "path": "kpis.json"},
        ],
        "notes": [
            (
                f"the package before {second} was not looked at; its manifest's SHA-256 must be "
                f"{sealed[0].manifest_sha256}"
            ),
            f"1 package earlier than {second} was not looked at: {first}",
        ],
    }


def test_a_single_package_is_verified_alone(evidence: Path, key: Path) -> None:
    """It says which package comes before it, and leaves the others alone."""
    gap(evidence)
    result = run("verify", evidence / f"{YESTERDAY}", "--public-key", key)
    assert result.exit_code == 0
    assert f"the package before {YESTERDAY} was not looked at" in result.stdout
    assert f"ok             1 package of {YESTERDAY}: every file is as it was sealed" in result.stdout


def test_another_key_does_not_verify(evidence: Path, tmp_path: Path, key: Path) -> None:
    """Whoever replaced the packages brought a key of their own; with the right one among several, all is well."""
    other = tmp_path / "other.pem"
    other.write_text(ANOTHER_KEY.public.pem())
    refused = run("verify", evidence, "--public-key", other)
    assert refused.exit_code == 3
    theirs = f"is by another key than the pinned one; of the package's key, the fingerprint is {KEY.fingerprint}"
    assert f"manifest.sig: {theirs}" in refused.stdout
    both = run("verify", evidence, "--public-key", other, "--public-key", key)
    assert both.exit_code == 0
    pinned = [line.split()[2] for line in both.stdout.splitlines() if line.startswith("pinned key")]
    assert pinned == [f"{ANOTHER_KEY.fingerprint},", f"{KEY.fingerprint},"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing"], "is no folder"),
        ([""], "is no folder"),
        (["s3://"], "names no bucket"),
        (["s3:///packages"], "names no bucket"),
        ([".", "--until", "yesterday"], "is no day; allowed: as 2026-01-31"),
        ([".", "--from", "20260131"], "is no day; allowed: as 2026-01-31"),
        ([".", "--from", "2026-02-01", "--until", "2026-01-31"], "is later than the last day"),
    ],
)
def test_a_wrong_option_ends_with_2(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    """And says what is allowed."""
    monkeypatch.chdir(tmp_path)
    result = run("verify", *arguments, "--public-key", key)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_a_period_of_a_single_package_is_refused(evidence: Path, key: Path) -> None:
    """It has one."""
    result = run("verify", evidence / f"{YESTERDAY}", "--public-key", key, "--until", YESTERDAY)
    assert (result.exit_code, "PATH is a single package" in result.stderr) == (2, True)


@pytest.mark.parametrize("content", [None, b"", b"no key", KEY.pem().encode()])
def test_a_key_that_cannot_be_read_ends_with_2(evidence: Path, tmp_path: Path, content: bytes | None) -> None:
    """Nothing was verified; a private key is no public one."""
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_bytes(content)
    result = run("verify", evidence, "--public-key", file)
    assert result.exit_code == 2
    assert "--public-key" in result.stderr


def test_the_newest_package_is_shown(evidence: Path) -> None:
    """Or the one that is named; and nobody takes that for verified."""
    sealed = read_package(FolderStore(evidence), YESTERDAY)
    result = run("show", evidence)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[:6] == [
        f"day             {YESTERDAY} (UTC)",
        f"collected       {YESTERDAY + timedelta(days=1)} 02:00 (UTC)",
        "number          3",
        "rule            rolecall-ec2-instance-profile, rolecall 0.1.0",
        "parameters      exemptionTagKey=intentional-no-role",
        "population      8",
    ]
    assert f"manifest        {sealed.manifest_sha256}" in lines
    assert f"signed by key   {KEY.fingerprint}" in lines
    assert any(line.startswith(PART) and line.endswith("6 rows") for line in lines)
    assert "nothing of this was verified" in result.stderr
    first = run("show", evidence / f"{YESTERDAY - timedelta(days=2)}").stdout
    assert "previous        none: this is the first package" in first


@pytest.mark.parametrize(
    ("collected", "says"),
    [
        (2, "{} 02:00 (UTC); late, so it shows what there was then"),
        (1, "{} 02:00 (UTC)"),
    ],
)
def test_it_is_shown_when_a_package_was_collected(tmp_path: Path, collected: int, says: str) -> None:
    """And that it shows another time than its day, if it was more than a day late."""
    moment = YESTERDAY + timedelta(days=collected)
    build(FolderStore(tmp_path), 1, first=YESTERDAY, content=replace(A_DAY, collected=moment))
    assert f"collected       {says.format(moment)}" in run("show", tmp_path).stdout.splitlines()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "/coverage.json: is not there"),
        (b"[]", "coverage.json is []; allowed: a JSON object"),
    ],
)
def test_of_a_package_without_coverage_the_rest_is_shown(evidence: Path, content: bytes | None, says: str) -> None:
    """And why it is not known when it was collected."""
    file = evidence / f"{YESTERDAY}" / "coverage.json"
    file.write_bytes(content or b"")
    if content is None:
        file.unlink()
    result = run("show", evidence)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("collected ")]
    assert (result.exit_code, line.startswith("collected       not known: "), says in line) == (0, True, True)


def test_a_package_is_shown_to_programs(evidence: Path) -> None:
    """The manifest, with its hash and its signature."""
    sealed = read_package(FolderStore(evidence), YESTERDAY)
    assert json.loads(run("show", evidence, "--format", "json").stdout) == sealed.manifest.to_json() | {
        "manifestSha256": sealed.manifest_sha256,
        "signature": sealed.signature.value,
        "keyFingerprint": KEY.fingerprint,
    }


def test_what_is_no_package_is_not_shown(tmp_path: Path) -> None:
    """Neither nothing nor something else."""
    nothing = run("show", tmp_path)
    assert nothing.exit_code == 2
    assert nothing.stderr.startswith(f"error: {tmp_path}: there is no package in it")
    (tmp_path / "2026-11-20").mkdir()
    (tmp_path / "2026-11-20" / "manifest.json").write_bytes(b"[]")
    (tmp_path / "2026-11-20" / "manifest.sig").write_bytes(b"[]")
    assert run("show", tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "error: manifest.json is no JSON object: it was changed or cut off"),
        (b'{"schema": 1}', "error: manifest.json is JSON in another form than the one that is sealed: it was changed"),
    ],
)
def test_a_damaged_manifest_is_told_in_plain_words(evidence: Path, content: bytes, says: str) -> None:
    """Without what a parser says."""
    (evidence / f"{YESTERDAY}" / "manifest.json").write_bytes(content)
    shown = run("show", evidence)
    assert (shown.exit_code, shown.stderr.startswith(says)) == (2, True)


@pytest.fixture(scope="module", name="aws")
def _aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture(name="environment")
def _environment(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_packages_in_a_bucket_verify_with_the_key_that_was_exported(aws: LocalAws, tmp_path: Path) -> None:
    """As the documentation has it: `evidence keys`, then `evidence verify s3://…`, of all and of one day."""
    s3, kms = aws.client("s3"), aws.client("kms")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    key_id = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/rolecall-evidence", TargetKeyId=key_id)
    key, store, previous = SigningKey(kms, key_id), ObjectStore(s3, "evidence", "packages"), None
    for number in range(2):
        content = replace(A_DAY, day=FIRST_DAY + timedelta(days=number))
        for path, stored in content.files().items():
            store.put_once(f"{content.day}/{path}", stored, sha256=hashlib.sha256(stored).hexdigest())
        previous = seal(store, content.day, measured(content.files()), rule=RULE, previous=previous, signer=key)
    file = tmp_path / "public-key.pem"
    exported = run("keys", "--key", "alias/rolecall-evidence", "--output", file)
    assert (exported.exit_code, exported.stdout) == (0, "")
    assert PublicKey.from_pem(file.read_bytes()).fingerprint == key.fingerprint
    assert f"fingerprint {key.fingerprint}" in exported.stderr
    assert run("keys", "--key", kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]).stdout == file.read_text()
    last = FIRST_DAY + timedelta(days=1)
    for place in ("s3://evidence/packages", "s3://evidence/packages/", f"s3://evidence/packages/{last}"):
        verified = run("verify", place, "--public-key", file, *([] if place.endswith(f"{last}") else ["--until", last]))
        assert (verified.exit_code, verified.stderr) == (0, "")
    assert run("show", "s3://evidence/packages").stdout.startswith(f"day             {last} (UTC)")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["keys", "--key", "alias/none"], 2, "GetPublicKey failed: NotFoundException"),
        (["show", "s3://no-such-bucket"], 2, "NoSuchBucket"),
        (["verify", "s3://no-such-bucket", "--public-key", "KEY"], 7, "NoSuchBucket"),
    ],
)
def test_what_aws_refuses_is_said(key: Path, arguments: list[str], code: int, says: str) -> None:
    """And is neither tampering nor a pass."""
    result = run(*(str(key) if argument == "KEY" else argument for argument in arguments))
    assert result.exit_code == code
    assert says in result.output


def test_no_credentials_cannot_verify(key: Path) -> None:
    """There is nobody to ask."""
    result = run("verify", "s3://evidence", "--public-key", key)
    assert (result.exit_code, "NoCredentials" in result.stderr) == (7, True)

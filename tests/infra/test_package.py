import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_cdk import App, Stack, aws_lambda

from infra.package import (
    EVIDENCE,
    FUNCTION_PYTHON,
    PACKAGES,
    RULE,
    Contents,
    Package,
    PackageError,
    __main__,
    build_package,
    find_interpreter,
    trim,
)
from infra.package.asset import packaged_code
from infra.package.bytecode import candidates, first_working
from infra.package.contents import PROJECT
from infra.package.vendor import vendor

UNTRIMMED = Path(boto3.__file__).parents[1]
"""The same release of boto3, whole: requirements-dev.txt follows lambda/requirements.txt."""

GLOBAL_SERVICES = ("iam", "organizations")
"""They have one endpoint in each partition, and botocore lists no regions of theirs."""

LATER_SERVICES = ("dynamodb", "s3")
"""Those with the most peculiar models: context parameters, waiters, endpoints by account."""

# A call without arguments for each service, which tells the endpoint and the signing region.
CALLS = {
    "config": "describe_config_rules",
    "events": "list_rules",
    "sts": "get_caller_identity",
    "dynamodb": "list_tables",
    "s3": "list_buckets",
    "iam": "list_users",
    "kms": "list_keys",
    "organizations": "list_accounts",
    "securityhub": "describe_hub",
    "sqs": "list_queues",
}

# Prints what a user of botocore can see of one service.
DESCRIBE = """
import json, re, sys
import boto3, botocore.awsrequest, botocore.config, botocore.exceptions

service, call = sys.argv[1:]
session = boto3.session.Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret")

def members(shape):
    return shape and {name: member.type_name for name, member in getattr(shape, "members", {}).items()}

def request(region, **options):
    sent = []
    def answer(request, **_):
        sent.append(request)
        raise InterruptedError
    try:
        client = session.client(service, region_name=region, config=botocore.config.Config(**options))
        client.meta.events.register("before-send", answer)
        getattr(client, call)()
    except InterruptedError:
        scope = re.search(r"Credential=AKIDEXAMPLE/[0-9]+/([^,]+)", sent[0].headers["Authorization"].decode())
        return sent[0].url, scope[1]
    except botocore.exceptions.BotoCoreError as refused:
        return repr(refused)

client = session.client(service, region_name="eu-west-1")
model = client.meta.service_model
regions = {name: session.get_available_regions(service, name) for name in session.get_available_partitions()}
try:
    pages = sorted(session._session.get_paginator_model(service)._paginator_config)
except botocore.exceptions.UnknownServiceError:
    pages = None
print(json.dumps({
    "boto3": boto3.__version__,
    "metadata": {name: value for name, value in model.metadata.items()},
    "operations": {
        name: [operation.http, members(operation.input_shape), members(operation.output_shape),
               getattr(operation.input_shape, "required_members", None), sorted(e.name for e in operation.error_shapes)]
        for name in model.operation_names for operation in [model.operation_model(name)]
    },
    "paginators": pages,
    "waiters": client.waiter_names,
    "regions": regions,
    "requests": {
        f"{region} {options}": request(region, **options)
        for names in regions.values() for region in sorted({*names[:1], *names[-1:]})
        for options in ({}, {"use_dualstack_endpoint": True}, {"use_fips_endpoint": True})
    } | {region: request(region) for region in
         ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "xx-new-1")},
}))
"""

# Imports every module of ours as Lambda would: nothing but the package and the standard library. Then tells what came.
IMPORT_ALL = """
import importlib, json, pkgutil, sys
import rolecall
for module in pkgutil.walk_packages(rolecall.__path__, "rolecall."):
    importlib.import_module(module.name)
from aws_lambda_powertools import Logger, Metrics
Logger(service="s"), Metrics(namespace="n", service="s")
"""

LOADED = """
import json, sys
print(json.dumps({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}))
"""

# Run by the function's Python: what import would check, and the files that tracebacks would name.
BYTE_CODE = """
import importlib.util, json, marshal, pathlib
def names(code):
    return {code.co_filename}.union(*(names(c) for c in code.co_consts if isinstance(c, type(code))))
UNCHECKED_HASH = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
root = pathlib.Path(sys.path[0])
valid = {}
for file in root.rglob("*.pyc"):
    source = pathlib.Path(importlib.util.source_from_cache(str(file)))
    content = file.read_bytes()
    header = UNCHECKED_HASH + importlib.util.source_hash(source.read_bytes())
    located = names(marshal.loads(content[16:])) == {"/var/task/" + str(source.relative_to(root))}
    valid[str(source.relative_to(root))] = [content[:16] == header, located]
print(json.dumps(valid))
"""


@pytest.fixture(scope="session")
def package() -> Package:
    """The rule's package, as a deployment from this checkout uploads it."""
    return build_package(RULE)


@dataclass(frozen=True)
class Checkout:
    """A copy of what the package is built from, elsewhere, with its own cache."""

    root: Path

    def start(self) -> subprocess.Popen[str]:
        """Start building as another user with another umask would."""
        command = [sys.executable, "-m", "infra.package", "--output", "packages", RULE.name]
        return subprocess.Popen(command, cwd=self.root, umask=0o077, stdout=-1, stderr=-1, text=True)  # noqa: S603 -- our own command

    def package(self) -> Path:
        """Build; the package's folder."""
        printed, errors = self.start().communicate()
        found = re.search(r"^package +(.+)$", printed, re.MULTILINE)
        assert found, errors
        return Path(found[1])


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout where one build was killed half-way and many have grown old."""
    for folder in ("lambda", "infra"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "packages/.unfinished-killed/0000").mkdir(parents=True)
    for number in range(20):
        (tmp_path / f"packages/{number:040}").mkdir()
    return Checkout(tmp_path)


def _run(
    root: Path, code: str, *arguments: str, beside: Path | None = None, python: Path | str = sys.executable
) -> Any:  # noqa: ANN401 -- any JSON value
    """What `code` prints as JSON, run with `root`, `beside` if given, and the standard library alone."""
    environ = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-1", "POWERTOOLS_SERVICE_NAME": "rule"}
    environ |= {"POWERTOOLS_METRICS_NAMESPACE": "Rolecall", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    environ |= {
        "ROLECALL_FINDINGS_TABLE": "findings",
        "ROLECALL_DEAD_LETTERS": "https://sqs.eu-west-1.amazonaws.com/1/d",
    }
    path = [str(folder) for folder in (root, beside) if folder]
    command = [str(python), "-I", "-S", "-B", "-c", f"import sys; sys.path[:0] = {path!r}\n{code}", *arguments]
    outcome = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 -- our own programs
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


def _files(root: Path) -> dict[str, Path]:
    return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}


def _fingerprint(root: Path) -> dict[str, tuple[str, int, float]]:
    """All that an archive of the folder would hold."""
    return {
        name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mode, file.stat().st_mtime)
        for name, file in _files(root).items()
    }


@pytest.mark.parametrize(("contents", "service"), [(each, name) for each in PACKAGES for name in each.services])
def test_a_trimmed_service_is_what_it_was(contents: Contents, service: str) -> None:
    """Endpoints in every partition, operations, paginators and waiters: as in untrimmed botocore."""
    described = _run(build_package(contents).path, DESCRIBE, service, CALLS[service])

    assert described == _run(UNTRIMMED, DESCRIBE, service, CALLS[service])
    assert sum(bool(names) for names in described["regions"].values()) >= (0 if service in GLOBAL_SERVICES else 3)


def test_any_service_can_be_kept(tmp_path: Path) -> None:
    """Naming more services is all that later functions need."""
    models = tmp_path / "botocore/data"
    others = {path.name for path in (UNTRIMMED / "botocore/data").iterdir() if path.is_dir()} - set(LATER_SERVICES)
    shutil.copytree(
        UNTRIMMED / "botocore", models.parent, ignore=lambda folder, _: others if folder.endswith("data") else ()
    )

    trim.trim_botocore(models, LATER_SERVICES)

    for service in LATER_SERVICES:
        trimmed = _run(tmp_path, DESCRIBE, service, CALLS[service], beside=UNTRIMMED)
        assert trimmed == _run(UNTRIMMED, DESCRIBE, service, CALLS[service])


def test_trimming_follows_the_lock(tmp_path: Path) -> None:
    """A name in the lists that a new release does not bring any more is an error, not a silent nothing."""
    with pytest.raises(PackageError, match=r"trim\.py names .*/bin, which the pinned dependencies do not bring"):
        trim.trim(tmp_path, services=RULE.services, utilities=RULE.utilities)


def test_our_modules_need_nothing_but_the_package(package: Package) -> None:
    """Every module in it imports without site-packages, and none belongs to the command line."""
    loaded = _run(package.path, IMPORT_ALL + LOADED, python=find_interpreter() or sys.executable)

    assert {"rolecall.rule", "boto3", "aws_lambda_powertools"} <= loaded.keys()
    assert not {"rolecall.cli", "rolecall.__main__", "typer", "rich", "jinja2"} & loaded.keys()
    assert {name for name, file in loaded.items() if "site-packages" in (file or "")} == set()


@pytest.mark.parametrize(("contents", "handler"), [(each, handler) for each in PACKAGES for handler in each.handlers])
def test_a_handler_finds_in_its_package_all_that_it_imports(contents: Contents, handler: str) -> None:
    """Nothing of the installed packages helps it, and nothing of it was trimmed away."""
    python = find_interpreter() or sys.executable
    loaded = _run(build_package(contents).path, f"import {handler}{LOADED}", python=python)

    assert handler in loaded
    assert {name for name, file in loaded.items() if "site-packages" in (file or "")} == set()


def test_the_rule_handler_loads_no_more_than_it_needs(package: Package) -> None:
    """What the function imports at cold start, as Lambda names its handler."""
    loaded = _run(package.path, "import rolecall.handlers.rule" + LOADED, python=find_interpreter() or sys.executable)

    assert {"rolecall.rule", "boto3", "aws_lambda_powertools"} <= loaded.keys()
    assert not {"typer", "rich", "jinja2", "aws_xray_sdk", "pydantic", "rolecall.cli"} & loaded.keys()


ESCAPED = """
import markupsafe
print(json.dumps([markupsafe._escape_inner.__module__, str(markupsafe.escape("<a href='x'>&</a>"))]))
"""


def test_the_package_of_the_evidence_is_pure_python_too() -> None:
    """Its modules import under the function's Python with nothing beside it, and MarkupSafe escapes without its .so."""
    evidence = build_package(EVIDENCE)
    python = find_interpreter() or sys.executable
    loaded = _run(evidence.path, IMPORT_ALL + LOADED, python=python)

    assert {
        "rolecall.handlers.evidence_seal",
        "rolecall.evidence.report",
        "jinja2",
        "pygal",
        "rfc8785",
    } <= loaded.keys()
    assert {name for name, file in loaded.items() if "site-packages" in (file or "")} == set()
    assert [name for name in _files(evidence.path) if name.endswith((".so", ".pyd", ".dylib"))] == []
    assert _run(evidence.path, "import json" + ESCAPED, python=python) == [
        "markupsafe._native",
        "&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt;",
    ]
    assert evidence.zipped_size() < 6_000_000
    assert evidence.unzipped_size() < 20_000_000


def test_every_module_has_byte_code_that_is_never_checked(package: Package) -> None:
    """Made by the function's own Python of just this source, valid at any file time, naming no path of this machine."""
    interpreter = find_interpreter()
    valid = _run(package.path, BYTE_CODE, python=interpreter) if interpreter else {}

    modules = [name for name in _files(package.path) if name.endswith(".py")]
    byte_codes = [name for name in _files(package.path) if name.endswith(".pyc")]
    assert package.byte_code == bool(interpreter)
    assert valid == ({name: [True, True] for name in modules} if interpreter else {})
    assert len(byte_codes) == len(valid)


def test_it_is_small_and_holds_no_trace_of_the_installation(package: Package) -> None:
    """Within 5 MB; one time and mode for all; neither machine code nor records of the machine; licences kept."""
    names = set(_files(package.path))

    assert package.zipped_size() < 5_000_000
    assert package.unzipped_size() < 12_000_000
    assert {mode & 0o777 for _, mode, _ in _fingerprint(package.path).values()} == {0o644}
    assert {file.stat().st_mtime for file in package.path.rglob("*")} == {315_532_800}
    assert [
        name for name in names if re.search(r"\.(so|pyd|dylib|in)$|^bin/|/tests?/|/(RECORD|INSTALLER)$", name)
    ] == []
    distributions = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    assert len(distributions) >= 9
    assert {name for name in distributions if f"{name}/METADATA" not in names} == set()
    licensed = {name.partition("/")[0] for name in names if re.search(r"\.dist-info/(.*/)?LICEN[CS]E", name)}
    assert licensed == distributions


def test_it_is_the_same_wherever_and_whoever_builds_it(package: Package, checkout: Checkout) -> None:
    """Two processes at once in another folder: same key, same bytes, one build, nothing half-built left."""
    builds = [checkout.start(), checkout.start()]
    outputs = [build.communicate() for build in builds]

    assert [build.returncode for build in builds] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert ["rolecall: built" in errors for _, errors in outputs].count(True) == 1
    assert _fingerprint(checkout.root / "packages" / package.key) == _fingerprint(package.path)
    kept = {path.name for path in (checkout.root / "packages").iterdir()}
    assert {name for name in kept if not re.fullmatch(r"[0-9a-f]{40}", name)} == {".lock"}
    assert len(kept - {".lock"}) == 16

    source = checkout.root / "lambda/rolecall/rule.py"
    source.write_text(source.read_text() + "\nCHANGED = True\n")
    (checkout.root / "lambda/rolecall/cli/added.py").write_text("import typer\n")
    changed = checkout.package()

    assert changed.name != package.key
    assert _files(changed).keys() == _files(package.path).keys()
    assert "CHANGED" in (changed / "rolecall/rule.py").read_text()


def test_without_such_a_python_it_is_built_without_byte_code(
    package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package of its own, with a warning that says what it costs and what to install."""
    plain = build_package(RULE, search=lambda: None)

    warning = capsys.readouterr().err
    assert "WARNING: no Python 3.13 found" in warning
    assert "twice as long" in warning
    assert "pyenv install 3.13" in warning
    assert "ROLECALL_PYTHON" in warning
    assert not plain.byte_code
    assert [name for name in _files(plain.path) if name.endswith(".pyc")] == []
    assert (plain.key != package.key) == package.byte_code
    assert {name for name in _files(package.path) if not name.endswith(".pyc")} == _files(plain.path).keys()


def test_the_cdk_uploads_just_this_package(package: Package, tmp_path: Path) -> None:
    """The asset is the package, and its name in the template follows from the package's key alone."""
    app = App(outdir=str(tmp_path))
    stack = Stack(app, "stack")
    python = aws_lambda.Runtime(f"python{FUNCTION_PYTHON}", aws_lambda.RuntimeFamily.PYTHON)
    aws_lambda.Function(
        stack, "function", runtime=python, handler="rolecall.handlers.rule.handler", code=packaged_code(RULE)
    )

    app.synth()

    template = json.loads((tmp_path / "stack.template.json").read_text())
    (function,) = (r for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function")
    name = hashlib.sha256(package.key.encode()).hexdigest()
    assert function["Properties"]["Code"]["S3Key"] == f"{name}.zip"
    uploaded, built = _fingerprint(tmp_path / f"asset.{name}"), _fingerprint(package.path)
    assert {file: content for file, (content, *_) in uploaded.items()} == {
        f: content for f, (content, *_) in built.items()
    }


def test_the_command_reports_the_package(package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m infra.package` names the folder and the sizes."""
    assert __main__.main([RULE.name]) == 0

    report = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert report["package"] == str(package.path)
    assert report["hash"] == package.key
    assert re.fullmatch(r"\d\.\d\d MB", report["zipped"])


def test_the_command_says_why_it_cannot_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, no traceback."""
    (tmp_path / "file").touch()

    assert __main__.main(["--output", str(tmp_path / "file")]) == 1

    *_, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"rolecall: cannot build the deployment package rule: .*File exists: '.*/file'", last)


def _interpreter_that_says(folder: Path, shell: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "python3.13"
    file.write_text(f"#!/bin/sh\n{shell}\n")
    file.chmod(0o755)
    return file


def test_the_interpreter_is_one_that_works(tmp_path: Path) -> None:
    """On PATH or where version managers keep theirs; a shim that fails, another version, a preview are passed over."""
    refused = [
        _interpreter_that_says(tmp_path / "shim", "echo 'pyenv: python3.13: command not found' >&2; exit 127"),
        _interpreter_that_says(tmp_path / "older", "echo cpython-312 final"),
        _interpreter_that_says(tmp_path / "preview", "echo cpython-313 candidate"),
        _interpreter_that_says(tmp_path / "other", "echo pypy313 final"),
    ]
    working = _interpreter_that_says(tmp_path / "pyenv/versions/3.13.5/bin", "echo cpython-313 final")
    path = os.pathsep.join(str(file.parent) for file in refused)

    found = [
        file for file in candidates({"PATH": path, "PYENV_ROOT": str(tmp_path / "pyenv")}) if tmp_path in file.parents
    ]

    assert found == [*refused, working]
    assert first_working(found) == working
    assert first_working(refused) is None
    assert first_working([tmp_path / "absent"]) is None


def test_the_interpreter_can_be_named(tmp_path: Path) -> None:
    """ROLECALL_PYTHON is taken or refused, never passed over."""
    working = _interpreter_that_says(tmp_path / "working", "echo cpython-313 final")
    older = _interpreter_that_says(tmp_path / "older", "echo cpython-311 final")

    assert find_interpreter({"ROLECALL_PYTHON": str(working)}) == working
    with pytest.raises(PackageError, match=f"^ROLECALL_PYTHON={older} is not a working Python {FUNCTION_PYTHON} inter"):
        find_interpreter({"ROLECALL_PYTHON": str(older)})


@dataclass(frozen=True)
class Wheel:
    """A wheel that is made on the spot, and the line of a lock that pins it."""

    tag: str = "py3-none-any"
    module: str = "probe.py"

    def write(self, folder: Path) -> str:
        """Make it in `folder`; the line that pins it."""
        file = folder / f"probe-1.0-{self.tag}.whl"
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr(self.module, "")
            wheel.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
            wheel.writestr("probe-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {self.tag}\n")
            wheel.writestr("probe-1.0.dist-info/RECORD", "")
        return f"probe==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place where pip looks."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def _vendored(shelf: Path, lock: str, accelerated: tuple[str, ...] = ()) -> dict[str, Path]:
    file = shelf.parent / "lock.txt"
    file.write_text(lock)
    vendor(file, shelf.parent / "target", accelerated)
    return _files(shelf.parent / "target")


def test_a_pure_python_wheel_is_vendored(shelf: Path) -> None:
    """Also where a wheel for this very machine lies beside it."""
    lock = Wheel().write(shelf)
    Wheel(tag=f"cp{sys.version_info[0]}{sys.version_info[1]}-abi3-linux_{os.uname().machine}").write(shelf)

    assert {name for name in _vendored(shelf, lock) if ".dist-info" not in name} == {"probe.py"}


ACCELERATED = f"cp{FUNCTION_PYTHON.replace('.', '')}-cp{FUNCTION_PYTHON.replace('.', '')}-manylinux2014_aarch64"


def test_machine_code_that_is_not_needed_is_left_out(shelf: Path) -> None:
    """Of a distribution that is named for it, in its wheel for the function; nobody else's."""
    lock = "# pinned\n" + Wheel(tag=ACCELERATED, module="probe/_speedups.cpython-313-aarch64-linux-gnu.so").write(shelf)

    assert {name for name in _vendored(shelf, lock, ("probe",)) if ".dist-info" not in name} == set()
    with pytest.raises(PackageError, match="it does not name other"):
        _vendored(shelf, lock, ("other", "probe"))


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        pytest.param(
            lambda shelf: Wheel(tag="cp313-cp313-manylinux2014_aarch64").write(shelf),
            r"cannot vendor .*/lock\.txt: no pure-Python wheel \(py3-none-any\) of it was found.*probe==1\.0",
            id="a wheel for the function's machine alone: it would not run here",
        ),
        pytest.param(
            lambda shelf: Wheel(module="probe.cpython-313-aarch64-linux-gnu.so").write(shelf),
            r"only pure Python runs on every machine, but this is machine code: probe\.cpython-313-aarch64",
            id="machine code in a wheel that calls itself pure",
        ),
        pytest.param(
            lambda shelf: Wheel().write(shelf).partition(":")[0] + ":" + "0" * 64,
            r"not what the lock pins.*Expected sha256 0{64}",
            id="a wheel that is not the pinned one",
        ),
        pytest.param(
            lambda shelf: Wheel().write(shelf).partition(" ")[0],
            r"every requirement needs its hashes.*probe==1\.0",
            id="a requirement without a hash",
        ),
        pytest.param(lambda _: "pro be\n", r"pip failed.*pro be", id="a lock that pip cannot read"),
    ],
)
def test_what_cannot_be_vendored(lock: Callable[[Path], str], message: str, shelf: Path) -> None:
    """One error that says what is wrong with which distribution."""
    with pytest.raises(PackageError, match=f"(?s){message}"):
        _vendored(shelf, lock(shelf))


def test_an_unreachable_index(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is told apart from a package that does not exist."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")

    with pytest.raises(PackageError, match="the package index cannot be reached; check the network"):
        _vendored(shelf, f"probe==1.0 --hash=sha256:{'0' * 64}")


def test_an_interpreter_without_pip(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says how to install it."""
    venv.create(shelf.parent / "venv", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(shelf.parent / "venv/bin/python"))

    with pytest.raises(PackageError, match=r"has no pip; `.*/venv/bin/python -m ensurepip` installs it"):
        _vendored(shelf, "probe==1.0")

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local import execution_environment
from local.execution_environment import FunctionError, InvocationResult
from local.function_runtime import FunctionRuntime
from local.interpreter import interpreter_for
from tests.local.functions import FUNCTION_ARN, RUNNING_PYTHON, write_function

ROOT = Path(__file__).resolve().parents[2]


def invoke_once(folder: Path, source: str, event: object = None, **changes: Any) -> InvocationResult:  # noqa: ANN401 - any field
    """The result of one cold invocation."""
    with FunctionRuntime(write_function(folder, source, **changes), {}) as runtime:
        return runtime.invoke(event, request_id="request-1")


def wait_until_gone(process_id: int, seconds: float = 5) -> bool:
    """Whether the process ends within that time; a zombie whose parent has not looked yet counts as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(process_id, 0)
            if "State:\tZ" in Path(f"/proc/{process_id}/status").read_text(encoding="utf-8"):
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_payload_and_context(tmp_path: Path) -> None:
    """The handler gets the event and Lambda's context, and its return value comes back."""
    result = invoke_once(
        tmp_path,
        """
        def handler(event, context):
            return {
                "event": event,
                "request": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "name": context.function_name,
                "memory": context.memory_limit_in_mb,
                "in_time": 6000 < context.get_remaining_time_in_millis() <= 7000,
            }
        """,
        {"größe": [1, None]},
        timeout_seconds=7,
        memory_mib=256,
    )
    assert result.payload == {
        "event": {"größe": [1, None]},
        "request": "request-1",
        "arn": FUNCTION_ARN,
        "name": "sample",
        "memory": "256",
        "in_time": True,
    }
    assert (result.error, result.cold, result.request_id) == (None, True, "request-1")
    assert result.init_duration is not None
    assert 0 < result.duration < 7
    assert 0 < result.init_duration < 17


def test_environment_is_lambdas_and_the_definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function sees what Lambda sets, its own variables and the caller's, and nothing of this machine's."""
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    definition = write_function(
        tmp_path,
        """
        import os

        def handler(event, context):
            return dict(os.environ)
        """,
        environment={"POWERTOOLS_SERVICE_NAME": "rule", "AWS_ENDPOINT_URL": "from the definition"},
        log_format="JSON",
    )
    with FunctionRuntime(definition, {"AWS_ENDPOINT_URL": "from the caller"}) as runtime:
        seen = runtime.invoke({}).payload
        assert isinstance(seen, dict)
        # In place of Lambda's own /tmp: empty, and gone with the environment.
        passing = Path(seen.pop("TMPDIR"))
        assert list(passing.iterdir()) == []
    assert not passing.exists()
    changing = {"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME", "_X_AMZN_TRACE_ID", "LC_CTYPE"}
    client = str(interpreter_for(RUNNING_PYTHON).runtime_client)
    assert {name: value for name, value in seen.items() if name not in changing} == {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "from the caller",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNNING_PYTHON}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "sample",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/sample",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "LAMBDA_RUNTIME_DIR": client,
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "POWERTOOLS_SERVICE_NAME": "rule",
        "PYTHONPATH": client,
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    }


def test_only_the_package_can_be_imported(tmp_path: Path) -> None:
    """Package first, then the runtime client, then the standard library: no module of this virtual environment."""
    result = invoke_once(
        tmp_path,
        """
        import importlib.util
        import sys

        def handler(event, context):
            return {"path": sys.path, "found": [name for name in event if importlib.util.find_spec(name)]}
        """,
        ["app", "awslambdaric", "json", "boto3", "botocore", "pytest", "rolecall", "local", "pip", "setuptools"],
    )
    assert isinstance(result.payload, dict)
    assert result.payload["found"] == ["app", "awslambdaric", "json"]
    assert result.payload["path"][:2] == [str(tmp_path), str(interpreter_for(RUNNING_PYTHON).runtime_client)]
    assert not [folder for folder in result.payload["path"] if "site-packages" in folder]


INIT_ERRORS = [
    (
        "a dependency is not in the package",
        {"source": "import boto3\n\ndef handler(event, context): ..."},
        FunctionError("Runtime.ImportModuleError", "Unable to import module 'app': No module named 'boto3'"),
    ),
    (
        "the module does not exist",
        {"source": "", "handler": "nowhere.handler"},
        FunctionError("Runtime.ImportModuleError", "Unable to import module 'nowhere': No module named 'nowhere'"),
    ),
    (
        "the handler does not exist",
        {"source": ""},
        FunctionError("Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
    ),
    (
        "the module raises",
        {"source": "raise KeyError('ROLECALL')"},
        FunctionError("KeyError", "'ROLECALL'"),
    ),
    (
        "the module ends the process",
        {"source": "import os; os._exit(7)"},
        FunctionError("Runtime.ExitError", "RequestId: request-1 Error: Runtime exited with error: exit status 7"),
    ),
]


@pytest.mark.parametrize(("sentence", "function", "expected"), INIT_ERRORS, ids=[row[0] for row in INIT_ERRORS])
def test_init_errors(tmp_path: Path, sentence: str, function: dict[str, str], expected: FunctionError) -> None:
    """A function that cannot be loaded fails each invocation with the reason, and each begins anew."""
    with FunctionRuntime(write_function(tmp_path, **function), {}) as runtime:
        results = [runtime.invoke({}, request_id="request-1") for _ in range(2)]
    assert [result.cold for result in results] == [True, True], sentence
    for error in [result.error for result in results]:
        assert error is not None
        assert (error.error_type, error.message) == (expected.error_type, expected.message)


def test_exception(tmp_path: Path) -> None:
    """A raised exception is an error with type, message and trace; the environment stays."""
    definition = write_function(
        tmp_path,
        """
        import os

        def handler(event, context):
            if event:
                raise ValueError(f"bad {event}")
            return os.getpid()
        """,
    )
    with FunctionRuntime(definition, {}) as runtime:
        first, failed, last = runtime.invoke(None), runtime.invoke("item"), runtime.invoke(None)
    trace = f'  File "{tmp_path}/app.py", line 6, in handler\n    raise ValueError(f"bad {{event}}")\n'
    assert failed.error == FunctionError("ValueError", "bad item", (trace,))
    assert (failed.payload, failed.cold) == (None, False)
    assert last.payload == first.payload


ENDINGS = [
    ("os._exit(0)", "Runtime exited without providing a reason"),
    ("os._exit(3)", "Runtime exited with error: exit status 3"),
    ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ("sys.exit(4)", "Runtime exited with error: exit status 4"),
]


@pytest.mark.parametrize(("ending", "reason"), ENDINGS)
def test_exit(tmp_path: Path, ending: str, reason: str) -> None:
    """A process that ends in an invocation is Runtime.ExitError; what it wrote is kept; the next event is served."""
    definition = write_function(
        tmp_path,
        f"""
        import os, sys

        def handler(event, context):
            if event:
                print("last words")
                {ending}
            return "served"
        """,
    )
    with FunctionRuntime(definition, {}) as runtime:
        ended, after = runtime.invoke("end", request_id="request-1"), runtime.invoke(None)
    assert ended.error == FunctionError("Runtime.ExitError", f"RequestId: request-1 Error: {reason}")
    assert "last words" in ended.log
    assert (after.payload, after.cold) == ("served", True)


def test_timeout(tmp_path: Path) -> None:
    """The definition's timeout ends the process and all it started; the next invocation starts a new environment."""
    definition = write_function(
        tmp_path,
        """
        import subprocess, time

        def handler(event, context):
            if event:
                print(subprocess.Popen(["sleep", "60"]).pid)
                time.sleep(60)
            return "served"
        """,
        timeout_seconds=1,
    )
    with FunctionRuntime(definition, {}) as runtime:
        late, after = runtime.invoke("late", request_id="request-1"), runtime.invoke(None)
        assert late.error == FunctionError(
            "Sandbox.Timedout", "RequestId: request-1 Error: Task timed out after 1.00 seconds"
        )
        assert late.duration == 1
        assert wait_until_gone(int(late.log[0]))
        assert (after.payload, after.cold) == ("served", True)


def test_timeout_while_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that never finishes loading times out as well."""
    monkeypatch.setattr(execution_environment, "INIT_SECONDS", 0)
    result = invoke_once(tmp_path, "import time; time.sleep(60)", timeout_seconds=1)
    assert result.error == FunctionError(
        "Sandbox.Timedout", "RequestId: request-1 Error: Task timed out after 1.00 seconds"
    )


def test_warm_environment_is_used_again(tmp_path: Path) -> None:
    """What a module holds survives until the next event; only the first invocation is cold."""
    definition = write_function(
        tmp_path,
        """
        count = 0

        def handler(event, context):
            global count
            count += 1
            return count
        """,
    )
    with FunctionRuntime(definition, {}) as runtime:
        results = [runtime.invoke({}) for _ in range(3)]
    assert [result.payload for result in results] == [1, 2, 3]
    assert [result.cold for result in results] == [True, False, False]
    assert len({result.request_id for result in results}) == 3


MEETING = """
    import os, pathlib, time

    def handler(event, context):
        here = pathlib.Path(event)
        (here / str(os.getpid())).touch()
        deadline = time.monotonic() + 10
        while len(list(here.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(list(here.iterdir()))
"""


def test_two_at_once_have_two_environments(tmp_path: Path) -> None:
    """Two invocations at once run side by side: each waits until it has seen the other."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    definition = write_function(tmp_path / "package", MEETING, timeout_seconds=20)
    with FunctionRuntime(definition, {}, concurrency=2) as runtime, ThreadPoolExecutor(2) as pool:
        results = list(pool.map(runtime.invoke, [str(meeting)] * 2))
    assert [result.payload for result in results] == [2, 2]
    assert [result.cold for result in results] == [True, True]


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"reserved_concurrency": 1}])
def test_concurrency_is_bounded(tmp_path: Path, limit: dict[str, int]) -> None:
    """No more run at once than the caller or the reserved concurrency allows; the others wait their turn."""
    definition = write_function(
        tmp_path,
        """
        import os, time

        def handler(event, context):
            os.close(os.open(event, os.O_CREAT | os.O_EXCL))
            time.sleep(0.05)
            os.unlink(event)
            return os.getpid()
        """,
        reserved_concurrency=limit.get("reserved_concurrency"),
    )
    with (
        FunctionRuntime(definition, {}, concurrency=limit.get("concurrency", 4)) as runtime,
        ThreadPoolExecutor(4) as pool,
    ):
        results = list(pool.map(runtime.invoke, [str(tmp_path / "lock")] * 4))
    assert [result.error for result in results] == [None] * 4
    assert len({result.payload for result in results}) == 1


def test_concurrency_of_none_is_refused(tmp_path: Path) -> None:
    """A function that may never run is refused, not left waiting."""
    definition = write_function(tmp_path, "", reserved_concurrency=0)
    with pytest.raises(ValueError, match=r"^sample may run 0 times at once, so never; at least 1 is needed$"):
        FunctionRuntime(definition, {})


def test_log(tmp_path: Path) -> None:
    """Both outputs are kept line by line, of loading and of each invocation, also what no pipe would hold."""
    definition = write_function(
        tmp_path,
        """
        import json, logging, sys

        print("loading ✓")

        def handler(event, context):
            print(json.dumps({"_aws": {"Timestamp": 1}, "Evaluations": 1}))
            print("{ a brace", file=sys.stderr)
            logging.getLogger().warning("watch %s", event)
            if event == "much":
                print("x" * 300_000)
        """,
        log_format="JSON",
    )
    seen: list[str] = []
    with FunctionRuntime(definition, {}, on_log=seen.append) as runtime:
        first, second = runtime.invoke("out"), runtime.invoke("much")
    metrics = '{"_aws": {"Timestamp": 1}, "Evaluations": 1}'
    assert first.log[:3] == ("loading ✓", metrics, "{ a brace")
    assert second.log[:2] == (metrics, "{ a brace")
    assert second.log[3] == "x" * 300_000
    assert tuple(seen) == first.log + second.log
    emf, warning = first.json_log()
    assert emf == json.loads(metrics)
    expected = {"level": "WARNING", "message": "watch out", "requestId": first.request_id}
    assert {name: warning[name] for name in expected} == expected


def test_peak_memory(tmp_path: Path) -> None:
    """The process's peak memory is measured, where the operating system tells."""
    result = invoke_once(tmp_path, "def handler(event, context): return len(bytearray(100 * 2**20))")
    assert result.peak_memory_mib is None if sys.platform != "linux" else (result.peak_memory_mib or 0) > 100


def test_zip_package(tmp_path: Path) -> None:
    """A zip file is unpacked and runs like a folder."""
    write_function(tmp_path / "package", "def handler(event, context): return 'from the archive'")
    archive = shutil.make_archive(str(tmp_path / "package"), "zip", tmp_path / "package")
    definition = write_function(tmp_path / "other", "", code=Path(archive))
    with FunctionRuntime(definition, {}) as runtime:
        assert runtime.invoke({}).payload == "from the archive"
        unpacked = Path(runtime.task_root)
        assert unpacked.is_dir()
    assert not unpacked.exists()


@pytest.mark.parametrize("runtime_name", [RUNNING_PYTHON, "python3.99"])
def test_package_is_only_read(tmp_path: Path, runtime_name: str) -> None:
    """No byte code appears in the package: it is what would be deployed."""
    package = tmp_path / "package"
    definition = write_function(package, "import other\n\ndef handler(event, context): return 1", runtime=runtime_name)
    (package / "other.py").touch()
    with FunctionRuntime(definition, {}) as runtime:
        assert runtime.invoke({}).payload == 1
    assert sorted(file.name for file in package.rglob("*")) == ["app.py", "other.py"]


def test_close_ends_what_runs(tmp_path: Path) -> None:
    """Closing kills a busy environment, whose invocation ends with an error; nothing can be invoked any more."""
    began = tmp_path / "began"
    definition = write_function(
        tmp_path / "package",
        """
        import os, pathlib, time

        def handler(event, context):
            path = pathlib.Path(event)
            path.with_suffix(".tmp").write_text(str(os.getpid()))
            path.with_suffix(".tmp").rename(path)
            time.sleep(60)
        """,
        timeout_seconds=60,
    )
    with ThreadPoolExecutor(1) as pool:
        runtime = FunctionRuntime(definition, {})
        under_way = pool.submit(runtime.invoke, str(began))
        process_id = int(_content_of(began))
        runtime.close()
        error = under_way.result(timeout=5).error
    assert error is not None
    assert error.error_type == "Runtime.ExitError"
    assert wait_until_gone(process_id)
    with pytest.raises(RuntimeError, match=r"^the local runtime of sample is closed$"):
        runtime.invoke({})


def _content_of(file: Path) -> str:
    deadline = time.monotonic() + 10
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return file.read_text(encoding="utf-8")


PROGRAM = """
    import sys, threading, time
    from pathlib import Path
    from local.function_runtime import FunctionRuntime
    from tests.local.functions import write_function

    folder = Path(sys.argv[1])
    definition = write_function(folder / "package", '''
        import os, pathlib, time

        def handler(event, context):
            path = pathlib.Path(event)
            path.with_suffix(".tmp").write_text(str(os.getpid()))
            path.with_suffix(".tmp").rename(path)
            while True:
                time.sleep(1)
    ''', timeout_seconds=60)
    runtime = FunctionRuntime(definition, {})
    began = folder / "began"
    ENDING
"""

IN_A_THREAD = "threading.Thread(target=runtime.invoke, args=[str(began)], daemon=True).start(); "
PROGRAM_ENDINGS = [
    ("Ctrl-C in an invocation", "runtime.invoke(str(began))", signal.SIGINT),
    ("Ctrl-C beside an invocation", IN_A_THREAD + "threading.Event().wait(60)", signal.SIGINT),
    ("Ctrl-C in a with statement", "with runtime: " + IN_A_THREAD + "threading.Event().wait(60)", signal.SIGINT),
    ("the program's last line", IN_A_THREAD + "[time.sleep(0.01) for _ in range(500) if not began.exists()]", None),
]


@pytest.mark.parametrize(("sentence", "ending", "sent"), PROGRAM_ENDINGS, ids=[row[0] for row in PROGRAM_ENDINGS])
def test_no_process_outlives_the_program(
    tmp_path: Path, sentence: str, ending: str, sent: signal.Signals | None
) -> None:
    """However the program ends, the function's processes end with it."""
    source = "\n".join(line[4:] for line in PROGRAM.replace("ENDING", ending).splitlines())
    command: list[str | Path] = [sys.executable, "-c", source, tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as program:  # noqa: S603 - our own source
        process_id = int(_content_of(tmp_path / "began"))
        if sent:
            program.send_signal(sent)
        program.wait(timeout=20)
    try:
        assert wait_until_gone(process_id), sentence
    finally:
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


def test_clock_ahead(tmp_path: Path) -> None:
    """The function's date can be moved; only the date, and for environments idle or busy at that moment alike."""
    definition = write_function(
        tmp_path / "package",
        """
        import pathlib, time
        from datetime import UTC, datetime

        def handler(event, context):
            path = pathlib.Path(event)
            path.touch()
            while path.with_suffix(".wait").exists():
                time.sleep(0.01)
            moment = datetime.now(UTC)
            assert isinstance(datetime(2026, 3, 1), datetime)
            return [moment.timestamp(), time.time(), context.get_remaining_time_in_millis() <= 20_000]
        """,
        timeout_seconds=20,
    )
    began, wait = tmp_path / "began", tmp_path / "began.wait"
    wait.touch()
    with FunctionRuntime(definition, {}) as runtime, ThreadPoolExecutor(1) as pool:
        busy = pool.submit(runtime.invoke, str(began))
        _content_of(began)
        runtime.advance_clock(timedelta(days=2))
        wait.unlink()
        before = busy.result().payload
        after = [runtime.invoke(str(began)) for _ in range(2)]
        runtime.set_clock(datetime.now(UTC) - timedelta(days=7))
        past = runtime.invoke(str(began)).payload
    assert isinstance(past, list)
    assert past[0] == pytest.approx(time.time() - 7 * 24 * 3600, abs=60)
    assert isinstance(before, list)
    assert before[0] == pytest.approx(time.time(), abs=60)
    assert [result.cold for result in after] == [True, False]
    for payload in (result.payload for result in after):
        assert isinstance(payload, list)
        assert payload[0] == pytest.approx(time.time() + 2 * 24 * 3600, abs=60)
        assert payload[1:] == [pytest.approx(time.time(), abs=60), True]


def test_idle_environment_that_died_is_replaced(tmp_path: Path) -> None:
    """A process that ends after its answer does not fail the next event."""
    definition = write_function(
        tmp_path,
        """
        import os, threading

        def handler(event, context):
            threading.Timer(0.05, os._exit, [1]).start()
            return os.getpid()
        """,
    )
    with FunctionRuntime(definition, {}) as runtime:
        first = runtime.invoke({})
        assert isinstance(first.payload, int)
        assert wait_until_gone(first.payload)
        time.sleep(0.1)
        second = runtime.invoke({})
    assert (second.error, second.cold) == (None, True)

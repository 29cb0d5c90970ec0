import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from tests.builders import exemption_tags, notification_item

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "rolecall")
BARE = notification_item(profile=None)
EXEMPT = notification_item(profile=None, tags=exemption_tags())

PIPE = subprocess.PIPE


def environment(**changes: str) -> dict[str, str]:
    """A terminal without preferences."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return kept | {"PYTHONPATH": str(ROOT / "lambda"), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | changes


def run(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":  # noqa: ANN401 - of subprocess.run
    """`rolecall …` until it ends."""
    options = {"env": environment(), **options}
    return subprocess.run([*COMMAND, *arguments], timeout=60, check=False, **options)  # noqa: S603 - our own command


@contextmanager
def terminal(width: int) -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: the one a program writes to, and the one that its screen is read from."""
    screen, written = pty.openpty()
    fcntl.ioctl(written, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    try:
        yield written, screen
    finally:
        os.close(screen)


def shown(screen: int, written: int) -> str:
    """Everything that was written, once the program has ended."""
    os.close(written)
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(screen, 65536)
        except OSError:  # Linux says so when the last writer is gone
            piece = b""
        if not piece:
            return b"".join(pieces).decode().replace("\r\n", "\n")
        pieces.append(piece)


def on_terminal(*arguments: str, width: int, given: str = "", **changes: str) -> str:
    """What `rolecall evaluate` prints on a terminal."""
    with terminal(width) as (written, screen):
        done = run(
            "evaluate", *arguments, input=given.encode(), stdout=written, stderr=PIPE, env=environment(**changes)
        )
        assert done.stderr == b""
        return shown(screen, written)


NARROW = """\
Compliance      Instance             Account       Region
NON_COMPLIANT   i-0a1b2c3d4e5f60718  111122223333  eu-west-1
  NO_PROFILE: attach an instance profile with a least-privilege role or, if
  having no role is intended, set tag intentional-no-role to the reason.
COMPLIANT       i-0a1b2c3d4e5f60718  111122223333  eu-west-1
  EXEMPT: no role is intended: licensed appliance, calls no AWS API

NON_COMPLIANT   1  NO_PROFILE 1
COMPLIANT       1  EXEMPT 1
2 configuration items judged.
"""
WIDE = """\
Compliance      Instance             Account       Region          Annotation
NON_COMPLIANT   i-0a1b2c3d4e5f60718  111122223333  eu-west-1       NO_PROFILE: attach an instance profile with a least-privilege role or, if
                                                                   having no role is intended, set tag intentional-no-role to the reason.
COMPLIANT       i-0a1b2c3d4e5f60718  111122223333  eu-west-1       EXEMPT: no role is intended: licensed appliance, calls no AWS API

NON_COMPLIANT   1  NO_PROFILE 1
COMPLIANT       1  EXEMPT 1
2 configuration items judged.
"""  # noqa: E501 - a wide terminal


@pytest.mark.parametrize(("width", "expected"), [(80, NARROW), (140, WIDE)])
def test_the_table_fits_the_terminal(width: int, expected: str) -> None:
    """Annotations stand beside the other columns where there is room, and below them where there is none."""
    printed = on_terminal(width=width, given=f"{json.dumps(BARE)}\n{json.dumps(EXEMPT)}")
    printed = re.sub("\x1b\\[[0-9;]*m", "", printed)
    assert [line.rstrip() for line in printed.splitlines()] == expected.splitlines()


def test_verdicts_are_coloured_unless_that_is_unwanted() -> None:
    """NO_COLOR (no-color.org) is honoured; with colours, red means NON_COMPLIANT."""
    assert re.search("\x1b\\[[0-9;]*31m *NON_COMPLIANT", on_terminal(width=80, given=json.dumps(BARE)))
    assert "\x1b[31m" not in on_terminal(width=80, given=json.dumps(BARE), NO_COLOR="1")


def test_nobody_has_to_type_json() -> None:
    """Without a path, on a terminal, the command says what it needs instead of waiting."""
    with terminal(80) as (written, _):
        done = run("evaluate", stdin=written, capture_output=True)
        os.close(written)
    assert done.returncode == 2
    assert b"give files or folders, - for standard input, or --live" in b" ".join(
        done.stderr.replace("│".encode(), b"").split()
    )


def start(*arguments: str, stderr: int = PIPE) -> "subprocess.Popen[bytes]":
    """The command, reading a pipe."""
    return subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "evaluate", *arguments], stdin=PIPE, stdout=PIPE, stderr=stderr, env=environment(), bufsize=0
    )


def ends(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    """What to write to and what to read from."""
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout


def test_a_long_run_shows_its_progress_on_the_terminal_alone() -> None:
    """The bar appears after half a second, on standard error; standard output stays clean."""
    with terminal(100) as (written, screen):
        process = start("-f", "jsonl", stderr=written)
        given, printed = ends(process)
        for _ in range(3):
            given.write(json.dumps(BARE).encode() + b"\n")
            printed.readline()
            time.sleep(0.6)
        given.close()
        assert printed.read() == b""
        printed.close()
        assert process.wait(60) == 1
        seen = shown(screen, written)
    assert "standard input" in seen
    assert " kB" in seen
    # What the bar hid comes back: the cursor.
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert "3 configuration items judged." in seen


@pytest.mark.parametrize("arguments", [("-f", "jsonl"), ("-f", "jsonl", "-q")])
def test_there_is_no_progress_bar_in_a_log(arguments: tuple[str, ...]) -> None:
    """Standard error that is no terminal gets the summary, and nothing with --quiet."""
    process = start(*arguments)
    given, printed = ends(process)
    for _ in range(2):
        given.write(json.dumps(BARE).encode() + b"\n")
        printed.readline()
        time.sleep(0.6)
    _, errors = process.communicate(timeout=60)
    assert errors.decode() == (
        "" if "-q" in arguments else "NON_COMPLIANT   2  NO_PROFILE 2\n2 configuration items judged.\n"
    )


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`rolecall evaluate … | head -1` prints one line, no traceback, and ends as if killed by SIGPIPE."""
    process = start("-f", "jsonl")
    given, printed = ends(process)
    line = json.dumps(BARE).encode() + b"\n"
    given.write(line)
    printed.readline()
    printed.close()
    with suppress(BrokenPipeError):
        for _ in range(1000):
            given.write(line)
    given.close()
    assert process.stderr
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


CLOSED = [
    ("standard output", ">&-", "evaluate -", "error: standard output is closed\n", 2),
    ("standard output, which is not needed", ">&-", "evaluate -q -f jsonl -o /dev/null -", "", 1),
    ("standard input", "<&-", "evaluate -q -", "error: standard input: is closed\n", 2),
    ("standard input, without a path", "<&-", "evaluate", "give files or folders, - for standard input, or", 2),
    ("standard error", "2>&-", "evaluate -q -", "", 1),
    ("a closed standard error, with something to say", "2>&- <&-", "evaluate -", "", 2),
]


@pytest.mark.parametrize(("what", "closing", "arguments", "message", "code"), CLOSED, ids=[case[0] for case in CLOSED])
def test_what_is_closed_is_no_verdict(what: str, closing: str, arguments: str, message: str, code: int) -> None:
    """One line says it, and the code is not that of NON_COMPLIANT."""
    command = ["/bin/sh", "-c", f'"$0" -m rolecall {arguments} {closing}', sys.executable]
    done = subprocess.run(  # noqa: S603 - our own command
        command, input=json.dumps(BARE).encode(), capture_output=True, env=environment(), timeout=60, check=False
    )
    said = done.stderr.decode()
    assert (message in said and "Traceback" not in said) if message else not said, what
    assert done.returncode == code, what


CRASH = "import rolecall.cli as c\ndef crash(**_):\n    raise KeyError('what')\nc.app = crash\nc.main()"


@pytest.mark.parametrize(("wanted", "shown_lines"), [("", 0), ("1", 1)])
def test_whatever_nobody_expected_is_no_verdict_either(wanted: str, shown_lines: int) -> None:
    """One line and exit code 2; where it happened, only if that is asked for."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", CRASH],
        capture_output=True,
        env=environment(ROLECALL_TRACEBACK=wanted),
        timeout=60,
        check=False,
    )
    said = done.stderr.decode()
    assert said.endswith("error: unexpected KeyError: 'what'; please report it\n")
    assert said.count("Traceback") == shown_lines
    assert (done.returncode, wanted == "" and said.count("\n") != 1) == (2, False)


def test_an_interrupt_leaves_no_output_that_looks_complete(tmp_path: Path) -> None:
    """What was there before stays, and the part that was written goes."""
    output = tmp_path / "verdicts.jsonl"
    output.write_text("before")
    process = start("-f", "jsonl", "-o", str(output))
    given, _ = ends(process)
    given.write(json.dumps(BARE).encode() + b"\n")
    part = tmp_path / "verdicts.jsonl.part"
    until = time.monotonic() + 30
    while not part.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert part.exists()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (list(tmp_path.iterdir()), output.read_text()) == ([output], "before")


def test_an_interrupt_ends_it_at_once() -> None:
    """Ctrl-C: exit code 130 and no traceback."""
    process = start("-f", "jsonl")
    given, printed = ends(process)
    given.write(json.dumps(BARE).encode() + b"\n")
    printed.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("promise", "text", "code"), [("fine", EXEMPT, 0), ("not fine", BARE, 1), ("no item", {"a": 1}, 2)]
)
def test_a_process_ends_with_the_code_of_its_result(promise: str, text: Mapping[str, object], code: int) -> None:
    """The shell sees what the table of exit codes says."""
    done = run("evaluate", input=json.dumps(text).encode(), capture_output=True)
    assert done.returncode == code, promise


def test_completion_is_offered() -> None:
    """A shell that asks gets the options."""
    asked = {"_ROLECALL_COMPLETE": "complete_bash", "COMP_WORDS": "rolecall evaluate --exemption-m", "COMP_CWORD": "2"}
    done = run(env=environment(**asked), capture_output=True)
    assert b"--exemption-max-days" in done.stdout


WATCH = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "rolecall", "evaluate", sys.argv[1]], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_megabytes(path: Path) -> float:
    """Of a process that judges `path`. A small process starts it: a child's peak includes its parent's at the fork."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-S", "-c", WATCH, str(path)], capture_output=True, env=environment(), timeout=120, check=True
    )
    code, kilobytes = done.stdout.split()
    assert code == b"1", done.stderr
    return int(kilobytes) / 1024 if sys.platform == "linux" else int(kilobytes) / 1024 / 1024


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """Ten times the snapshot costs the same memory, far below 150 MB."""
    item = json.dumps(BARE)
    peaks = []
    for megabytes in (5, 50):
        path = tmp_path / f"{megabytes}.json"
        with path.open("w") as snapshot:
            snapshot.write(f'{{"fileVersion":"1.0","configurationItems":[{item}')
            for _ in range(megabytes * 1_000_000 // len(item)):
                snapshot.write(f",{item}")
            snapshot.write("]}")
        peaks.append(peak_megabytes(path))
        path.unlink()
    small, large = peaks
    assert large < 100
    assert large < small + 10

"""Where evaluations are written, and how the command ends when they cannot be."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import typer

from rolecall.cli.screen import complain
from rolecall.errors import AwsError

UNUSABLE = 2
"""Exit code: something is wrong with what was given."""

CUT_OFF = 141
"""As a shell reports a command whose reader went away: 128 + SIGPIPE."""


def output_path(text: str) -> Path:
    """The value of --output: a blank one, as an unset variable gives it, is not the folder. Raises BadParameter."""
    if not text.strip():
        raise typer.BadParameter("--output is blank")
    return Path(text)


def refuse_to_overwrite(output: Path | None, inputs: Sequence[Path]) -> None:
    """Raise BadParameter if `output` is one of the files to be read."""
    if output is None:
        return
    for written in (output, _part(output)):
        if written.exists() and any(path.samefile(written) for path in inputs):
            raise typer.BadParameter(f"{written} is one of the inputs, which it would overwrite", param_hint="--output")


@contextmanager
def failures_named() -> Iterator[None]:
    """End the command with one line for what AWS refused, failed or did not answer."""
    try:
        yield
    except AwsError as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE) from None


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """The file `output`, or standard output; in UTF-8, with lone surrogates escaped as JSON escapes them.

    A file is complete or not there: what was there before is replaced at the end.
    A reader that went away (`| head`) ends the command quietly; whatever else keeps from writing is said.
    """
    try:
        if output is None:
            if sys.stdout is None:
                complain("standard output is closed")
                raise typer.Exit(UNUSABLE)
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
            yield sys.stdout
            sys.stdout.flush()
        else:
            with _replaced(output) as file:
                yield file
    except BrokenPipeError:
        _discard_the_rest()
        raise typer.Exit(CUT_OFF) from None
    except OSError as error:
        complain(f"{output or 'standard output'}: cannot be written: {error.strerror or error}")
        if output is None:
            _discard_the_rest()
        raise typer.Exit(UNUSABLE) from None


def _part(output: Path) -> Path:
    """Where a file is written until it is complete: beside it, and beside what a link leads to."""
    real = output.resolve()
    return real.with_name(f"{real.name}.part")


@contextmanager
def _replaced(output: Path) -> Iterator[TextIO]:
    if output.exists() and not output.is_file():  # a device or a pipe: it stays what it is
        with _written(output) as file:
            yield file
        return
    part = _part(output)
    try:
        with _written(part) as file:
            if output.exists():
                shutil.copymode(output, part)
            yield file
        part.replace(output.resolve())
    except BaseException:  # Ctrl-C too: half a file must not stay
        part.unlink(missing_ok=True)
        raise


def _written(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")


def _discard_the_rest() -> None:
    """The interpreter flushes standard output at its end, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

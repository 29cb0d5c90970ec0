"""Configuration items from files and standard input."""

import zlib
from collections.abc import Iterator, Sequence

from rolecall.cli.inputs import Ignored, Input, Unreadable
from rolecall.cli.reading import Broken, ValueReader
from rolecall.cli.screen import ProgressBar
from rolecall.cli.subjects import ForRule, Found, Note, Problem, said, subjects
from rolecall.errors import RolecallError, counted


def offline(inputs: Sequence[Input | Unreadable | Ignored], for_rule: ForRule, bar: ProgressBar) -> Iterator[Found]:
    """Every item in `inputs`; whatever cannot be read is a Problem that names the input and the place in it."""
    for one in inputs:
        match one:
            case Input():
                bar.describe(one.name)
                yield from _read(one, for_rule, bar)
            case Unreadable(name, reason):
                yield Problem(f"{name}: {reason}")
            case Ignored(folder, files):
                yield Note(f"{folder}: nothing was read of {counted(files, 'other file')} in it, by name no JSON")


def _read(one: Input, for_rule: ForRule, bar: ProgressBar) -> Iterator[Found]:
    reader = ValueReader(one.text(bar.advance))
    try:
        for value in reader:
            if isinstance(value, Broken):
                yield Problem(f"{one.name}: {value.position}: not JSON: {value.reason}")
                continue
            for subject in subjects(value, one.name, for_rule):
                if isinstance(subject, RolecallError):
                    yield Problem(f"{one.name}: {reader.position}: {said(subject)}")
                else:
                    yield subject
    except OSError as error:
        yield Problem(f"{one.name}: {error.strerror or error}")
    except (EOFError, zlib.error) as error:
        yield Problem(f"{one.name}: the compressed file is truncated or damaged ({error}); the rest was not read")
    else:
        if reader.blank:
            yield Problem(f"{one.name}: is empty")

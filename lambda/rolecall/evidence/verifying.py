"""Verifying a chain of packages: each one, and that none is missing between them, before them or after them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rolecall.errors import AwsError, counted
from rolecall.evidence.findings import Finding, Outcome, PackageReport, Report
from rolecall.evidence.manifest import MANIFEST, SIGNATURE, Previous
from rolecall.evidence.packages import SealedPackage, by_day
from rolecall.evidence.signing import Verifier
from rolecall.evidence.stores import Store
from rolecall.evidence.verifying_package import PackageCheck, Progress

_ONE_DAY = timedelta(days=1)

_MOST_NAMED = 5
"""In a note, of as many as there are."""


@dataclass(frozen=True, slots=True)
class Link:
    """A package that was read, as the next one must name it."""

    day: date
    previous: Previous


class Chain:
    """Where the packages so far have come to, and what is wrong between them."""

    def __init__(self, first: date | None) -> None:
        """`first`: the day that the chain may begin with; None if it must begin with the first package ever."""
        self._first = first
        self._counted: tuple[date, int] | None = None
        """A day and its number in the chain."""
        self._link: Link | None = None
        self.newest: date | None = None
        self.anchor: Previous | None = None
        self.begins: date | None = None
        self.signed_since: dict[str, date] = {}
        """The first day that each key signed, in the order of days."""
        self.findings: list[Finding] = []

    def add(self, day: date, package: SealedPackage | None, *, proven: bool) -> None:
        """The next package that is there; None if its manifest and signature cannot be read."""
        self._check_days(day)
        if package and proven:
            self._check_number(day, package)
            self._check_link(day, package)
            self._check_key(day, package.signature.key_fingerprint)
        self._link = Link(day, package.as_previous) if package else None
        self.newest = day

    def end(self, until: date, *, later: str = "") -> None:
        """There is no other: is the last day there? `later` is the first package after it, if there is one."""
        if self.newest is None:
            hint = f"; the next one is of {later}: --until says which day must be the last" if later else ""
            self._find(Outcome.GAP, f"there is no package of {_span(self._first or until, until)}{hint}")
        elif self.newest < until:
            self._find(Outcome.STALE, f"the newest package is of {self.newest}; missing: {_after(self.newest, until)}")

    def _check_days(self, day: date) -> None:
        if self.newest is None:
            if self._first is None:
                self._counted = (day, 1)
            elif self._first < day:
                self._find(Outcome.GAP, f"missing: {_span(self._first, day - _ONE_DAY)}")
        elif day - self.newest > _ONE_DAY:
            self._find(Outcome.GAP, f"missing: {_after(self.newest, day - _ONE_DAY)}")

    def _check_number(self, day: date, package: SealedPackage) -> None:
        """Another number 1 is no tampering: the key vouches for it, and nothing of what came before has changed."""
        sequence = package.manifest.sequence
        if self.newest is None:
            self.anchor = package.manifest.previous
            self.begins = day if sequence == 1 else None
            if self._first is None and sequence > 1:
                before = counted(sequence - 1, "package")
                says = f"is number {sequence}, and of {before} before it nothing is here"
                self._find(Outcome.GAP, says, day, MANIFEST)
        elif sequence == 1:
            says = "a new chain begins here, with number 1: it does not vouch for what comes before"
            self._find(Outcome.GAP, says, day, MANIFEST)
        elif self._counted:
            expected = self._counted[1] + (day - self._counted[0]).days
            if sequence != expected:
                says = f"is number {sequence} in the chain, where number {expected} belongs"
                self._find(Outcome.TAMPERED, says, day, MANIFEST)
        self._counted = (day, sequence)

    def _check_link(self, day: date, package: SealedPackage) -> None:
        if self._link is None or self._link.day != day - _ONE_DAY:
            return
        named, there = package.manifest.previous, self._link.previous
        if named is None or named == there:  # the first one of a chain is told of by its number
            return
        if named.manifest_sha256 != there.manifest_sha256:
            says = (
                f"comes after another package of {self._link.day}: SHA-256 {named.manifest_sha256}, there is "
                f"{there.manifest_sha256}"
            )
        else:
            says = f"comes after another signature of {self._link.day}'s manifest than the one that is there"
        self._find(Outcome.TAMPERED, says, day, MANIFEST)

    def _check_key(self, day: date, key: str) -> None:
        """A key that another one took the place of may be in the hands of whoever was the reason."""
        if key not in self.signed_since:
            self.signed_since[key] = day
        elif key != next(reversed(self.signed_since)):
            says = f"is by key {key} again, although another one had taken its place"
            self._find(Outcome.TAMPERED, says, day, SIGNATURE)

    def _find(self, outcome: Outcome, says: str, day: date | None = None, path: str | None = None) -> None:
        self.findings.append(Finding(outcome, says, day, path))


def verify(  # noqa: PLR0913 - one argument for each choice
    store: Store,
    keys: Sequence[Verifier],
    *,
    until: date,
    first: date | None = None,
    describe: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda: None,
) -> Report:
    """Verify the packages in a store. `until` is the last day that must be there; later ones are left alone.

    The first package must be the first one ever; or, with `first`, that of this day, whatever came before it.
    `describe` is told which day comes next, `progress` is called after each file. What cannot be read is a finding;
    nothing is raised, whatever the packages hold.
    """
    chain, reports = Chain(first), []
    odd: list[Finding] = []
    others, earlier, later, late = _Named(), _Named(), _Named(), _Named()
    doubted = 0
    try:
        # Of one day, only what is named for it is listed: a bucket may hold years.
        for name, day, keys_of_day in by_day(store, f"{until}" if first == until else ""):
            if day is None or (first and day < first) or day > until:
                (others if day is None else later if day > until else earlier).add(name)
                continue
            describe(name)
            present = list(keys_of_day)
            if present == [name]:
                odd.append(Finding(Outcome.TAMPERED, "is no folder, but a file or a link", day))
                continue
            check = PackageCheck(store, day, keys)
            reports.append(check.run((key.removeprefix(f"{name}/") for key in present), progress))
            chain.add(day, check.package, proven=check.proven)
            doubted += check.doubted
            if check.collected_late:
                late.add(f"{name} on {check.collected_late.last.date()}")
    except (AwsError, OSError) as error:
        odd.append(Finding(Outcome.CANNOT_VERIFY, f"the packages cannot be listed to the end: {error}"))
    else:
        if not (reports or earlier.count or later.count):
            odd.append(Finding(Outcome.CANNOT_VERIFY, "there is no package here"))
        else:
            chain.end(until, later=later.first)
    notes = [
        *_beginning_note(chain),
        *_key_notes(chain, keys),
        *_anchor_note(chain, reports),
        *later.note("package", f" later than {until}", "not looked at"),
        *earlier.note("package", f" earlier than {first}", "not looked at"),
        *others.note("other name", "", "not looked at"),
        *_doubted_note(doubted),
        *late.note("package", "", "collected more than a day late, with what there was then, not on the day itself"),
    ]
    findings = (*odd, *chain.findings)
    return Report(tuple(reports), findings, chain.anchor, chain.begins, chain.signed_since, tuple(notes))


class _Named:
    """Some of many, for a note."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= _MOST_NAMED:
            self._named.append(name)

    @property
    def first(self) -> str:
        return self._named[0] if self._named else ""

    def note(self, noun: str, which: str, what: str) -> Iterator[str]:
        if self.count:
            verb, more = "was" if self.count == 1 else "were", ", …" if self.count > _MOST_NAMED else ""
            yield f"{counted(self.count, noun)}{which} {verb} {what}: {', '.join(self._named)}{more}"


def _beginning_note(chain: Chain) -> Iterator[str]:
    if chain.begins:
        # Of packages that were all replaced by a new chain, nothing else tells.
        yield f"the chain begins on {chain.begins}, with number 1: compare with the day that you know"


def _key_notes(chain: Chain, keys: Sequence[Verifier]) -> Iterator[str]:
    """Whoever has an old key could sign the days since its replacement once more: nothing but the day tells."""
    if len({key.fingerprint for key in keys}) > 1:
        for key, since in chain.signed_since.items():
            yield f"key {key} signs from {since} on: compare with the day that you know"
        for idle in dict.fromkeys(key.fingerprint for key in keys if key.fingerprint not in chain.signed_since):
            yield (
                f"key {idle} signs none of them: if it took the place of another one, packages since then are missing, "
                "or signed by the one that was replaced"
            )


def _anchor_note(chain: Chain, reports: Sequence[PackageReport]) -> Iterator[str]:
    if chain.anchor:
        yield (
            f"the package before {reports[0].day} was not looked at; its manifest's SHA-256 must be "
            f"{chain.anchor.manifest_sha256}"
        )


def _doubted_note(doubted: int) -> Iterator[str]:
    if doubted:
        are = "is" if doubted == 1 else "are"
        yield (
            f"{counted(doubted, 'row')} {are} exempt by what AWS Config recorded, and the rule does not agree when it "
            "is performed again: coverage.json names them as disagreements or as in flight"
        )


def _after(day: date, last: date) -> str:
    return _span(day + _ONE_DAY, last)


def _span(start: date, last: date) -> str:
    return f"{start}" if start == last else f"{start} to {last}"

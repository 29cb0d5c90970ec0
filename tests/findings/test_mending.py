from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rolecall.errors import InvalidItem, ServiceError
from rolecall.findings.identity import compliance_status
from rolecall.findings.mending import Mender
from rolecall.findings.reconciling import Difference, Discrepancy
from rolecall.findings.shown import Place, Shown
from rolecall.items import configuration_item
from rolecall.model import ComplianceType, ConfigurationItem, Reason
from rolecall.recorded_results import Known
from tests.builders import ACCOUNT, CAPTURED, INSTANCE_ID, NOW, REGION, Json, deleted_item, iso, query_row
from tests.findings.shown_findings import PARAMETERS, SHAPES, evaluated

HOME = Place(ACCOUNT, REGION)
LATER = CAPTURED + timedelta(minutes=5)
FAILING, EXEMPT, ATTACHED = Reason.NO_PROFILE, Reason.EXEMPT, Reason.PROFILE_ATTACHED


def _discrepancy(recorded: Reason | None, shown: Reason | None = None) -> Discrepancy:
    applicable = recorded is not None and recorded.compliance_type is not ComplianceType.NOT_APPLICABLE
    return Discrepancy(
        Difference.STALE,
        HOME,
        INSTANCE_ID,
        Known(recorded, CAPTURED, applicable) if recorded else None,
        Shown(compliance_status(shown), shown, LATER) if shown else None,
    )


def _row(reason: Reason, **changes: Any) -> Json:  # noqa: ANN401 - any key of a row
    return query_row(**SHAPES[reason], **changes)


def nobody_knows(_resource_id: str) -> ConfigurationItem | None:
    """An aggregator has no history."""
    return None


def newest(reason: Reason) -> Callable[[str], ConfigurationItem | None]:
    """The newest item of every instance comes to that."""
    if reason is Reason.DELETED:
        return lambda _resource_id: configuration_item(deleted_item(configurationItemCaptureTime=iso(LATER)))
    return lambda resource_id: evaluated(reason, resource_id, LATER).item


def refused(error: Exception) -> Callable[[str], ConfigurationItem | None]:
    """It cannot be had."""

    def newest_item(_resource_id: str) -> ConfigurationItem | None:
        raise error

    return newest_item


def outcome(
    discrepancy: Discrepancy, rows: list[object], newest_item: Callable[[str], ConfigurationItem | None]
) -> tuple[Reason, object] | str:
    """Reason and ordering timestamp of what mends it, or why nothing does."""
    [(about, verdict)] = Mender(PARAMETERS, NOW, newest_item).verdicts([discrepancy], rows)
    assert about is discrepancy
    return verdict if isinstance(verdict, str) else (verdict.reason, verdict.ordering_timestamp)


MENDED: list[tuple[str, Discrepancy, list[object], Callable[[str], ConfigurationItem | None], object]] = [
    ("a row that agrees: told at the time of the result", _discrepancy(FAILING), [_row(FAILING)], nobody_knows,
     (FAILING, CAPTURED)),
    ("never before the record of the finding that it replaces", _discrepancy(ATTACHED, FAILING), [_row(ATTACHED)],
     nobody_knows, (ATTACHED, LATER)),
    ("a row of another instance is none of it", _discrepancy(FAILING),
     [_row(FAILING, resourceId="i-1"), _row(FAILING)], nobody_knows, (FAILING, CAPTURED)),
    ("a row that lags behind, and a newest item that agrees", _discrepancy(FAILING), [_row(ATTACHED)],
     newest(FAILING), (FAILING, CAPTURED)),
    ("not listed, but its newest item agrees", _discrepancy(Reason.TERMINATING, FAILING), [],
     newest(Reason.DELETED), (Reason.DELETED, LATER)),
    ("no result, and a profile", _discrepancy(None, FAILING), [_row(ATTACHED)], nobody_knows, (ATTACHED, LATER)),
    ("neither result nor row nor item: gone", _discrepancy(None, EXEMPT), [], nobody_knows, (Reason.DELETED, LATER)),
    ("no result, not listed, and its newest item says deleted", _discrepancy(None, EXEMPT), [],
     newest(Reason.DELETED), (Reason.DELETED, LATER)),
]  # fmt: skip


@pytest.mark.parametrize(("what", "discrepancy", "rows", "newest_item", "expected"), MENDED, ids=[r[0] for r in MENDED])
def test_what_mends(
    what: str,
    discrepancy: Discrepancy,
    rows: list[object],
    newest_item: Callable[[str], ConfigurationItem | None],
    expected: object,
) -> None:
    """The recorded result, once the instance confirms it."""
    assert outcome(discrepancy, rows, newest_item) == expected, what


SWEEP = "the rule's next sweep mends that"
THROTTLED = ServiceError("GetResourceConfigHistory", "ThrottlingException", "Rate exceeded")

SKIPPED: list[tuple[str, Discrepancy, list[object], Callable[[str], ConfigurationItem | None], str]] = [
    ("the instance has a profile by now", _discrepancy(FAILING), [_row(ATTACHED)], newest(ATTACHED),
     f"AWS Config recorded NO_PROFILE, but the instance comes to PROFILE_ATTACHED now; {SWEEP}"),
    ("nobody can be asked for a newer item", _discrepancy(EXEMPT, FAILING), [_row(FAILING)], nobody_knows,
     f"AWS Config recorded EXEMPT, but the instance comes to NO_PROFILE now; {SWEEP}"),
    ("no result, but it fails", _discrepancy(None, FAILING), [_row(FAILING)], newest(FAILING),
     f"AWS Config recorded no result, but the instance comes to NO_PROFILE now; {SWEEP}"),
    ("a result that is not applicable, but it fails", _discrepancy(Reason.STOPPED, FAILING), [_row(FAILING)],
     newest(FAILING), f"AWS Config recorded STOPPED, but the instance comes to NO_PROFILE now; {SWEEP}"),
    ("a result, but no instance: a missing row proves nothing", _discrepancy(FAILING), [], nobody_knows,
     f"AWS Config recorded NO_PROFILE, but lists no such instance; {SWEEP}"),
    ("its row cannot be judged", _discrepancy(None, FAILING), [_row(FAILING, configuration="?")], nobody_knows,
     f"{INSTANCE_ID}: configuration is '?'; allowed: JSON text of an object"),
    ("a row that does not say whose it is", _discrepancy(None, FAILING), ["?"], nobody_knows,
     "configuration item is '?'; allowed: a JSON object"),
    ("its newest item cannot be had", _discrepancy(FAILING), [], refused(THROTTLED),
     "GetResourceConfigHistory failed: ThrottlingException: Rate exceeded"),
    ("its newest item cannot be judged", _discrepancy(FAILING), [],
     refused(InvalidItem("configuration", None, "an object", INSTANCE_ID)),
     f"{INSTANCE_ID}: configuration is None; allowed: an object"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "discrepancy", "rows", "newest_item", "why"), SKIPPED, ids=[r[0] for r in SKIPPED])
def test_what_is_skipped(
    what: str,
    discrepancy: Discrepancy,
    rows: list[object],
    newest_item: Callable[[str], ConfigurationItem | None],
    why: str,
) -> None:
    """And named, with the reason."""
    assert outcome(discrepancy, rows, newest_item) == why, what


def test_a_listing_that_breaks_off_leaves_out_what_it_did_not_reach() -> None:
    """Nobody may take for gone what was only not read."""

    def broken() -> Iterator[object]:
        yield _row(FAILING, resourceId="i-1")
        raise THROTTLED

    discrepancies = [replace(_discrepancy(None, FAILING), resource_id=f"i-{number}") for number in range(3)]
    verdicts = Mender(PARAMETERS, NOW, nobody_knows).verdicts(discrepancies, broken())
    assert next(verdicts)[0].resource_id == "i-1"
    with pytest.raises(ServiceError):
        next(verdicts)


def test_no_inventory_is_read_for_nothing() -> None:
    """An organization's takes a while."""

    def unread() -> Iterator[object]:
        pytest.fail("it was read")
        yield

    assert list(Mender(PARAMETERS, NOW, nobody_knows).verdicts([], unread())) == []

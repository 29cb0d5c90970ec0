from collections import Counter
from datetime import UTC, datetime

import pytest

from bench import estimate, population
from bench.estimate import Assumptions, Run

DAY = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("promise", "numbers", "recorded", "calls", "evaluations", "records"),
    [
        (
            "an empty account-region costs one call of each listing",
            range(0),
            True,
            {"GetComplianceDetailsByConfigRule": 1, "SelectResourceConfig": 1},
            0,
            0,
        ),
        (
            "what is not recorded is put 100 and published 10 at a time, and confirmed by nobody",
            range(201),
            False,
            {"GetComplianceDetailsByConfigRule": 1, "SelectResourceConfig": 3, "PutEvaluations": 3, "PutEvents": 21},
            201,
            201,
        ),
        (
            "what is recorded and differs is confirmed one by one",
            range(100),
            True,
            {
                "GetComplianceDetailsByConfigRule": 1,
                "SelectResourceConfig": 1,
                "GetResourceConfigHistory": 100,
                "PutEvaluations": 1,
                "PutEvents": 10,
            },
            100,
            100,
        ),
    ],
)
def test_calls_of_a_sweep(  # noqa: PLR0913, PLR0917 - a row of the table
    promise: str, numbers: range, recorded: bool, calls: dict[str, int], evaluations: int, records: int
) -> None:
    """Each call holds as much as its limit allows."""
    counted = estimate.sweep(numbers, recorded=recorded, differing=population.every, day=DAY)
    assert (+counted[0], *counted[1:]) == (Counter(calls), evaluations, records), promise


def test_refreshes() -> None:
    """Of instances without a profile about one in 30 is told again on a day, which takes calls of PutEvents alone."""
    calls, evaluations, records = estimate.sweep(range(998), recorded=True, differing=population.is_stale, day=DAY)
    assert 0 < records < 50
    assert (evaluations, calls["PutEvaluations"], calls["PutEvents"]) == (0, 0, -(-records // 10))


def test_account_regions() -> None:
    """1,000 accounts in 3 regions have 1,000,000 instances, and none belongs to two of them."""
    ranges = list(estimate.account_regions())
    assert len(ranges) == estimate.ACCOUNTS * estimate.REGIONS
    assert [one.start for one in ranges[1:]] == [one.stop for one in ranges[:-1]]
    assert ranges[-1].stop == 1_000_000


def test_seconds_and_dollars() -> None:
    """Processor time grows as the share of a processor shrinks; Config's rate slows down Config's calls alone."""
    run = Run({"AssumeRole": 1, "PutEvents": 1, "SelectResourceConfig": 16}, cpu_seconds=1, evaluations=100, records=50)
    both = estimate.of_schedules([run, run], Assumptions(memory_mb=1024))
    each = 1769 / 1024 + 16 / 8 + 2 * 0.05
    assert both.function_seconds == pytest.approx(2 * each)
    assert both.wall_seconds == both.longest_run_seconds == pytest.approx(each)
    assert both.calls == {"AssumeRole": 2, "PutEvents": 2, "SelectResourceConfig": 32}
    assert both.dollars == pytest.approx(
        {"AWS Config": 0.2, "Lambda": 2 * each * 0.0000133334 + 2 * 0.20 / 1e6, "EventBridge": 100 / 1e6}
    )


def test_storm() -> None:
    """A storm lasts until the largest account-region has taken a put for each instance."""
    storm = estimate.of_events(Run({"PutEvaluations": 1}, 0.01, 1, 1), Assumptions(config_calls_per_second=50))
    assert (storm.invocations, storm.calls, storm.wall_seconds) == (1_000_000, {"PutEvaluations": 1_000_000}, 2_000)


@pytest.mark.parametrize("setting", ["rate=1", "call_seconds", "call_seconds=fast", "call_seconds=0", "memory_mb=inf"])
def test_refused_assumptions(setting: str) -> None:
    """An unknown name, and what is no number above 0, is named beside all that is allowed."""
    with pytest.raises(ValueError, match=f"'{setting}': allowed is NAME=NUMBER above 0 .*config_calls_per_second"):
        Assumptions().with_settings([setting])


def test_assumptions_taken() -> None:
    """Only what is named changes."""
    taken = Assumptions().with_settings(["call_seconds=0.1", "memory_mb=1024"])
    assert taken == Assumptions(call_seconds=0.1, memory_mb=1024)

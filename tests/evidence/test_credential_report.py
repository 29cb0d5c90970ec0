from datetime import UTC, datetime

import pytest

from rolecall.errors import InvalidRecord
from rolecall.evidence.credential_report import count_keys
from rolecall.evidence.shard_header import KeyCounts

MADE = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
NEVER = "N/A"


def user(name: str, *keys: tuple[str, str]) -> str:
    """A row: of each of two keys whether it is active, and when it was made."""
    first, second = [*keys, ("false", NEVER), ("false", NEVER)][:2]
    return (
        f"{name},arn:aws:iam::111122223333:user/x,2019-01-01T00:00:00+00:00,false,N/A,N/A,N/A,false,"
        f"{first[0]},{first[1]},N/A,N/A,N/A,{second[0]},{second[1]},N/A,N/A,N/A,true,2019-01-01T00:00:00+00:00,false,N/A"
    )


def report(*rows: str) -> bytes:
    """All of it."""
    return "\n".join((HEADER, *rows)).encode()


OLD, NEW = "2019-05-06T07:08:09+00:00", "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([], KeyCounts(MADE, 0, 0, 0, 0)),
        ([user("<root_account>", ("not_supported", NEVER))], KeyCounts(MADE, 0, 0, 0, 0)),
        (
            [user("<root_account>", ("true", OLD), ("TRUE", NEW))],
            KeyCounts(MADE, 0, 0, 0, 2, datetime.fromisoformat(OLD)),
        ),
        (
            [user("a", ("true", NEW), ("true", OLD)), user("b", ("false", OLD)), user("c", ("true", NEW))],
            KeyCounts(MADE, 3, 2, 3, 0, datetime.fromisoformat(OLD)),
        ),
        ([user("a", ("true", NEVER))], KeyCounts(MADE, 1, 1, 1, 0)),
        ([user('"a, b"', ("false", NEVER), ("true", NEW))], KeyCounts(MADE, 1, 1, 1, 0, datetime.fromisoformat(NEW))),
    ],
)
def test_active_keys_are_counted(rows: list[str], counts: KeyCounts) -> None:
    """Of users and of the root user apart, with the oldest of those that are active; certificates are no keys."""
    assert count_keys(report(*rows), MADE) == counts


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "credential report is []"),
        (b"\xff\xfe", "credential report is b'\\xff\\xfe'"),
        (b"user,arn\nx,y\n", "credential report is ['user', 'arn']"),
        (report(user("a", ("maybe", NEVER))), "credential report: access_key_1_active is 'maybe'"),
        (report(user("a", ("true", "soon"))), "credential report: access_key_1_last_rotated is 'soon'"),
        (report("a,arn"), "credential report: access_key_1_active is None"),
        (report('"a'), "credential report is 'unexpected end of data'"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, error: str) -> None:
    """A count of keys that is too low would be worse than none."""
    with pytest.raises(InvalidRecord) as refused:
        count_keys(content, MADE)
    assert str(refused.value).startswith(error)

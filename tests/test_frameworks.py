from itertools import pairwise

from rolecall.frameworks import REQUIREMENTS, Requirement


def test_a_requirement_is_shown_with_framework_and_version() -> None:
    """An id alone means another requirement in another version."""
    assert str(Requirement("CIS AWS Foundations Benchmark", "v5.0.0", "1.17")) == (
        "CIS AWS Foundations Benchmark v5.0.0/1.17"
    )


def test_cis_renumbers_the_same_recommendation() -> None:
    """Which is why each stands with its version."""
    by_version = {one.version: one.id for one in REQUIREMENTS if one.framework == "CIS AWS Foundations Benchmark"}
    assert by_version == {
        "v1.4.0": "1.18",
        "v3.0.0": "1.18",
        "v4.0.1": "1.18",
        "v5.0.0": "1.17",
        "v6.0.0": "2.17",
        "v7.0.0": "2.16",
    }


def test_every_requirement_is_listed_once_whole_and_beside_its_own() -> None:
    """No field is blank or padded, and the versions of a framework, and the ids of a version, stand together."""
    assert len(set(REQUIREMENTS)) == len(REQUIREMENTS)
    assert all(part and part == part.strip() for one in REQUIREMENTS for part in (one.framework, one.version, one.id))
    groups = [(one.framework, one.version) for one in REQUIREMENTS]
    changes = sum(one != other for one, other in pairwise(groups))
    assert changes == len(set(groups)) - 1


def test_the_frameworks_are_those_that_ask_for_it() -> None:
    """In the order in which they are shown."""
    assert list(dict.fromkeys(one.framework for one in REQUIREMENTS)) == [
        "CIS AWS Foundations Benchmark",
        "NIST SP 800-53",
        "NIST SP 800-171",
        "PCI DSS",
        "ISO/IEC 27001",
        "CMMC",
        "CIS Controls",
    ]

"""The rule's requirements as OSCAL names them.

NIST publishes SP 800-53 in OSCAL, so its controls and statements go by their ids in that catalog (`cm-6`,
`cm-6_smt.a`). Of the other frameworks there is no public catalog whose ids could be used: theirs are made of framework,
version and id.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rolecall.frameworks import REQUIREMENTS, Requirement

_CATALOG = {"AC-3": ("ac-3", "ac-3_smt"), "CM-5(1)(a)": ("cm-5.1", "cm-5.1_smt.a"), "CM-6(a)": ("cm-6", "cm-6_smt.a")}
"""Of SP 800-53 r5: control and statement in NIST's own catalog."""

_NOT_OF_A_TOKEN = re.compile(r"[^A-Za-z0-9.\-]+")


def token(requirement: Requirement) -> str:
    """The requirement as an OSCAL token: `cis-aws-foundations-benchmark_v5.0.0_1.17`."""
    parts = (requirement.framework, requirement.version, requirement.id)
    return "_".join(_NOT_OF_A_TOKEN.sub("-", part).strip("-") for part in parts).lower()


def reviewed_controls() -> dict[str, Any]:
    """All requirements, a selection for each version of a framework."""
    return {
        "description": "The requirements that the rule stands for. The mapping is rolecall's own.",
        "control-selections": [
            {
                "description": f"{framework} {version}",
                "include-controls": [{"control-id": _control(requirement)} for requirement in requirements],
            }
            for (framework, version), requirements in groupby(REQUIREMENTS, lambda one: (one.framework, one.version))
        ],
    }


def finding_targets() -> Iterator[tuple[Requirement, dict[str, Any]]]:
    """Each requirement with the target of its finding, its status still missing."""
    for requirement in REQUIREMENTS:
        in_catalog = _catalogued(requirement)
        if in_catalog:
            yield requirement, {"type": "statement-id", "target-id": in_catalog[1], "title": str(requirement)}
        else:
            yield requirement, {"type": "objective-id", "target-id": token(requirement), "title": str(requirement)}


def _control(requirement: Requirement) -> str:
    in_catalog = _catalogued(requirement)
    return in_catalog[0] if in_catalog else token(requirement)


def _catalogued(requirement: Requirement) -> tuple[str, str] | None:
    return _CATALOG.get(requirement.id) if requirement.framework == "NIST SP 800-53" else None

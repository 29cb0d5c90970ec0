import re
from pathlib import Path

import pytest

from infra.settings import documented
from rolecall.findings.identity import compliance_status
from rolecall.findings.severity import DEFAULT_SEVERITIES
from rolecall.frameworks import REQUIREMENTS
from rolecall.model import Reason
from rolecall.parameters import PARAMETERS, RuleParameters

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def parameter_table() -> str:
    """The table of rule parameters, from the code."""
    defaults = RuleParameters().to_strings()
    rows = [
        f"| `{name}` | {f'`{defaults[name]}`' if defaults[name] else 'empty'} | {spec.allowed} | {spec.meaning} |"
        for name, spec in PARAMETERS.items()
    ]
    return "\n".join(["| parameter | default | allowed | meaning |", "|---|---|---|---|", *rows])


def setting_table() -> str:
    """The table of settings, from the code."""
    rows = [f"| `{name}` | `{default}` | {allowed} | {meaning} |" for name, default, allowed, meaning in documented()]
    return "\n".join(["| setting | default | allowed | meaning |", "|---|---|---|---|", *rows])


def severity_table() -> str:
    """The table of the severities of open findings, from the code."""
    rows = [f"| `{one}` | {compliance_status(one)} | {label} |" for one, label in DEFAULT_SEVERITIES.items()]
    return "\n".join(["| reason | `Compliance.Status` | severity |", "|---|---|---|", *rows])


def requirement_table() -> str:
    """The table of related requirements, from the code: a row for each version of a framework."""
    ids: dict[tuple[str, str], list[str]] = {}
    for one in REQUIREMENTS:
        ids.setdefault((one.framework, one.version), []).append(one.id)
    rows = [f"| {framework} | {version} | {', '.join(listed)} |" for (framework, version), listed in ids.items()]
    return "\n".join(["| framework | version | requirements |", "|---|---|---|", *rows])


@pytest.mark.parametrize(
    ("document", "what", "table"),
    [
        ("rule.md", "parameters", parameter_table()),
        ("operations.md", "settings", setting_table()),
        ("security-hub.md", "severities", severity_table()),
        ("security-hub.md", "requirements", requirement_table()),
    ],
)
def test_generated_tables_are_the_codes_own(document: str, what: str, table: str) -> None:
    """When this fails, paste what it expects between the two comments."""
    text = (ROOT / "docs" / document).read_text()
    (documented_table,) = re.findall(rf"<!-- {what}: begin .*?-->\n(.*?)\n<!-- {what}: end -->", text, re.DOTALL)
    assert documented_table == table


@pytest.mark.parametrize("document", ["README.md", "docs/rule.md"])
def test_the_verdict_tables_name_every_reason_in_the_rules_order(document: str) -> None:
    """With the compliance type that the code gives it."""
    rows = re.findall(r"^\| *\d+ *\|.*\| *([A-Z_]+) *\| *`([A-Z_]+)` *\|$", (ROOT / document).read_text(), re.MULTILINE)
    assert rows == [(reason.compliance_type.value, reason.value) for reason in Reason]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """A reader who follows a link finds the file."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []

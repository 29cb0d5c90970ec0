"""What the operator may choose about findings.

The function reads it from environment variables; the same readers check the deployment's settings at synth and the
options of the command line, so that a bad value fails before a deploy.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from rolecall.errors import InvalidSetting
from rolecall.findings.severity import DEFAULT_SEVERITIES, Severity
from rolecall.model import Reason

SEVERITIES_VARIABLE = "ROLECALL_SEVERITIES"
KEEP_PASSED_VARIABLE = "ROLECALL_KEEP_PASSED"
REMEDIATION_URL_VARIABLE = "ROLECALL_REMEDIATION_URL"

URL_MAX_LENGTH = 1024
"""Our own limit: Lambda takes 4 KB of environment variables in all."""

_SEVERITIES_ALLOWED = (
    f"a JSON object of reasons ({', '.join(DEFAULT_SEVERITIES)}) and severities ({', '.join(Severity)})"
)
_URL_ALLOWED = f"an http:// or https:// address of at most {URL_MAX_LENGTH} printable ASCII characters"


@dataclass(frozen=True, slots=True)
class FindingSettings:
    """The defaults are what a deployment without settings does."""

    severities: Mapping[Reason, Severity]
    """Of every reason that keeps a finding open."""
    keep_passed: bool = False
    """Whether a finding whose instance passes stays active instead of being archived."""
    remediation_url: str | None = None
    """The page that every finding names; None: AWS's own for its reason."""

    def to_environment(self) -> dict[str, str]:
        """The environment variables that `read_settings` reads these settings from: only what is no default."""
        changed = {one.value: label.value for one, label in self.severities.items() if DEFAULT_SEVERITIES[one] != label}
        variables = {
            SEVERITIES_VARIABLE: json.dumps(changed, sort_keys=True) if changed else "",
            KEEP_PASSED_VARIABLE: "true" if self.keep_passed else "",
            REMEDIATION_URL_VARIABLE: self.remediation_url or "",
        }
        return {name: text for name, text in variables.items() if text}


DEFAULTS = FindingSettings(DEFAULT_SEVERITIES)


def read_settings(environ: Mapping[str, str]) -> FindingSettings:
    """The settings that environment variables hold. Raises InvalidSetting, which names the variable."""
    return FindingSettings(
        severities=read_severities(environ.get(SEVERITIES_VARIABLE), SEVERITIES_VARIABLE),
        keep_passed=read_keep_passed(environ.get(KEEP_PASSED_VARIABLE), KEEP_PASSED_VARIABLE),
        remediation_url=read_remediation_url(environ.get(REMEDIATION_URL_VARIABLE), REMEDIATION_URL_VARIABLE),
    )


def read_severities(given: object, name: str) -> Mapping[Reason, Severity]:
    """`given`: an object or its JSON text, which replaces single defaults; None or blank: the defaults.

    Raises InvalidSetting, which calls the setting `name`.
    """
    severities = dict(DEFAULT_SEVERITIES)
    for key, value in _decoded(given, name).items():
        if key not in DEFAULT_SEVERITIES:
            raise InvalidSetting(f"a reason of {name}", key, ", ".join(DEFAULT_SEVERITIES))
        severities[Reason(key)] = _severity(value, f"{name}.{key}")
    return severities


def read_keep_passed(given: object, name: str) -> bool:
    """`given`: a boolean or its text; None or blank: false. Raises InvalidSetting, which calls the setting `name`."""
    if isinstance(given, bool):
        return given
    text = "" if given is None else given
    if not isinstance(text, str) or text.strip().lower() not in ("", "true", "false"):
        raise InvalidSetting(name, given, "true or false")
    return text.strip().lower() == "true"


def read_remediation_url(given: object, name: str) -> str | None:
    """`given`: a web address; None or blank: none. Raises InvalidSetting, which calls the setting `name`."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if not isinstance(given, str) or not _is_web_address(given):
        raise InvalidSetting(name, given, _URL_ALLOWED)
    return given


def _decoded(given: object, name: str) -> Mapping[str, object]:
    if given is None or (isinstance(given, str) and not given.strip()):
        return {}
    decoded = given
    if isinstance(given, str):
        try:
            decoded = json.loads(given)
        except (ValueError, RecursionError):
            raise InvalidSetting(name, given, _SEVERITIES_ALLOWED) from None
    if not isinstance(decoded, Mapping):
        raise InvalidSetting(name, given, _SEVERITIES_ALLOWED)
    return decoded


def _severity(value: object, name: str) -> Severity:
    if isinstance(value, str) and value in list(Severity):
        return Severity(value)
    raise InvalidSetting(name, value, ", ".join(Severity))


def _is_web_address(text: str) -> bool:
    if len(text) > URL_MAX_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # a bracket that is not closed, for one
        return False

"""Evaluations as the findings that consumers would get: one JSON object in each line."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TextIO

import typer

from rolecall.cli.subjects import Subject
from rolecall.errors import shown
from rolecall.events import CHANGE, TEST_TOKEN, ChangeNotification, Invocation, RuleIdentity
from rolecall.findings.lifecycle import FindingState, shown_state
from rolecall.findings.settings import DEFAULTS
from rolecall.model import Evaluation, Source
from rolecall.received_record import EvaluationRecord, read_record
from rolecall.record import evaluation_record

DEFAULT_RULE_NAME = "rolecall-ec2-instance-profile"
"""The default of the setting ruleName."""

RULE_NAME_MAX_LENGTH = 128
"""Characters of a rule's name: the Config API's ConfigRuleName."""

_UNKNOWN = "unknown"

Render = Callable[..., dict[str, Any]]
"""`asff.finding` or `ocsf.compliance_finding`."""


class FindingLines:
    """Implements `listing.Listing` for the formats of findings."""

    def __init__(self, render: Render, output: TextIO, rule_name: str) -> None:
        self._render = render
        self._output = output
        self._rule_name = rule_name

    def write(self, evaluation: Evaluation, subject: Subject) -> None:
        """Write one line: the finding as it would first be imported, at the moment of the evaluation."""
        record = _record(evaluation, subject, self._rule_name)
        finding = self._render(
            record,
            DEFAULTS,
            archived=shown_state(record, DEFAULTS) is FindingState.ARCHIVED,
            created_at=evaluation.evaluated_at,
            updated_at=evaluation.evaluated_at,
        )
        self._output.write(f"{json.dumps(finding, ensure_ascii=False)}\n")

    def close(self) -> None:
        """Lines need no end."""


def checked_rule_name(given: str, option: str) -> str:
    """A name that AWS Config would take. Raises BadParameter, which names the option."""
    if not given.strip() or len(given) > RULE_NAME_MAX_LENGTH:
        allowed = f"1 to {RULE_NAME_MAX_LENGTH} characters, not all of them spaces"
        raise typer.BadParameter(f"rule name is {shown(given)}; allowed: {allowed}", param_hint=option)
    return given


def _record(evaluation: Evaluation, subject: Subject, rule_name: str) -> EvaluationRecord:
    """The record as it would be published, without what only a deployed rule knows: its id, and the rule's ARN."""
    item = evaluation.item
    invocation = Invocation(
        rule=subject.rule or RuleIdentity(rule_name, _UNKNOWN, item.account),
        parameters=subject.parameters,
        message_type=CHANGE,
        notification=ChangeNotification(item),
        notified_at=None,
        result_token=TEST_TOKEN,
    )
    record = read_record(evaluation_record(evaluation, invocation, Source.CHANGE))
    return replace(record, id="", rule_arn=subject.rule.arn if subject.rule else "")

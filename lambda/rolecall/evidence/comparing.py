"""One instance's inventory row and recorded result become its evidence row: the rule is performed once more."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rolecall.errors import InvalidItem
from rolecall.evidence.rows import (
    IN_FLIGHT_HOURS,
    Agreement,
    EvidenceRow,
    EvidenceVerdict,
    InstanceFacts,
    RecordedVerdict,
    ReperformedVerdict,
)
from rolecall.items import configuration_item, partition_of
from rolecall.model import ComplianceType, Evaluation, Instance, Reason
from rolecall.parameters import RuleParameters
from rolecall.rule import evaluate

_IN_FLIGHT = timedelta(hours=IN_FLIGHT_HOURS)


@dataclass(frozen=True, slots=True)
class RuleDefinition:
    """A rule as AWS Config has it in one account and region."""

    name: str
    arn: str | None
    parameters: RuleParameters


class Comparison:
    """Compares in one account and region."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a shard consists of
        self,
        account: str,
        region: str,
        rules: Mapping[str, RuleDefinition],
        deployed: RuleDefinition,
        version: str,
        judged_at: datetime,
        collected_at: datetime,
    ) -> None:
        """`rules` by name; `deployed` counts where nothing is recorded.

        Exemptions are held against `judged_at`, or against the time at which a result was recorded, if that is later:
        an exemption that is over at midnight is recorded as such after it, and both must look at the same moment.
        """
        self._account = account
        self._region = region
        self._rules = rules
        self._deployed = deployed
        self._version = version
        self._judged_at = judged_at
        self._young_after = collected_at - _IN_FLIGHT
        # `to_strings` of 100,000 rows is always the same.
        self._texts = {name: rule.parameters.to_strings() for name, rule in rules.items()}
        self._deployed_texts = deployed.parameters.to_strings()

    def row(self, resource_id: str, raw: Mapping[str, Any], recorded: RecordedVerdict | None) -> EvidenceRow:
        """The evidence row of one instance. Raises InvalidItem for a row of another account or region."""
        name = recorded.rule_name if recorded else self._deployed.name
        rule = self._rules.get(name, self._deployed)
        bare = EvidenceRow(
            account=self._account,
            region=self._region,
            partition=partition_of(raw.get("arn"), self._region),
            resource_id=resource_id,
            resource_arn="",
            verdict=_verdict(recorded, None),
            recorded=recorded,
            reperformed=None,
            agreement=Agreement.UNEVALUATED,
            rule_name=name,
            rule_arn=rule.arn,
            parameters=self._texts.get(name, self._deployed_texts),
            rolecall_version=self._version,
        )
        try:
            evaluation = evaluate(configuration_item(raw), rule.parameters, self._moment(recorded))
        except InvalidItem as unjudged:
            return dataclasses.replace(bare, problem=str(unjudged))
        item = evaluation.item
        if (item.account, item.region) != (self._account, self._region):
            where = f"{item.account} in {item.region}"
            raise InvalidItem("accountId and awsRegion", where, f"{self._account} in {self._region}", resource_id)
        reperformed = ReperformedVerdict(evaluation.reason, evaluation.annotation)
        return dataclasses.replace(
            bare,
            partition=item.partition,
            resource_arn=item.arn,
            verdict=_verdict(recorded, reperformed),
            reperformed=reperformed,
            agreement=self._agreement(recorded, evaluation),
            profile_arn=item.instance.profile_arn if item.instance else None,
            exemption=evaluation.exemption,
            instance=_facts(item.instance) if item.instance else None,
            capture_time=item.capture_time,
        )

    def _moment(self, recorded: RecordedVerdict | None) -> datetime:
        return max(self._judged_at, (recorded and recorded.recorded_at) or self._judged_at)

    def _agreement(self, recorded: RecordedVerdict | None, evaluation: Evaluation) -> Agreement:
        silent = evaluation.compliance_type is ComplianceType.NOT_APPLICABLE
        if recorded is None or recorded.compliance_type is ComplianceType.NOT_APPLICABLE:
            agrees = silent
        else:
            agrees = recorded.reason is evaluation.reason
        if agrees:
            return Agreement.AGREES
        times = [evaluation.item.capture_time]
        if recorded:
            times += [recorded.ordering_timestamp, recorded.recorded_at or recorded.ordering_timestamp]
        if max(times) > self._young_after:
            return Agreement.IN_FLIGHT
        return Agreement.DISAGREES if recorded else Agreement.UNEVALUATED


def _verdict(recorded: RecordedVerdict | None, reperformed: ReperformedVerdict | None) -> EvidenceVerdict:
    if recorded is None:
        # Config drops such results by itself, and an aggregator never shows them.
        silent = reperformed is not None and reperformed.compliance_type is ComplianceType.NOT_APPLICABLE
        return EvidenceVerdict.NOT_APPLICABLE if silent else EvidenceVerdict.UNEVALUATED
    if recorded.reason is Reason.EXEMPT:
        return EvidenceVerdict.EXEMPT
    return EvidenceVerdict(recorded.compliance_type.value)


def _facts(instance: Instance) -> InstanceFacts:
    return InstanceFacts(
        instance.state,
        instance.instance_type,
        instance.image_id,
        instance.first_launch,
        instance.last_launch,
        instance.vpc_id,
        instance.subnet_id,
    )

"""Checks of one account and region: the recorder, the rule, its results, its function, Security Hub.

Pure functions of what the APIs answer; `rolecall.aws.preflight` asks them.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rolecall.cli.diagnosis import Diagnosis, cannot_tell, ok, problem
from rolecall.model import INSTANCE_TYPE
from rolecall.recording import CONTINUOUS, failed, instance_frequency, recording_instances, records_instances

Answer = Mapping[str, Any]

PACK_SUFFIX = "-conformance-pack-"
"""What stands between a rule's name and the id that a conformance pack appends to it."""

MESSAGES = (
    "ConfigurationItemChangeNotification",
    "OversizedConfigurationItemChangeNotification",
    "ScheduledNotification",
)
"""The message types that the rule has to be subscribed to; without one, some instances or expiries are never judged."""

RUN_HOURS = 26
"""A rule runs at least daily, and Config takes its time: what the alarm waits for with the default frequency."""

CONCURRENCY_FLOOR = 100
"""Fewer unreserved executions leave nothing for a reservation, and make a storm of changes wait."""

_NAMED = 5
"""Accounts that are named in one line."""

_CONCURRENCY_QUOTA = "L-B99A9384"
"""Service Quotas' code of Lambda's "Concurrent executions"."""


def check_recorder(
    read: tuple[Sequence[Answer], Sequence[Answer]], region: str, account: str, partition: str
) -> list[Diagnosis]:
    """Is there a recorder, is it on, and does it record instances as they change? `read`: recorders and statuses."""
    recorders, statuses = read
    if not recorders:
        return [
            problem(
                "recorder",
                region,
                "AWS Config has none, so nothing is judged",
                _new_recorder(region, account, partition),
            )
        ]
    [recorder] = recorders[:1]
    name = recorder.get("name", "default")
    status = next((status for status in statuses if status.get("name") == name), None)
    return [_running(name, status, region), _recording(recorder, region)]


def _running(name: str, status: Answer | None, region: str) -> Diagnosis:
    start = _start_recorder(name, region)
    if status is None:
        return cannot_tell("recorder", region, f"AWS Config shows no status of recorder {name}", start)
    if not status.get("recording"):
        return problem("recorder", region, f"recorder {name} is stopped: changes are not judged", start)
    if failed(status.get("lastStatus")):
        why = f"{status.get('lastErrorCode', 'no code')}: {status.get('lastErrorMessage', 'no message')}"
        role = "aws configservice describe-configuration-recorders --query 'ConfigurationRecorders[].roleARN'"
        return problem("recorder", region, f"recorder {name} is on but fails: {why}", f"{role} --region {region}")
    return ok("recorder", region, f"{name} is on")


def _recording(recorder: Answer, region: str) -> Diagnosis:
    if not records_instances(recorder):
        return problem("recording", region, f"{INSTANCE_TYPE} is not recorded", _put_recorder(recorder, region))
    frequency = instance_frequency(recorder)
    if frequency != CONTINUOUS:
        says = f"{INSTANCE_TYPE} is recorded {frequency}: a verdict may be a day old"
        return problem("recording", region, says, _put_recorder(recorder, region))
    return ok("recording", region, f"{INSTANCE_TYPE} is recorded continuously")


def _put_recorder(recorder: Answer, region: str) -> str:
    changed = recording_instances(recorder)
    group = shlex.quote(json.dumps(changed.pop("recordingGroup")))
    described = shlex.quote(json.dumps(changed))
    return (
        f"aws configservice put-configuration-recorder --configuration-recorder {described} "
        f"--recording-group {group} --region {region}"
    )


def _new_recorder(region: str, account: str, partition: str) -> str:
    role = f"arn:{partition}:iam::{account}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
    return (
        f"aws configservice put-configuration-recorder --configuration-recorder name=default,roleARN={role} "
        f"--recording-group allSupported=true,includeGlobalResourceTypes=false --region {region} && "
        f"{_new_channel(region)} && "
        f"{_start_recorder('default', region)}"
    )


def _start_recorder(name: str, region: str) -> str:
    recorder = shlex.quote(name)
    return f"aws configservice start-configuration-recorder --configuration-recorder-name {recorder} --region {region}"


def _new_channel(region: str) -> str:
    return (
        "aws configservice put-delivery-channel --delivery-channel name=default,s3BucketName=YOUR_BUCKET "
        f"--region {region}"
    )


def check_delivery(read: tuple[Sequence[Answer], Sequence[Answer]], region: str) -> Diagnosis:
    """Is there a delivery channel, and does it deliver? `read`: channels and statuses."""
    channels, statuses = read
    if not channels:
        return problem(
            "delivery channel", region, "there is none, and without one no recorder starts", _new_channel(region)
        )
    failing = [
        f"{what} ({info.get('lastErrorCode', 'no code')}: {info.get('lastErrorMessage', 'no message')})"
        for status in statuses
        for what, info in (
            ("history", status.get("configHistoryDeliveryInfo", {})),
            ("snapshots", status.get("configSnapshotDeliveryInfo", {})),
            ("stream", status.get("configStreamDeliveryInfo", {})),
        )
        if failed(info.get("lastStatus"))
    ]
    bucket = str(channels[0].get("s3BucketName", "no bucket"))
    if failing:
        says = f"deliveries to {bucket} fail: {', '.join(failing)}"
        return problem("delivery channel", region, says, f"aws s3api get-bucket-policy --bucket {shlex.quote(bucket)}")
    return ok("delivery channel", region, f"delivers to {bucket}")


def rolecall_rules(rules: Sequence[Answer], name: str) -> list[Answer]:
    """Those with this name, or with the name that a conformance pack makes of it."""
    return [
        rule
        for rule in rules
        if rule["ConfigRuleName"] == name or str(rule["ConfigRuleName"]).startswith(f"{name}{PACK_SUFFIX}")
    ]


def check_rule(rules: Sequence[Answer], name: str, region: str, *, organization: bool) -> Diagnosis:
    """Is it there, once, active, and subscribed to all that it needs? `rules`: what `rolecall_rules` gives."""
    redeploy = (
        f"aws configservice describe-organization-conformance-pack-statuses --region {region}"
        if organization
        else "node_modules/.bin/cdk deploy"
    )
    if not rules:
        says = f"there is none named {name}, or {name}{PACK_SUFFIX}…"
        return problem("rule", region, says, redeploy)
    names = [str(rule["ConfigRuleName"]) for rule in rules]
    if len(rules) > 1:
        says = f"{' and '.join(names)} judge the same instances: keep one"
        own = [one for one in names if PACK_SUFFIX not in one] or names[1:]
        delete = f"aws configservice delete-config-rule --config-rule-name {own[0]} --region {region}"
        return problem("rule", region, says, delete)
    [rule] = rules
    wrong = _wrong_with(rule)
    if wrong:
        return problem("rule", region, f"{names[0]} {', '.join(wrong)}", redeploy)
    return ok("rule", region, f"{names[0]} is {rule.get('ConfigRuleState', 'there')}")


def _wrong_with(rule: Answer) -> list[str]:
    source = rule.get("Source", {})
    wrong = []
    if rule.get("ConfigRuleState", "ACTIVE") not in ("ACTIVE", "EVALUATING"):
        wrong.append(f"is {rule['ConfigRuleState']}")
    if source.get("Owner") != "CUSTOM_LAMBDA":
        wrong.append(f"is no custom Lambda rule but {source.get('Owner')}")
    scope = rule.get("Scope", {})
    if scope.get("ComplianceResourceTypes", []) not in ([], [INSTANCE_TYPE]) or scope.get("TagKey"):
        wrong.append(f"has another scope than every {INSTANCE_TYPE}: {json.dumps(scope)}")
    subscribed = {detail.get("MessageType") for detail in source.get("SourceDetails", ())}
    missing = [message for message in MESSAGES if message not in subscribed]
    if missing:
        wrong.append(f"is not subscribed to {', '.join(missing)}")
    return wrong


def check_pack(name: str, pack: Answer | None, accounts: Sequence[Answer], region: str) -> Diagnosis:
    """Is the organization's conformance pack in every account? `accounts`: how it is in each, once it failed."""
    if pack is None:
        says = f"no organization conformance pack's name begins with {name}"
        return problem("conformance pack", region, says, "node_modules/.bin/cdk deploy --all")
    full, status = str(pack["OrganizationConformancePackName"]), str(pack["Status"])
    show = (
        "aws configservice get-organization-conformance-pack-detailed-status "
        f"--organization-conformance-pack-name {full} --region {region}"
    )
    if status in ("CREATE_SUCCESSFUL", "UPDATE_SUCCESSFUL"):
        return ok("conformance pack", region, f"{full} is in every account")
    if status.endswith("_IN_PROGRESS"):
        return cannot_tell("conformance pack", region, f"{full} is {status}", show)
    failed = [one for one in accounts if str(one.get("Status")).endswith("_FAILED")]
    places = ", ".join(str(one.get("AccountId")) for one in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED:,} more" if len(failed) > _NAMED else ""
    first = failed[0] if failed else pack
    why = f"{first.get('ErrorCode', 'no code')}: {first.get('ErrorMessage', 'no message')}"
    where = f" in {places}{more}" if failed else ""
    return problem("conformance pack", region, f"{full} is {status}{where} ({why})", show)


def function_account(rules: Sequence[Answer]) -> str | None:
    """The account of the function that Config invokes; None without a rule, or if its source is no ARN."""
    for rule in rules:
        parts = str(rule.get("Source", {}).get("SourceIdentifier", "")).split(":")
        if len(parts) > 4 and parts[0] == "arn":  # noqa: PLR2004 - arn:partition:service:region:account
            return parts[4]
    return None


def check_results(compliance: str, instances: int, rule: str, region: str) -> Diagnosis:
    """Has the rule reported anything? Config itself says nothing about the runs of custom Lambda rules."""
    if compliance in ("COMPLIANT", "NON_COMPLIANT"):
        return ok("results", region, f"{compliance} as a whole; {instances:,} EC2 instances are recorded")
    if compliance == "INSUFFICIENT_DATA" and instances == 0:
        return ok("results", region, "none, and no EC2 instance is recorded")
    again = f"aws configservice start-config-rules-evaluation --config-rule-names {rule} --region {region}"
    if compliance == "INSUFFICIENT_DATA":
        says = (
            f"none, though {instances:,} EC2 instances are recorded: all of them stopped or gone, or the function fails"
        )
        return problem("results", region, says, again)
    return cannot_tell("results", region, f"AWS Config says {compliance}", again)


def check_runs(points: Sequence[Answer], rule: str, stack: str, region: str) -> Diagnosis:
    """Did the function complete a scheduled run lately? `points`: of its metric CompletedScheduledRuns.

    No command starts such a run: StartConfigRulesEvaluation sends the items to a rule that also gets changes.
    """
    runs = [point for point in points if point.get("Sum", 0) >= 1]
    if not runs:
        says = (
            f"none was completed in {RUN_HOURS} hours: exemptions do not expire. A new rule's first run may take a "
            "day; else look at the function's log"
        )
        log_group = (
            f"aws cloudformation describe-stacks --stack-name {shlex.quote(stack)} "
            "--query \"Stacks[0].Outputs[?OutputKey=='LogGroupName'].OutputValue\" "
            f"--output text --region {region}"
        )
        return problem("scheduled run", region, says, log_group)
    last = max(point["Timestamp"] for point in runs)
    return ok("scheduled run", region, f"{rule} completed one in the hour from {last:%Y-%m-%d %H:%M} UTC")


def check_concurrency(limits: Answer, region: str) -> Diagnosis:
    """Are there enough of Lambda's concurrent executions?"""
    whole, unreserved = limits.get("ConcurrentExecutions"), limits.get("UnreservedConcurrentExecutions")
    if whole is None or unreserved is None:
        why = "Lambda does not say how many executions may run at once"
        return cannot_tell("concurrency", region, why, f"aws lambda get-account-settings --region {region}")
    says = f"{unreserved:,} of {whole:,} concurrent executions of Lambda are unreserved"
    if unreserved < CONCURRENCY_FLOOR:
        raise_it = (
            "aws service-quotas request-service-quota-increase --service-code lambda "
            f"--quota-code {_CONCURRENCY_QUOTA} --desired-value 1000 --region {region}"
        )
        return problem("concurrency", region, f"{says}: a storm of changes will wait", raise_it)
    return ok("concurrency", region, says)


def check_hub(hub: Answer | None, region: str) -> Diagnosis:
    """Is Security Hub on? The rule does not need it."""
    if hub is None:
        enable = f"aws securityhub enable-security-hub --no-enable-default-standards --region {region}"
        return ok("Security Hub", region, "off; the rule works without it", enable)
    return ok("Security Hub", region, "on")

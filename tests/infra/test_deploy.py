import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.config_region import ConfigRegion
from local.config_service import ConfigService
from local.http_server import HttpServer
from local.security_hub import SecurityHubService
from local.timestamps import epoch_ms
from tests.builders import ACCOUNT, CAPTURED, REGION, Json, exemption_tags, notification_item
from tests.infra.cdk_cli import cdk
from tests.infra.ministack import REFUSED, Ministack

STACK = "Rolecall"
RULE_NAME = "rolecall-ec2-instance-profile"

WITH_PROFILE, WITHOUT, EXEMPT, UNANNOUNCED = (f"i-0000000000000000{letter}" for letter in "abcd")


@dataclass(frozen=True)
class Deployed:
    """The stack in ministack, and AWS Config and Security Hub, which its functions report to."""

    ministack: Ministack
    function_arn: str
    config: ConfigService
    security_hub: SecurityHubService

    @property
    def region(self) -> ConfigRegion:
        """AWS Config of the account and region of the stack."""
        return self.config.region(ACCOUNT, REGION)

    def compliance(self) -> dict[str, tuple[str, str, int]]:
        """What is recorded: compliance type, reason code and ordering timestamp by instance."""
        return {
            result.resource_id: (
                result.compliance_type,
                str(result.annotation).partition(":")[0],
                result.ordering_ms,
            )
            for result in self.region.results(RULE_NAME)
        }

    def findings(self) -> dict[str, tuple[str, str]]:
        """What Security Hub shows: status and record state by instance."""
        return {
            one["Id"].rpartition("/")[2]: (one["Compliance"]["Status"], one["RecordState"])
            for one in self.security_hub.findings(ACCOUNT, REGION)
        }

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Invocations are asynchronous; the first one also starts the function."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"not within a minute: {what}\n{self.ministack.log}"
            time.sleep(0.05)


def without_refused(assembly: Path) -> tuple[Json, list[str]]:
    """Take from the stack's template what ministack refuses; returns the rule's properties and what was taken."""
    file = assembly / f"{STACK}.template.json"
    template = json.loads(file.read_text())
    taken = {name: one for name, one in template["Resources"].items() if one["Type"] in REFUSED}
    template["Resources"] = {name: one for name, one in template["Resources"].items() if name not in taken}
    file.write_text(json.dumps(template))
    return taken["Rule"]["Properties"], [f"{name} ({one['Type']})" for name, one in taken.items()]


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    """Synthesized, bootstrapped and deployed by the command line; the rule goes to AWS Config as it was synthesized."""
    assembly = tmp_path / "cdk.out"
    synthesized = cdk("synth", "--quiet", "--output", str(assembly), "-c", "environment=security-hub", STACK)
    assert synthesized.returncode == 0, synthesized.stderr
    rule, taken = without_refused(assembly)
    print(f"deployed without {', '.join(taken)}, which ministack refuses")  # noqa: T201  # pytest shows it with -rP

    config, security_hub = ConfigService(), SecurityHubService()
    security_hub.enable(ACCOUNT, REGION)
    with (
        HttpServer(config.respond) as config_server,
        HttpServer(security_hub.respond) as hub_server,
        Ministack(
            tmp_path,
            {
                "AWS_ENDPOINT_URL_CONFIG_SERVICE": config_server.url,
                "AWS_ENDPOINT_URL_SECURITYHUB": hub_server.url,
            },
        ) as ministack,
    ):
        for command in (
            ["bootstrap", f"aws://{ACCOUNT}/{REGION}"],
            ["deploy", "--app", str(assembly), "--require-approval", "never", STACK],
        ):
            done = cdk(*command, environment=ministack.credentials())
            assert done.returncode == 0, f"{done.stdout}{done.stderr}{ministack.log}"

        client = ministack.client("lambda")
        stack = ministack.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId="RuleFunction"
        )
        function = client.get_function_configuration(FunctionName=stack["StackResourceDetail"]["PhysicalResourceId"])
        config.function_exists = function["FunctionArn"].__eq__
        config.invoke = lambda arn, event: client.invoke(
            FunctionName=arn, InvocationType="Event", Payload=json.dumps(event)
        )
        result = Deployed(ministack, function["FunctionArn"], config, security_hub)
        result.region.start_recording()
        rule["Source"]["SourceIdentifier"] = function["FunctionArn"]
        result.region.put_config_rule({"ConfigRule": rule})
        yield result


def test_the_deployed_functions_report_what_config_announces(deployed: Deployed) -> None:
    """From `cdk deploy` to PutEvaluations: changes, then the schedule, which finds what no event announced.

    And on, by bus, queue and table, to the findings in Security Hub.
    """
    captured = epoch_ms(CAPTURED)
    for item in (
        notification_item(resourceId=WITH_PROFILE),
        notification_item(resourceId=WITHOUT, profile=None),
        notification_item(resourceId=EXEMPT, profile=None, tags=exemption_tags("licensed appliance")),
    ):
        deployed.region.record(item)
    announced = {
        WITH_PROFILE: ("COMPLIANT", "PROFILE_ATTACHED", captured),
        WITHOUT: ("NON_COMPLIANT", "NO_PROFILE", captured),
        EXEMPT: ("COMPLIANT", "EXEMPT", captured),
    }
    deployed.wait_until(lambda: len(deployed.compliance()) == len(announced), "three verdicts")
    assert deployed.compliance() == announced

    deployed.region.load([notification_item(resourceId=UNANNOUNCED, profile=None)])
    deployed.region.run_schedule(RULE_NAME)
    deployed.wait_until(lambda: UNANNOUNCED in deployed.compliance(), "a fourth verdict")
    assert deployed.compliance() == announced | {UNANNOUNCED: ("NON_COMPLIANT", "NO_PROFILE", captured)}
    assert {call.error for call in deployed.config.journal.calls()} == {None}

    deployed.wait_until(lambda: len(deployed.findings()) == 3, "three findings")
    failing = ("FAILED", "ACTIVE")
    assert deployed.findings() == {WITHOUT: failing, EXEMPT: ("WARNING", "ACTIVE"), UNANNOUNCED: failing}
    assert {call.error for call in deployed.security_hub.journal.calls()} == {None}

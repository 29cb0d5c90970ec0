"""The state machine that makes a day's package, and the schedule that starts it.

It is not written with the CDK's own constructs: they would give its role more than it needs.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.evidence_buckets import PLANS, RUNS
from infra.evidence_names import acknowledge, arn, below, named, service
from infra.function_parts import resource_of
from infra.settings import Settings

LOGICAL_ID = "EvidenceStateMachine"
"""Pinned: the local run finds the definition by it."""

TIMEOUT_SECONDS = 6 * 3600
"""Of a whole run. A million instances in a thousand shards take a fraction of it."""

_RETRIES: list[dict[str, object]] = [
    {
        # Also what a function itself raises: throttling that outlasts its own retries passes with time.
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 30,
        "MaxAttempts": 4,
        "BackoffRate": 2,
        "MaxDelaySeconds": 300,
        "JitterStrategy": "FULL",
    }
]

_XRAY = (
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
_LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
"""AWS Step Functions Developer Guide, "Using CloudWatch Logs to log execution history": none has resource types."""


def definition(functions: Mapping[str, str], bucket: str, concurrency: int) -> dict[str, Any]:
    """In Amazon States Language; `functions` are the ARNs of plan, collect and seal, `bucket` is the ledger's name.

    Plan answers where it listed the shards: `{"day", "shards": {"bucket", "key"}}`, a JSON array of objects. Collect
    gets one of them as it stands. Seal gets what plan answered. One shard that fails for good fails the run, so that
    nothing incomplete is sealed; the same day can be run again.
    """
    return {
        "Comment": "rolecall evidence: one day's package",
        "StartAt": "Plan",
        "TimeoutSeconds": TIMEOUT_SECONDS,
        "States": {
            "Plan": {**_invoke(functions["plan"]), "Next": "Collect"},
            "Collect": {
                "Type": "Map",
                "Label": "Collect",
                "MaxConcurrency": concurrency,
                "ToleratedFailureCount": 0,
                "ItemReader": {
                    "Resource": f"arn:{Aws.PARTITION}:states:::s3:getObject",
                    "ReaderConfig": {"InputType": "JSON"},
                    "Parameters": {"Bucket.$": "$.shards.bucket", "Key.$": "$.shards.key"},
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "CollectShard",
                    "States": {"CollectShard": {**_invoke(functions["collect"]), "End": True}},
                },
                # Thousands of answers would not fit into a state's output: what takes their place says where they are.
                "ResultWriter": {
                    "Resource": f"arn:{Aws.PARTITION}:states:::s3:putObject",
                    "Parameters": {"Bucket": bucket, "Prefix": RUNS.rstrip("/")},
                },
                "ResultPath": "$.collected",
                "Next": "Seal",
            },
            "Seal": {**_invoke(functions["seal"]), "End": True},
        },
    }


def _invoke(function_arn: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function_arn, "Payload.$": "$"},
        "OutputPath": "$.Payload",
        "Retry": _RETRIES,
    }


class Workflow(Construct):
    """State machine, its log, and the daily schedule."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        functions: Mapping[str, lambda_.Function],
        bucket: s3.Bucket,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._bucket = bucket
        self.name = named(settings, "package")
        self._log_group = logs.LogGroup(
            self,
            "Logs",
            # Step Functions adds every log group to one resource policy; under this name it needs no entry of its own.
            log_group_name=f"/aws/vendedlogs/states/{self.name}",
            removal_policy=RemovalPolicy.DESTROY,
        )
        resource_of(self._log_group, logs.CfnLogGroup).retention_in_days = settings.log_retention_days
        role = self._role(functions)
        arns = {name: function.function_arn for name, function in functions.items()}
        machine = stepfunctions.CfnStateMachine
        self.machine = machine(
            self,
            "StateMachine",
            state_machine_name=self.name,
            state_machine_type="STANDARD",
            role_arn=role.role_arn,
            definition=definition(arns, bucket.bucket_name, settings.evidence_concurrency),
            logging_configuration=machine.LoggingConfigurationProperty(
                level="ALL",
                include_execution_data=True,  # names of shards, no content
                destinations=[
                    machine.LogDestinationProperty(
                        cloud_watch_logs_log_group=machine.CloudWatchLogsLogGroupProperty(
                            log_group_arn=self._log_group.log_group_arn
                        )
                    )
                ],
            ),
            tracing_configuration=machine.TracingConfigurationProperty(enabled=True),
        )
        self.machine.override_logical_id(LOGICAL_ID)
        # Step Functions tries whether the role may log when the state machine is made.
        self.machine.node.add_dependency(role.node.find_child("DefaultPolicy"))
        # cfn-lint: its pattern of a task's resource knows the partition aws alone.
        self.machine.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W1032"]}})
        self._schedule()

    def _role(self, functions: Mapping[str, lambda_.Function]) -> iam.Role:
        stack = Stack.of(self)
        own = arn(stack, "states", "stateMachine", self.name, colon=True)
        executions = arn(stack, "states", "execution", f"{self.name}:*", colon=True)
        role = iam.Role(
            self,
            "Role",
            # An execution of the map goes by the machine's name and the map's.
            assumed_by=service("states", own, f"{own}/*"),
            description="What the state machine of rolecall's evidence may do",
        )
        for actions, resources in (
            (["lambda:InvokeFunction"], [function.function_arn for function in functions.values()]),
            (["s3:GetObject"], [self._bucket.arn_for_objects(f"{PLANS}*")]),
            # What ResultWriter writes, in parts when it is large.
            (
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
                [self._bucket.arn_for_objects(f"{RUNS}*")],
            ),
            # The map runs each shard as an execution of its own.
            (["states:StartExecution"], [own]),
            (["states:DescribeExecution", "states:StopExecution"], [executions]),
            ([*_LOG_DELIVERY, *_XRAY], ["*"]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        acknowledge(
            role,
            {
                **below(self._bucket, PLANS, RUNS),
                executions: "Executions of this state machine alone; each has a name of its own.",
                "*": "The delivery of logs and X-Ray's actions have no resource types in IAM.",
            },
        )
        return role

    def _schedule(self) -> None:
        stack = Stack.of(self)
        name = named(self._settings, "daily")
        group = scheduler.CfnScheduleGroup(self, "ScheduleGroup", name=name)
        role = iam.Role(
            self,
            "ScheduleRole",
            # Of the group: Scheduler names no single schedule.
            assumed_by=service("scheduler", arn(stack, "scheduler", "schedule-group", name)),
            description="Lets EventBridge Scheduler start the state machine of rolecall's evidence",
        )
        role.add_to_policy(iam.PolicyStatement(actions=["states:StartExecution"], resources=[self.machine.attr_arn]))
        schedule = scheduler.CfnSchedule
        made = schedule(
            self,
            "Schedule",
            name=name,
            group_name=group.ref,
            description="Makes the package of the day before",
            schedule_expression=f"cron(0 {self._settings.evidence_schedule_hour_utc} * * ? *)",
            schedule_expression_timezone="UTC",
            flexible_time_window=schedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=schedule.TargetProperty(
                arn=self.machine.attr_arn,
                role_arn=role.role_arn,
                # Scheduler puts the time in; it stays the same when a start is retried after midnight.
                input='{"scheduledTime":"<aws.scheduler.scheduled-time>"}',
            ),
        )
        made.node.add_dependency(role.node.find_child("DefaultPolicy"))

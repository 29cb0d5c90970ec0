"""What rolecall's functions have in common, so that none differs from the others by accident."""

from collections.abc import Mapping
from typing import TypeVar

from aws_cdk import Acknowledgment, CfnResource, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings

ResourceT = TypeVar("ResourceT", bound=CfnResource)

DEAD_LETTER_DAYS = 14
"""SQS's maximum."""


def python_function(  # noqa: PLR0913  # what differs between functions
    scope: Construct,
    logical_id: str,
    *,
    settings: Settings,
    handler: str,
    description: str,
    code: lambda_.Code,
    environment: Mapping[str, str],
    role: iam.IRole,
    memory_mb: int,
    timeout_seconds: int,
    log_group: logs.ILogGroup,
    dead_letters: sqs.IQueue | None = None,
    retry_attempts: int | None = None,
    max_event_age: Duration | None = None,
    reserved_concurrency: int | None = None,
) -> lambda_.Function:
    """A function under a pinned logical id: other templates, the local runtime and people refer to it.

    Dead letters, retries and maximum age are of asynchronous invocations; None leaves them to Lambda.
    """
    function = lambda_.Function(
        scope,
        "Function",
        description=description,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        handler=handler,
        code=code,
        environment={**environment},
        role=role,
        memory_size=memory_mb,
        timeout=Duration.seconds(timeout_seconds),
        reserved_concurrent_executions=reserved_concurrency,
        logging_format=lambda_.LoggingFormat.JSON,
        application_log_level_v2=lambda_.ApplicationLogLevel[settings.log_level],
        log_group=log_group,
        dead_letter_queue=dead_letters,
        retry_attempts=retry_attempts,
        max_event_age=max_event_age,
    )
    resource = resource_of(function, lambda_.CfnFunction)
    resource.override_logical_id(logical_id)
    # cfn-lint: the CDK lists the role under DependsOn, which Role already implies.
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
    Validations.of(function).acknowledge(
        Acknowledgment(
            id="AwsSolutions-L1",
            reason="Python 3.13 on purpose: the package carries byte code, so an interpreter of the function's own "
            "version must be at hand wherever it is built.",
        )
    )
    return function


def function_logs(scope: Construct, settings: Settings) -> logs.LogGroup:
    """The function's log group: what it decided stays readable when the stack is gone."""
    group = logs.LogGroup(scope, "Logs", removal_policy=RemovalPolicy.RETAIN)
    # The construct itself takes named periods only.
    resource_of(group, logs.CfnLogGroup).retention_in_days = settings.log_retention_days
    return group


def may_log(group: logs.ILogGroup) -> iam.PolicyStatement:
    """What a function needs for its own log lines."""
    return iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[group.log_group_arn])


def dead_letter_queue(scope: Construct, construct_id: str, whose: str) -> sqs.Queue:
    """An encrypted queue for what was given up. `whose` says to cdk-nag why it has no such queue itself."""
    queue = sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(DEAD_LETTER_DAYS),
    )
    Validations.of(queue).acknowledge(
        Acknowledgment(
            id="AwsSolutions-SQS3",
            reason=f"It is a dead-letter queue itself: {whose}, which the check does not see.",
        )
    )
    return queue


def resource_of(construct: Construct, kind: type[ResourceT]) -> ResourceT:
    """The CloudFormation resource that `construct` stands for."""
    resource = construct.node.default_child
    if not isinstance(resource, kind):
        raise TypeError(f"{construct.node.path} stands for {resource!r}, not for a {kind.__name__}")
    return resource

"""The findings function, with all that it alone uses: table, role, log group, and how the queue feeds it."""

from dataclasses import dataclass

from aws_cdk import Acknowledgment, Aws, RemovalPolicy, Stack, Validations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.findings_queue import MAX_RECEIVES, FindingsQueue
from infra.function_parts import function_logs, may_log, python_function, resource_of
from infra.metrics import NAMESPACE
from infra.settings import Settings

HANDLER = "rolecall.handlers.findings.handler"

FUNCTION, TABLE = "FindingsFunction", "FindingsTable"
"""Logical ids, pinned: a table under another one is another table, which knows of no finding."""

KEY, EXPIRY = "finding_id", "expires_at"
"""The table's key, and the attribute by which DynamoDB deletes what is long over."""

MEMORY_MB = 512

TIMEOUT_SECONDS = 300
"""Of one batch. In the worst case each record is of another account, whose role has to be assumed first; what there is
no time for goes back to the queue."""

BATCH_SIZE = 1000
"""Records of one invocation. Security Hub takes 100 findings a call and few calls a second, so large batches count."""

WINDOW_SECONDS = 10
"""For how long a batch is gathered."""

VISIBILITY_SECONDS = 6 * TIMEOUT_SECONDS + WINDOW_SECONDS
"""Of the queue, as AWS Lambda's documentation advises. What failed is tried again so much later."""

QUEUE_ACTIONS = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
"""What AWS Lambda checks for before it reads a queue."""

TABLE_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:PutItem")

IMPORT_ACTION = "securityhub:BatchImportFindings"


@dataclass(frozen=True, slots=True)
class Publishing:
    """What an organization's findings function needs beyond its own account: fixed names, and whom it may become."""

    role_name: str
    publisher_role_name: str
    """The role to assume in every account but the function's own."""
    publisher_role_arn: str
    """With `*` for the account."""
    organization_id: str


class FindingsFunction(Construct):
    """Keeps the Security Hub findings of every instance that the records of `queue` tell of.

    `code` holds the deployment package. Without `publishing`, all records are of the function's own account.
    """

    def __init__(  # noqa: PLR0913  # what it runs, where its work comes from, for whom
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        code: lambda_.Code,
        queue: FindingsQueue,
        publishing: Publishing | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.table = self._table()
        self.log_group = function_logs(self, settings)
        role = self._role(settings, queue, publishing)
        self.function = python_function(
            self,
            FUNCTION,
            settings=settings,
            handler=HANDLER,
            description=f"Security Hub findings of AWS Config rule {settings.rule_name}",
            code=code,
            environment={
                "POWERTOOLS_SERVICE_NAME": settings.rule_name,
                "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
                "ROLECALL_FINDINGS_TABLE": self.table.table_name,
                "ROLECALL_DEAD_LETTERS": queue.dead_letters.queue_url,
                "ROLECALL_MAX_RECEIVES": str(MAX_RECEIVES),
                **({"ROLECALL_PUBLISHER_ROLE": publishing.publisher_role_name} if publishing else {}),
                **settings.findings.to_environment(),
            },
            role=role,
            memory_mb=MEMORY_MB,
            timeout_seconds=TIMEOUT_SECONDS,
            log_group=self.log_group,
        )
        self._feed(settings, queue, role)

    def _table(self) -> dynamodb.Table:
        # Without it nobody knows when a finding was created, nor which records are old: it outlives the stack.
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name=KEY, type=dynamodb.AttributeType.STRING),
            time_to_live_attribute=EXPIRY,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        resource_of(table, dynamodb.CfnTable).override_logical_id(TABLE)
        return table

    def _role(self, settings: Settings, queue: FindingsQueue, publishing: Publishing | None) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            role_name=publishing.role_name if publishing else None,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the function for the findings of AWS Config rule {settings.rule_name} may do",
        )
        may_import = own_product(Stack.of(self), "*" if publishing else Aws.REGION)
        for actions, resource in (
            (QUEUE_ACTIONS, queue.queue.queue_arn),
            (("sqs:SendMessage",), queue.dead_letters.queue_arn),
            (TABLE_ACTIONS, self.table.table_arn),
            ((IMPORT_ACTION,), may_import),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=[*actions], resources=[resource]))
        role.add_to_policy(may_log(self.log_group))
        if publishing:
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=["sts:AssumeRole"],
                    resources=[publishing.publisher_role_arn],
                    conditions={"StringEquals": {"aws:ResourceOrgID": publishing.organization_id}},
                )
            )
            Validations.of(role).acknowledge(
                Acknowledgment(
                    id=f"AwsSolutions-IAM5[Resource::{publishing.publisher_role_arn}]",
                    reason="One role by its name, in whichever account of the organization is judged: they come "
                    "and go.",
                ),
                Acknowledgment(
                    id=f"AwsSolutions-IAM5[Resource::{may_import}]",
                    reason="Findings of the own account come from every region, and belong there.",
                ),
            )
        return role

    def _feed(self, settings: Settings, queue: FindingsQueue, role: iam.Role) -> None:
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Source",
            event_source_arn=queue.queue.queue_arn,
            function_name=self.function.function_name,
            batch_size=BATCH_SIZE,
            maximum_batching_window_in_seconds=WINDOW_SECONDS,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                maximum_concurrency=settings.findings_concurrency
            ),
        )
        # Lambda refuses a queue that the function's role may not read.
        mapping.node.add_dependency(role.node.find_child("DefaultPolicy"))


def own_product(stack: Stack, region: str) -> str:
    """ARN of the product under which an account imports findings of its own; `region` may be `*`."""
    return stack.format_arn(
        service="securityhub", region=region, resource="product", resource_name=f"{stack.account}/default"
    )

"""From the evaluations bus into a queue: each record waits until it has become a finding, or was given up."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function_parts import dead_letter_queue, resource_of

QUEUE, DEAD_LETTERS, TARGET_DEAD_LETTERS = "FindingsQueue", "FindingsDeadLetters", "FindingsTargetDeadLetters"
"""Logical ids, pinned: a queue under another one is another queue, and what waits in the first is lost."""

MAX_RECEIVES = 5
"""How often the function is handed a record before it gives it up, to the dead letters, with the reason."""

RETENTION_DAYS = 14
"""SQS's maximum."""

EVENT_PATTERN = {"source": ["rolecall"], "detail-type": ["Rolecall Evaluation"]}
"""What aws/evaluations_bus.py puts; synthesizing must not need boto3, which that module imports."""


class FindingsQueue(Construct):
    """The queue of evaluation records, and the rule on `bus` (a name, of this account and region) that fills it.

    `visibility` is for how long SQS hides a record from others once a function has it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, bus: str, visibility: Duration) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", "another queue's")
        self.target_dead_letters = dead_letter_queue(self, "TargetDeadLetters", "an EventBridge rule's")
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(RETENTION_DAYS),
            visibility_timeout=visibility,
            # One more than the function's own limit: SQS moves what killed the function each time, and knows no reason.
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVES + 1),
        )
        for queue, logical_id in (
            (self.queue, QUEUE),
            (self.dead_letters, DEAD_LETTERS),
            (self.target_dead_letters, TARGET_DEAD_LETTERS),
        ):
            resource_of(queue, sqs.CfnQueue).override_logical_id(logical_id)
        rule = events.CfnRule(
            self,
            "Rule",
            description="Evaluation records of rolecall that become Security Hub findings",
            event_bus_name=bus,
            event_pattern=EVENT_PATTERN,
            targets=[
                events.CfnRule.TargetProperty(
                    id="FindingsQueue",
                    arn=self.queue.queue_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.target_dead_letters.queue_arn),
                )
            ],
        )
        for queue in (self.queue, self.target_dead_letters):
            queue.add_to_resource_policy(_may_send(rule, queue))


def _may_send(rule: events.CfnRule, queue: sqs.Queue) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="RecordsOfTheRule",
        principals=[iam.ServicePrincipal("events.amazonaws.com")],
        actions=["sqs:SendMessage"],
        resources=[queue.queue_arn],
        conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
    )

"""Where alarms go: an encrypted SNS topic of the stack, or one that exists."""

from aws_cdk import ArnFormat, Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.settings import Settings


def alarm_topic(scope: Construct, construct_id: str, *, settings: Settings) -> sns.ITopic | None:
    """The topic that the settings ask for, created if they say so; None when alarms go nowhere."""
    match settings.alarm_topic:
        case "none":
            return None
        case "create":
            return AlarmTopic(scope, construct_id, email=settings.alarm_email).topic
        case arn:
            return sns.Topic.from_topic_arn(scope, construct_id, arn)


class AlarmTopic(Construct):
    """A topic to which only the alarms of its own account and region publish, with a key of its own."""

    def __init__(self, scope: Construct, construct_id: str, *, email: str | None) -> None:
        super().__init__(scope, construct_id)
        # AWS's own key for SNS would not do: its policy does not let CloudWatch use it, and cannot be changed.
        key = kms.Key(
            self,
            "Key",
            description="Encrypts the alarms of rolecall",
            enable_key_rotation=True,
            # It protects messages on their way; nothing stored needs it when the topic is gone.
            removal_policy=RemovalPolicy.DESTROY,
        )
        # In a key policy, * is this key.
        key.add_to_resource_policy(self._for_alarms(["kms:Decrypt", "kms:GenerateDataKey*"], "*"))
        self.topic = sns.Topic(self, "Topic", display_name="rolecall alarms", master_key=key, enforce_ssl=True)
        # Enforcing TLS replaces SNS's default policy, by which the alarms of the account could publish.
        self.topic.add_to_resource_policy(self._for_alarms(["sns:Publish"], self.topic.topic_arn))
        if email:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def _for_alarms(self, actions: list[str], resource: str) -> iam.PolicyStatement:
        """CloudWatch may do so on behalf of this account's alarms; the conditions keep out those of other accounts."""
        alarms = Stack.of(self).format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        return iam.PolicyStatement(
            sid="AlarmsOfThisAccount",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=actions,
            resources=[resource],
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}, "ArnLike": {"aws:SourceArn": alarms}},
        )

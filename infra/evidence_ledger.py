"""The ledger: every verdict on the evaluations bus, written by Firehose as lines of JSON."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.evidence_buckets import LEDGER, LEDGER_WRITER, UNDELIVERED
from infra.evidence_names import acknowledge, arn, below, named, service
from infra.findings_queue import EVENT_PATTERN
from infra.function_parts import dead_letter_queue, resource_of
from infra.settings import Settings
from rolecall.record import VERDICT

BUFFER_SECONDS = 300
BUFFER_MEBIBYTES = 64
"""Whichever is reached first ends an object. Few objects: Athena opens each one."""

NEWLINE = "\\n"
"""Firehose's own notation of the delimiter."""


class Ledger(Construct):
    """Bus → rule → Firehose → `bucket`. What the bus cannot hand over within a day waits in `dead_letters`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, bus_name: str, bucket: s3.Bucket
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._bucket = bucket
        self.stream_name = named(settings, "ledger")
        self._log_group = logs.LogGroup(self, "Logs", removal_policy=RemovalPolicy.DESTROY)
        resource_of(self._log_group, logs.CfnLogGroup).retention_in_days = settings.log_retention_days
        log_stream = logs.CfnLogStream(self, "LogStream", log_group_name=self._log_group.log_group_name)
        self.stream = self._stream(self._stream_role(), log_stream)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", "an EventBridge rule's")
        self._rule(bus_name)

    def _stream_role(self) -> iam.Role:
        """Amazon Data Firehose Developer Guide, "Grant Firehose access to an Amazon S3 destination"."""
        stream_arn = arn(Stack.of(self), "firehose", "deliverystream", self.stream_name)
        role = iam.Role(
            self,
            "StreamRole",
            role_name=named(self._settings, LEDGER_WRITER),
            assumed_by=service("firehose", stream_arn),
            description="Lets Firehose write the ledger of rolecall",
        )
        objects = [self._bucket.arn_for_objects(f"{prefix}*") for prefix in (LEDGER, UNDELIVERED)]
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                resources=[self._bucket.bucket_arn],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], resources=objects)
        )
        role.add_to_policy(
            iam.PolicyStatement(actions=["logs:PutLogEvents"], resources=[self._log_group.log_group_arn])
        )
        acknowledge(role, below(self._bucket, LEDGER, UNDELIVERED))
        return role

    def _stream(self, role: iam.Role, log_stream: logs.CfnLogStream) -> firehose.CfnDeliveryStream:
        stream = firehose.CfnDeliveryStream
        made = stream(
            self,
            "Stream",
            delivery_stream_name=self.stream_name,
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=stream.DeliveryStreamEncryptionConfigurationInputProperty(
                key_type="AWS_OWNED_CMK"
            ),
            extended_s3_destination_configuration=stream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=self._bucket.bucket_arn,
                role_arn=role.role_arn,
                # The time of arrival, in UTC: of all records of an object, that of the oldest.
                prefix=f"{LEDGER}dt=!{{timestamp:yyyy-MM-dd}}/",
                error_output_prefix=f"{UNDELIVERED}!{{firehose:error-output-type}}/dt=!{{timestamp:yyyy-MM-dd}}/",
                file_extension=".jsonl.gz",
                compression_format="GZIP",
                buffering_hints=stream.BufferingHintsProperty(
                    interval_in_seconds=BUFFER_SECONDS, size_in_m_bs=BUFFER_MEBIBYTES
                ),
                # Otherwise Firehose puts one record right behind the other.
                processing_configuration=stream.ProcessingConfigurationProperty(
                    enabled=True,
                    processors=[
                        stream.ProcessorProperty(
                            type="AppendDelimiterToRecord",
                            parameters=[
                                stream.ProcessorParameterProperty(parameter_name="Delimiter", parameter_value=NEWLINE)
                            ],
                        )
                    ],
                ),
                cloud_watch_logging_options=stream.CloudWatchLoggingOptionsProperty(
                    enabled=True,
                    log_group_name=self._log_group.log_group_name,
                    log_stream_name=log_stream.ref,
                ),
            ),
        )
        # Firehose tries the role when the stream is made.
        made.node.add_dependency(role.node.find_child("DefaultPolicy"))
        return made

    def _rule(self, bus_name: str) -> None:
        name = named(self._settings, "ledger")
        rule_arn = arn(Stack.of(self), "events", "rule", f"{bus_name}/{name}")
        role = iam.Role(
            self,
            "RuleRole",
            assumed_by=service("events", rule_arn),
            description="Lets EventBridge hand verdicts to the ledger of rolecall",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["firehose:PutRecord", "firehose:PutRecordBatch"], resources=[self.stream.attr_arn]
            )
        )
        events.CfnRule(
            self,
            "Rule",
            name=name,
            description="Verdicts for the ledger; a refresh only repeats what is in it",
            event_bus_name=bus_name,
            event_pattern={**EVENT_PATTERN, "detail": {"kind": [VERDICT]}},
            targets=[
                events.CfnRule.TargetProperty(
                    id="Ledger",
                    arn=self.stream.attr_arn,
                    role_arn=role.role_arn,
                    input_path="$.detail",
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.dead_letters.queue_arn),
                )
            ],
        )
        self.dead_letters.add_to_resource_policy(
            iam.PolicyStatement(
                sid="FromTheRule",
                principals=[service("events", rule_arn)],
                actions=["sqs:SendMessage"],
                resources=[self.dead_letters.queue_arn],
            )
        )

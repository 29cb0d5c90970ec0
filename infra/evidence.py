"""The evidence export: a ledger of every verdict, and each day a package that is signed, chained and locked.

evidence_buckets    where everything lies, and for how long
evidence_ledger     from the evaluations bus into the ledger
evidence_queries    Athena over the ledger
evidence_key        the key that signs
evidence_steps      what plan, collect and seal need and may do
evidence_functions  their functions
evidence_workflow   the state machine that runs them, once a day
evidence_alarms     what must wake somebody
"""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.evidence_alarms import EvidenceAlarms
from infra.evidence_buckets import EvidenceBuckets
from infra.evidence_functions import StepFunction
from infra.evidence_key import SigningKey
from infra.evidence_ledger import Ledger
from infra.evidence_queries import LedgerQueries
from infra.evidence_steps import Steps
from infra.evidence_workflow import Workflow
from infra.settings import Settings
from infra.topic import alarm_topic


class Evidence(Construct):
    """All of it, in the stack that it is put into. `bus_name` is a bus of the same account and region."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, bus_name: str, code: lambda_.Code
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        buckets = EvidenceBuckets(self, "Buckets", settings=settings)
        ledger = Ledger(self, "Ledger", settings=settings, bus_name=bus_name, bucket=buckets.ledger)
        LedgerQueries(self, "Queries", settings=settings, bucket=buckets.ledger)
        key = SigningKey(self, "SigningKey", settings=settings)
        steps = Steps(stack, settings, buckets, key)
        functions = {
            step.name: StepFunction(self, step.name.title(), settings=settings, step=step, code=code).function
            for step in (steps.plan(), steps.collect(), steps.seal())
        }
        workflow = Workflow(self, "Workflow", settings=settings, functions=functions, bucket=buckets.ledger)
        topic = alarm_topic(stack, "AlarmTopic", settings=settings)
        EvidenceAlarms(self, "Alarms", settings=settings, ledger=ledger, workflow=workflow, topic=topic)
        CfnOutput(stack, "PackagesBucket", value=buckets.packages.bucket_name, description="Where packages are kept")
        CfnOutput(stack, "LedgerBucket", value=buckets.ledger.bucket_name, description="Verdicts, plans and shards")
        CfnOutput(stack, "SigningKeyArn", value=key.arn, description="Signs packages: rolecall evidence keys")
        CfnOutput(stack, "StateMachineArn", value=workflow.machine.attr_arn, description="Makes a day's package")
        if topic:
            CfnOutput(stack, "AlarmTopicArn", value=topic.topic_arn, description="Subscribe to this topic for alarms")

"""The evidence export in a local AWS, as its synthesized stack says.

Buckets with their policies, key, functions, ledger, state machine.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from local.aws import LocalAws
from local.closing import Closing
from local.cloud_assembly import AssemblyError, Place, Stack, mapping, read_stacks
from local.execution_environment import InvocationResult
from local.firehose_relay import LedgerRelay
from local.function_runtime import FunctionRuntime
from local.state_machine import TYPE as STATE_MACHINE
from local.state_machine import Execution, StateMachine, read_definition
from local.template import FUNCTION_TYPE, read_function
from rolecall.items import partition_of

_KEY_TYPE = "AWS::KMS::Key"
_BUCKET_TYPE = "AWS::S3::Bucket"
_POLICY_TYPE = "AWS::S3::BucketPolicy"


class EvidenceDeployment(Closing):
    """What `cdk deploy` would make of the stack with the state machine. A context manager.

    The evaluations bus has to be there. `environment` goes over the functions' own; `clock` (UTC) tells when a record
    arrives in the ledger; `time_scale` shortens the waiting before retries. Raises AssemblyError.
    """

    def __init__(  # noqa: PLR0913 - settings, each with a default
        self,
        aws: LocalAws,
        cdk_out: Path,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        time_scale: float = 1.0,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        place = Place(aws.account, aws.region, partition_of(None, aws.region))
        stack = _only([one for one in read_stacks(cdk_out, place) if one.of_type(STATE_MACHINE)], "state machine")
        self.key_arn = _signing_key(aws, stack)
        key = _only([name for name, one in stack.of_type(_KEY_TYPE).items() if _signs(one)], "signing key")
        physical_ids = {f"{key}.Arn": self.key_arn}
        self.buckets = {name: _bucket(aws, stack, name) for name in stack.of_type(_BUCKET_TYPE)}
        for name, given in stack.of_type(_POLICY_TYPE).items():
            policy: Mapping[str, Any] = mapping(stack.resolve(given, name), name)
            aws.bucket_policies.put(policy["Bucket"], policy["PolicyDocument"])
        self._runtimes: dict[str, FunctionRuntime] = {}
        with ExitStack() as started:
            for logical_id in stack.of_type(FUNCTION_TYPE):
                synthesized = read_function(cdk_out, logical_id, place, stack=stack.name, physical_ids=physical_ids)
                function = replace(synthesized, environment={**synthesized.environment, **(environment or {})})
                variables = aws.role_environment(function.role_arn) if function.role_arn else aws.environment()
                runtime = started.enter_context(FunctionRuntime(function, variables, on_log=on_log))
                self._runtimes[function.arn] = runtime
            self.relay = LedgerRelay(aws, cdk_out, clock=clock)
            machine = _only([*stack.of_type(STATE_MACHINE)], "state machine")
            definition = read_definition(cdk_out, machine, place, physical_ids)
            self.state_machine = StateMachine(definition, self.invoke, aws.client("s3"), time_scale=time_scale)
            self._running = started.pop_all()

    def bucket(self, part: str) -> str:
        """The name of the bucket in whose logical id `part` is: `Ledger`, `Packages`, `AccessLogs`."""
        return self.buckets[_only([one for one in self.buckets if part in one], f"bucket {part}")]

    @property
    def functions(self) -> list[str]:
        """The ARNs of the stack's functions."""
        return [*self._runtimes]

    def invoke(self, arn: str, payload: object) -> InvocationResult:
        """Invoke one of the functions, and wait."""
        return self._runtimes[arn].invoke(payload)

    def advance_clock(self, by: timedelta) -> None:
        """From now on the functions believe that it is later by this much."""
        for runtime in self._runtimes.values():
            runtime.advance_clock(by)

    def package(self, day: date) -> Execution:
        """Run the state machine for a day that is over."""
        return self.state_machine.run({"day": day.isoformat()})

    def close(self) -> None:
        """Stop the functions."""
        self._running.close()


def _only(found: list[Any], what: str) -> Any:  # noqa: ANN401 - one of whatever is in the list
    if len(found) != 1:
        raise AssemblyError(f"there are {len(found)} of {what}, not one: {', '.join(map(str, found))}")
    return found[0]


def _signs(properties: Mapping[str, object]) -> bool:
    return properties.get("KeyUsage") == "SIGN_VERIFY"


def _signing_key(aws: LocalAws, stack: Stack) -> str:
    """Make the stack's signing key; its ARN, as only KMS knows it."""
    given = _only([one for one in stack.of_type(_KEY_TYPE).values() if _signs(one)], "signing key")
    made = aws.client("kms").create_key(KeySpec=given["KeySpec"], KeyUsage=given["KeyUsage"])
    return str(made["KeyMetadata"]["Arn"])


def _bucket(aws: LocalAws, stack: Stack, logical_id: str) -> str:
    """Make a bucket as the stack says, as far as objects behave differently for it."""
    properties = mapping(stack.resolve(stack.of_type(_BUCKET_TYPE)[logical_id], logical_id), logical_id)
    name, s3 = stack.physical_name(logical_id), aws.client("s3")
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": aws.region},
        ObjectLockEnabledForBucket=bool(properties.get("ObjectLockEnabled", False)),
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
    return name

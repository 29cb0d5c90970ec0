"""What a synthesized template says about a Lambda function and about the Config rules that invoke it.

Nothing here is a second description of the deployment: handler, environment, package, retries, dead letters and rules
are read from what `cdk synth` wrote, so that what runs locally is what deploys.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.cloud_assembly import AssemblyError, Place, Stack, mapping, read_stacks

FUNCTION_TYPE = "AWS::Lambda::Function"


@dataclass(frozen=True)
class FunctionDefinition:
    """A Lambda function as it would be deployed. The defaults are Lambda's own."""

    name: str
    arn: str
    handler: str
    runtime: str
    """Lambda's name of it: `python3.13`."""
    code: Path
    """The deployment package: a folder, or a zip file."""
    architecture: str = "x86_64"
    timeout_seconds: int = 3
    memory_mib: int = 128
    reserved_concurrency: int | None = None
    role_arn: str | None = None
    """The execution role; every function has one, but here it matters only to who looks at credentials."""
    environment: Mapping[str, str] = field(default_factory=dict)
    log_format: str = "Text"
    log_level: str = ""
    """The level of the function's own log lines; empty when the template leaves it to Lambda."""
    log_group: str = ""
    """Empty: `/aws/lambda/<name>`."""
    retry_attempts: int = 2
    """Of asynchronous invocations, after the first attempt."""
    maximum_event_age_seconds: int = 21_600
    dead_letter_arn: str | None = None
    """Where an asynchronous event goes that could not be handled: the event itself."""
    on_failure_arn: str | None = None
    """The same as a destination: a record of the invocation with the event in it."""
    config_rules: tuple[Mapping[str, object], ...] = ()
    """The rules whose source is this function, each as PutConfigRule's `ConfigRule`."""

    @property
    def account_id(self) -> str:
        """The account in the function's ARN."""
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        """The region in the function's ARN."""
        return self.arn.split(":")[3]


def read_function(
    cdk_out: Path,
    function: str,
    place: Place,
    *,
    stack: str | None = None,
    physical_ids: Mapping[str, str] | None = None,
) -> FunctionDefinition:
    """The function with the logical id, or else the only one with the handler, that `function` names.

    `stack` names the stack to look in (default: all); `physical_ids` is as in `Stack`. Raises AssemblyError.
    """
    stacks = [one for one in read_stacks(cdk_out, place, physical_ids) if stack in {None, one.name}]
    if not stacks:
        raise AssemblyError(f"{cdk_out} holds no stack{f' named {stack}' if stack else ''}")
    every = [(one, *item) for one in stacks for item in one.of_type(FUNCTION_TYPE).items()]
    by_logical_id = [found for found in every if found[1] == function]
    found = by_logical_id or [found for found in every if found[2].get("Handler") == function]
    if len(found) != 1:
        candidates = ", ".join(f"{one.name}: {logical_id}" for one, logical_id, _ in found or every) or "no function"
        raise AssemblyError(
            f"{cdk_out} holds {len(found)} functions with the logical id or handler {function!r}, not one; "
            f"there is {candidates}"
        )
    return _FunctionResource(*found[0]).definition()


@dataclass(frozen=True)
class _FunctionResource:
    stack: Stack
    logical_id: str
    properties: Mapping[str, object]

    def definition(self) -> FunctionDefinition:
        arn = self.stack.attribute(self.logical_id, "Arn", self.logical_id)
        environment = mapping(self._section("Environment").get("Variables", {}), f"{self.logical_id}.Environment")
        logging = self._section("LoggingConfig")
        invocation = self._event_invoke_config()
        on_failure = _nested(invocation, "DestinationConfig", "OnFailure", "Destination")
        dead_letter = self._section("DeadLetterConfig").get("TargetArn")
        reserved = self.properties.get("ReservedConcurrentExecutions")
        return FunctionDefinition(
            name=self.stack.physical_name(self.logical_id),
            arn=arn,
            handler=self._required_text("Handler"),
            runtime=self._required_text("Runtime"),
            code=self._code(),
            architecture=self._architecture(),
            timeout_seconds=self._number(self.properties, "Timeout", FunctionDefinition.timeout_seconds),
            memory_mib=self._number(self.properties, "MemorySize", FunctionDefinition.memory_mib),
            reserved_concurrency=None
            if reserved is None
            else self._number(self.properties, "ReservedConcurrentExecutions", 0),
            role_arn=self._required_text("Role") if "Role" in self.properties else None,
            environment={
                name: self.stack.text(value, f"{self.logical_id}.Environment.{name}")
                for name, value in environment.items()
            },
            log_format=str(logging.get("LogFormat", FunctionDefinition.log_format)),
            log_level=str(logging.get("ApplicationLogLevel", FunctionDefinition.log_level)),
            log_group=str(logging.get("LogGroup", FunctionDefinition.log_group)),
            retry_attempts=self._number(invocation, "MaximumRetryAttempts", FunctionDefinition.retry_attempts),
            maximum_event_age_seconds=self._number(
                invocation, "MaximumEventAgeInSeconds", FunctionDefinition.maximum_event_age_seconds
            ),
            dead_letter_arn=str(dead_letter) if dead_letter else None,
            on_failure_arn=str(on_failure) if on_failure else None,
            config_rules=tuple(config_rules(self.stack, arn)),
        )

    def _section(self, name: str) -> Mapping[str, object]:
        where = f"{self.logical_id}.{name}"
        return mapping(self.stack.resolve(self.properties.get(name, {}), where), where)

    def _required_text(self, name: str) -> str:
        if name not in self.properties:
            raise AssemblyError(f"{self.stack.name}: {self.logical_id}.{name} is missing")
        return self.stack.text(self.properties[name], f"{self.logical_id}.{name}")

    def _number(self, properties: Mapping[str, object], name: str, default: int) -> int:
        text = self.stack.text(properties.get(name, default), f"{self.logical_id}.{name}")
        if not text.isdecimal():
            raise AssemblyError(f"{self.stack.name}: {self.logical_id}.{name} is {text!r}; allowed: a whole number")
        return int(text)

    def _architecture(self) -> str:
        match self.properties.get("Architectures", [FunctionDefinition.architecture]):
            case [str() as architecture]:
                return architecture
            case other:
                raise AssemblyError(
                    f"{self.stack.name}: {self.logical_id}.Architectures is {other!r}; allowed: one name"
                )

    def _code(self) -> Path:
        code = self._section("Code")
        key = code.get("S3Key")
        asset = self.stack.assets.get(str(key))
        if asset is None:
            raise AssemblyError(
                f"{self.stack.name}: {self.logical_id}.Code is {json.dumps(code)[:200]}; "
                "allowed: S3Bucket and S3Key of an asset in the asset manifest"
            )
        if not asset.exists():
            raise AssemblyError(f"{self.stack.name}: the package of {self.logical_id} is not there: {asset}")
        return asset

    def _event_invoke_config(self) -> Mapping[str, object]:
        name = self.stack.physical_name(self.logical_id)
        for logical_id, properties in self.stack.of_type("AWS::Lambda::EventInvokeConfig").items():
            if self.stack.text(properties.get("FunctionName"), f"{logical_id}.FunctionName") == name:
                return mapping(self.stack.resolve(properties, logical_id), logical_id)
        return {}


def config_rules(stack: Stack, function_arn: str) -> Iterator[Mapping[str, object]]:
    """The stack's rules whose source is that function, as PutConfigRule takes them.

    They are CloudFormation's properties, but for the parameters, which are one JSON string.
    """
    for logical_id, properties in stack.of_type("AWS::Config::ConfigRule").items():
        source = mapping(properties.get("Source"), f"{stack.name}: {logical_id}.Source")
        if source.get("Owner") != "CUSTOM_LAMBDA":
            continue
        if stack.text(source.get("SourceIdentifier"), f"{logical_id}.Source.SourceIdentifier") != function_arn:
            continue
        rule = dict(mapping(stack.resolve(properties, logical_id), logical_id))
        rule.pop("Compliance", None)  # a read-only view of the result, which PutConfigRule does not take
        rule["ConfigRuleName"] = stack.physical_name(logical_id)
        if "InputParameters" in rule:
            rule["InputParameters"] = json.dumps(rule["InputParameters"], separators=(",", ":"))
        yield rule


def _nested(section: Mapping[str, object], *names: str) -> object:
    value: object = section
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value

"""A synthesized cloud assembly (`cdk.out`): its stacks, their resources and assets, and what intrinsics mean here.

Nothing is deployed, so a resource's physical id is the name that the template gives it, or a made-up one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAMES_AND_ARNS: Mapping[str, tuple[str, str]] = {
    "AWS::Config::ConfigRule": ("ConfigRuleName", ""),
    "AWS::DynamoDB::Table": ("TableName", "dynamodb:{region}:{account}:table/{name}"),
    "AWS::Events::EventBus": ("Name", "events:{region}:{account}:event-bus/{name}"),
    "AWS::Events::Rule": ("Name", ""),
    "AWS::IAM::Role": ("RoleName", "iam::{account}:role/{name}"),
    "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamName", "firehose:{region}:{account}:deliverystream/{name}"),
    "AWS::Lambda::Function": ("FunctionName", "lambda:{region}:{account}:function:{name}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:{region}:{account}:log-group:{name}:*"),
    "AWS::Logs::LogStream": ("LogStreamName", ""),
    "AWS::S3::Bucket": ("BucketName", "s3:::{name}"),
    "AWS::SNS::Topic": ("TopicName", "sns:{region}:{account}:{name}"),
    "AWS::SQS::Queue": ("QueueName", "sqs:{region}:{account}:{name}"),
}
"""For each type the property that holds its name, and its ARN after `arn:<partition>:` (empty: not derivable)."""

MADE_UP_NAME_LENGTH = 64
"""The shortest limit among the types above (functions, roles)."""

_SUB_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class AssemblyError(Exception):
    """The cloud assembly lacks something, or says it in a way that cannot be resolved: what, and where."""


@dataclass(frozen=True)
class Place:
    """Where the stacks pretend to be deployed: what AWS's pseudo parameters stand for."""

    account_id: str = "111122223333"
    region: str = "eu-west-1"
    partition: str = "aws"

    @property
    def url_suffix(self) -> str:
        """The domain of AWS's endpoints in this partition."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"


@dataclass(frozen=True)
class Stack:
    """One synthesized stack.

    `assets` maps an object key (the template's `S3Key`) to the asset's folder or file. `physical_ids` maps `LogicalId`
    (Ref) or `LogicalId.Attribute` (Fn::GetAtt) to values that go before the derived ones.
    """

    name: str
    place: Place
    resources: Mapping[str, Mapping[str, object]]
    parameters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    assets: Mapping[str, Path] = field(default_factory=dict)
    physical_ids: Mapping[str, str] = field(default_factory=dict)

    def of_type(self, resource_type: str) -> dict[str, Mapping[str, object]]:
        """Logical id → properties, unresolved, of every resource of that type."""
        return {
            logical_id: mapping(resource.get("Properties", {}), f"{self.name}: {logical_id}.Properties")
            for logical_id, resource in self.resources.items()
            if resource.get("Type") == resource_type
        }

    def resolve(self, value: object, where: str) -> object:
        """`value` with its Ref, Fn::GetAtt, Fn::Sub and Fn::Join replaced; a property that is AWS::NoValue is left out.

        `where` names the place in the template for the AssemblyError that anything else raises.
        """
        if isinstance(value, list):
            return [self.resolve(one, f"{where}[{index}]") for index, one in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._intrinsic(name, argument, where)
        present = {key: one for key, one in value.items() if one != {"Ref": "AWS::NoValue"}}
        return {key: self.resolve(one, f"{where}.{key}") for key, one in present.items()}

    def text(self, value: object, where: str) -> str:
        """`value` resolved; it must be a string, a number or a boolean, which is written as CloudFormation does."""
        resolved = self.resolve(value, where)
        if isinstance(resolved, bool):
            return str(resolved).lower()
        if isinstance(resolved, str | int | float):
            return str(resolved)
        raise AssemblyError(f"{self.name}: {where} is {json.dumps(resolved)}; allowed: a string")

    def physical_name(self, logical_id: str) -> str:
        """The name in the template, else `<stack>-<logical id>` (CloudFormation would add random letters)."""
        name_property, _ = NAMES_AND_ARNS[str(self.resources[logical_id].get("Type"))]
        properties = mapping(self.resources[logical_id].get("Properties", {}), f"{self.name}: {logical_id}.Properties")
        if name_property in properties:
            return self.text(properties[name_property], f"{logical_id}.{name_property}")
        made_up = f"{self.name}-{logical_id}"[:MADE_UP_NAME_LENGTH]
        # Bucket names have no capital letters, and at most 63 others.
        return made_up[-63:].lower().lstrip("-") if name_property == "BucketName" else made_up

    def attribute(self, logical_id: str, attribute: str, where: str) -> str:
        """What Fn::GetAtt gives: an ARN of a type in `NAMES_AND_ARNS`, or a value of `physical_ids`."""
        key = f"{logical_id}.{attribute}"
        if key in self.physical_ids:
            return self.physical_ids[key]
        _, arn = NAMES_AND_ARNS.get(self._type_of(logical_id), ("", ""))
        if not arn or attribute not in {"Arn", "TopicArn"}:
            raise self._unknown(key, where)
        place = self.place
        resource = arn.format(region=place.region, account=place.account_id, name=self.physical_name(logical_id))
        return f"arn:{place.partition}:{resource}"

    def reference(self, name: str, where: str) -> str:
        """What Ref gives: of a pseudo parameter, a parameter with a default, or a resource."""
        known = {**self._pseudo_parameters(), **self.physical_ids}
        if name in known:
            return known[name]
        if "Default" in self.parameters.get(name, {}):
            return self.text(self.parameters[name]["Default"], where)
        resource_type = self._type_of(name)
        if resource_type == "AWS::SNS::Topic":
            return self.attribute(name, "TopicArn", where)
        if resource_type == "AWS::SQS::Queue":
            host = f"sqs.{self.place.region}.{self.place.url_suffix}"
            return f"https://{host}/{self.place.account_id}/{self.physical_name(name)}"
        if resource_type in NAMES_AND_ARNS:
            return self.physical_name(name)
        raise self._unknown(name, where)

    def _intrinsic(self, name: str, argument: object, where: str) -> object:
        match name, argument:
            case "Ref", str():
                return self.reference(argument, where)
            case "Fn::GetAtt", [str() as logical_id, str() as attribute]:
                return self.attribute(logical_id, attribute, where)
            case "Fn::Sub", str():
                return self._substitute(argument, {}, where)
            case "Fn::Sub", [str() as text, dict() as variables]:
                return self._substitute(text, variables, where)
            case "Fn::Join", [str() as delimiter, list() as parts]:
                return delimiter.join(self.text(part, f"{where}[{index}]") for index, part in enumerate(parts))
        raise AssemblyError(
            f"{self.name}: {where} is {json.dumps({name: argument})}, which means nothing without a deployment; "
            "allowed: Ref, Fn::GetAtt, Fn::Sub and Fn::Join"
        )

    def _substitute(self, text: str, variables: Mapping[str, object], where: str) -> str:
        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return self.text(variables[name], where)
            logical_id, _, attribute = name.partition(".")
            return self.attribute(logical_id, attribute, where) if attribute else self.reference(name, where)

        return _SUB_VARIABLE.sub(value, text)

    def _pseudo_parameters(self) -> dict[str, str]:
        place = self.place
        stack = f"cloudformation:{place.region}:{place.account_id}:stack/{self.name}/local"
        return {
            "AWS::AccountId": place.account_id,
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackId": f"arn:{place.partition}:{stack}",
            "AWS::StackName": self.name,
            "AWS::URLSuffix": place.url_suffix,
        }

    def _type_of(self, logical_id: str) -> str:
        return str(self.resources.get(logical_id, {}).get("Type", ""))

    def _unknown(self, name: str, where: str) -> AssemblyError:
        resource_type = self._type_of(name.split(".", 1)[0])
        what = f"a resource of type {resource_type}" if resource_type else "which is not in the template"
        if name in self.parameters:
            what = "a parameter without a default"
        return AssemblyError(
            f"{self.name}: {where} refers to {name}, {what}: nothing here can derive its value; "
            f"give it among the physical ids, under {name!r}"
        )


def read_stacks(cdk_out: Path, place: Place, physical_ids: Mapping[str, str] | None = None) -> list[Stack]:
    """The stacks of the assembly and of those nested in it (stages), in the manifest's order. Raises AssemblyError."""
    manifest = mapping(_read_json(cdk_out / "manifest.json").get("artifacts"), f"{cdk_out}/manifest.json: artifacts")
    artifacts = {name: mapping(one, f"{cdk_out}/manifest.json: {name}") for name, one in manifest.items()}
    assets = _read_assets(cdk_out, artifacts)
    stacks: list[Stack] = []
    for name, artifact in artifacts.items():
        properties = mapping(artifact.get("properties", {}), f"{cdk_out}/manifest.json: {name}.properties")
        if artifact.get("type") == "cdk:cloud-assembly":
            stacks += read_stacks(cdk_out / str(properties["directoryName"]), place, physical_ids)
        if artifact.get("type") == "aws:cloudformation:stack":
            template = _read_json(cdk_out / str(properties["templateFile"]))
            stacks.append(
                Stack(
                    name=str(properties.get("stackName", name)),
                    place=place,
                    resources=_mappings(template.get("Resources"), f"{name}: Resources"),
                    parameters=_mappings(template.get("Parameters", {}), f"{name}: Parameters"),
                    assets=assets,
                    physical_ids=physical_ids or {},
                )
            )
    return stacks


def mapping(value: object, where: str) -> Mapping[str, object]:
    """`value`, which must be a JSON object; else an AssemblyError that names `where`."""
    if not isinstance(value, dict):
        raise AssemblyError(f"{where} is {json.dumps(value)}; allowed: a JSON object")
    return value


def _mappings(value: object, where: str) -> Mapping[str, Mapping[str, object]]:
    return {name: mapping(one, f"{where}.{name}") for name, one in mapping(value, where).items()}


def _read_assets(cdk_out: Path, artifacts: Mapping[str, Mapping[str, object]]) -> dict[str, Path]:
    assets = {}
    for name, artifact in artifacts.items():
        if artifact.get("type") != "cdk:asset-manifest":
            continue
        properties = mapping(artifact.get("properties"), f"{cdk_out}/manifest.json: {name}.properties")
        file = cdk_out / str(properties["file"])
        for key, asset in _mappings(_read_json(file).get("files", {}), f"{file}: files").items():
            source = mapping(asset.get("source"), f"{file}: files.{key}.source")
            for destination in _mappings(asset.get("destinations"), f"{file}: files.{key}.destinations").values():
                if "path" in source:  # an asset may instead be built by a command when it is published
                    assets[str(destination["objectKey"])] = cdk_out / str(source["path"])
    return assets


def _read_json(file: Path) -> Mapping[str, object]:
    try:
        return mapping(json.loads(file.read_text(encoding="utf-8")), str(file))
    except FileNotFoundError as error:
        raise AssemblyError(f"{file} is not there: run `make synth` (or `cdk synth`) first") from error
    except ValueError as error:
        raise AssemblyError(f"{file} is not JSON: {error}") from error

"""ministack's IAM evaluator as a judge of our policies that is not ours.

It is an internal interface of ministack, which is therefore pinned; test_guardrail asks it things whose answers are
known before it relies on it. It knows no service control policies: a request passes one if it is allowed by
administrator rights that the policy limits, which is how AWS combines them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]  # it ships no types
    EvalContext,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

from tests.infra.organization import HOME, MANAGEMENT, MEMBER
from tests.infra.synthesis import Json

ADMINISTRATOR: Json = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
"""Of the caller; and FullAWSAccess, which AWS attaches to every organization."""

INSTANCE = f"arn:aws:ec2:{HOME}:{MEMBER}:instance/i-0a1b2c3d4e5f60718"


@dataclass(frozen=True)
class Request:
    """A call to AWS as policies see it, by an administrator of the member account unless `principal` says otherwise."""

    action: str
    resource: str = INSTANCE
    tag_keys: Sequence[str] | None = None
    """What the call names; None when it names none."""
    resource_tags: Mapping[str, str] = field(default_factory=dict)
    """Those of the resource before the call."""
    principal: str = "role/developer"
    account: str = MEMBER


def passes(policy: Mapping[str, object], request: Request) -> bool:
    """Whether `policy`, attached to the request's account as a service control policy, lets it pass.

    As AWS documents it, service control policies bind neither the management account nor service-linked roles.
    """
    if request.account == MANAGEMENT or request.principal.startswith("role/aws-service-role/"):
        return True
    return allowed([ADMINISTRATOR], request, [ADMINISTRATOR, policy])


def refuses(bucket_policy: Mapping[str, object], request: Request, keys: Mapping[str, str]) -> bool:
    """Whether a bucket's policy denies a request that came by TLS, whatever IAM says; `keys` are those of S3."""
    context = EvalContext(
        principal_arn=f"arn:aws:iam::{request.account}:{request.principal}",
        principal_type="AssumedRole",
        principal_account=request.account,
        action=request.action,
        resource_arn=request.resource,
        region=HOME,
        secure_transport=True,
        service_context={"s3:tlsversion": "1.3", **keys},
    )
    return bool(evaluate_resource_policy(dict(bucket_policy), context).decision == "Deny")


def allowed(
    policies: Sequence[Mapping[str, object]], request: Request, *limits: Sequence[Mapping[str, object]]
) -> bool:
    """What the evaluator says of identity policies within limits."""
    context: dict[str, object] = {
        f"aws:resourcetag/{key}".lower(): value for key, value in request.resource_tags.items()
    }
    if request.tag_keys is not None:
        context["aws:tagkeys"] = list(request.tag_keys)
    result = evaluate(
        EvalContext(
            principal_arn=f"arn:aws:iam::{request.account}:{request.principal}",
            principal_type="AssumedRole",
            principal_account=request.account,
            action=request.action,
            resource_arn=request.resource,
            region=HOME,
            service_context={"aws:tagkeys": None, **context},
        ),
        [parse_policy_document(dict(policy)) for policy in policies],
        *([parse_policy_document(dict(policy)) for policy in limit] for limit in limits),
    )
    return bool(result.decision == "Allow")

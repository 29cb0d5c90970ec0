"""What a finding tells people: what is wrong on which instance, why it matters, what to do next.

Both formats say the same. Nothing here depends on the day, so that an unchanged finding reads unchanged.
"""

from rolecall.cutting import fitted, units
from rolecall.findings import limits
from rolecall.model import Reason
from rolecall.received_record import EvaluationRecord

_SUBJECT_LENGTH = 128
"""Of a resource's id in running text: an instance's has 19 characters, any other may have hundreds."""

_NAME_LENGTH = 64

_STATE = {
    Reason.LEFT_SCOPE: "is no longer in the rule's scope",
    Reason.DELETED: "no longer exists",
    Reason.NOT_RECORDED: "is not recorded by AWS Config",
    Reason.OTHER_RESOURCE: "is of a type that is not judged",
    Reason.TERMINATING: "is terminated or about to be",
    Reason.STOPPED: "is stopped, and stopped instances are not judged",
    Reason.PROFILE_NOT_ALLOWED: "has an IAM instance profile that is not allowed",
    Reason.PROFILE_ATTACHED: "has an IAM instance profile",
    Reason.EXEMPT: "intentionally has no IAM instance profile",
    Reason.EXEMPTION_EXPIRED: "has no IAM instance profile, and its exemption has expired",
    Reason.EXEMPTION_INVALID: "has no IAM instance profile, and its exemption is not valid",
    Reason.NO_PROFILE: "has no IAM instance profile",
}

_LONG_TERM_KEYS = (
    "Software on it that calls AWS most likely does so with long-term access keys, which lie on the instance, do not "
    "expire and are not rotated by themselves."
)

_WHY = {
    Reason.PROFILE_NOT_ALLOWED: "Software on it works with permissions that nobody chose for such instances.",
    Reason.EXEMPT: "The exemption is what the instance's tags declare; nobody has verified it.",
    Reason.EXEMPTION_EXPIRED: _LONG_TERM_KEYS,
    Reason.EXEMPTION_INVALID: _LONG_TERM_KEYS,
    Reason.NO_PROFILE: _LONG_TERM_KEYS,
}

_ATTACH = (
    "The instance need not be restarted: aws ec2 associate-iam-instance-profile --region {region} "
    "--instance-id {subject} --iam-instance-profile Name=NAME"
)
_REPLACE = (
    "The instance need not be restarted: aws ec2 replace-iam-instance-profile-association --region {region} "
    "--iam-instance-profile Name=NAME --association-id with what describe-iam-instance-profile-associations says."
)
_REVIEW = (
    "Nothing is to be done while it holds; review whether it is still needed, and attach an instance profile if not."
)

_THEN = {
    Reason.PROFILE_NOT_ALLOWED: _REPLACE,
    Reason.EXEMPT: _REVIEW,
    Reason.EXEMPTION_EXPIRED: _ATTACH,
    Reason.EXEMPTION_INVALID: _ATTACH,
    Reason.NO_PROFILE: _ATTACH,
}

_USER_GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
ATTACH_PAGE = f"{_USER_GUIDE}/attach-iam-role.html"
TAGS_PAGE = f"{_USER_GUIDE}/Using_Tags.html"

_EXEMPTIONS = (Reason.EXEMPT, Reason.EXEMPTION_EXPIRED, Reason.EXEMPTION_INVALID)


def title(record: EvaluationRecord) -> str:
    """1 to 256 characters that never begin with the rule's name, whatever that is.

    Titles of Security Hub's own findings for AWS Config rules do: who suppresses those must not suppress these.
    """
    kind, state = _kind(record), _STATE[record.reason]
    # Two beginnings without a letter in common: no name begins both.
    if f"{kind} {record.resource_id} {state}".casefold().startswith(record.own_rule_name.casefold()):
        kind = f"On AWS, {kind}"
    room = limits.TITLE - units(f"{kind}  {state}")
    return f"{kind} {fitted(record.resource_id, room)} {state}"


def description(record: EvaluationRecord) -> str:
    """1 to 1024 characters: which instance, what is wrong, why it matters."""
    name = fitted(record.instance.tags.get("Name", ""), _NAME_LENGTH) if record.instance else ""
    named = f" ({name})" if name else ""
    where = f"of account {record.account} in {fitted(record.region, limits.REGION)}"
    why = f" {_WHY[record.reason]}" if record.reason in _WHY else ""
    text = f"{_kind(record)} {_subject(record)}{named} {where} {_STATE[record.reason]}.{why} {advice(record)}"
    return fitted(text, limits.DESCRIPTION)


def next_step(record: EvaluationRecord) -> str:
    """1 to 512 characters: what the instance's owner is to do, in the words of the annotation, and how."""
    then = _THEN.get(record.reason, "")
    how = then.format(region=fitted(record.region, limits.REGION), subject=_subject(record))
    return fitted(f"{advice(record)} {how}", limits.RECOMMENDATION_TEXT)


def page(reason: Reason) -> str:
    """The page of AWS's documentation that says how."""
    return TAGS_PAGE if reason in _EXEMPTIONS else ATTACH_PAGE


def advice(record: EvaluationRecord) -> str:
    """The annotation as a sentence, without the reason code that it begins with."""
    text = record.annotation.removeprefix(f"{record.reason}:").strip() or record.annotation
    sentence = text[0].upper() + text[1:]
    return sentence if sentence.endswith((".", "…")) else f"{sentence}."


def _kind(record: EvaluationRecord) -> str:
    return "Resource" if record.reason is Reason.OTHER_RESOURCE else "EC2 instance"


def _subject(record: EvaluationRecord) -> str:
    return fitted(record.resource_id, _SUBJECT_LENGTH)

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from random import Random

from hypothesis import assume, event, given
from hypothesis import strategies as st

from rolecall.annotations import fitted
from rolecall.errors import InvalidItem, InvalidParameter, RolecallError
from rolecall.exemption import read_exemption
from rolecall.items import configuration_item
from rolecall.model import ComplianceType, Evaluation, ExemptionState, Reason
from rolecall.parameters import RuleParameters, parse_parameters
from rolecall.rule import evaluate
from tests import strategies
from tests.builders import NO_ROLE, NOW, Json, instance_item

DEFAULTS = RuleParameters()


def judge(raw: object, parameters: RuleParameters, now: datetime) -> Evaluation | str:
    """The evaluation, or the message of the error that rolecall raises on purpose. Any other error is a failure."""
    try:
        return evaluate(configuration_item(raw), parameters, now)
    except RolecallError as error:
        return str(error)


def assert_fits(evaluation: Evaluation) -> None:
    """What Config takes as an annotation, and what this rule promises of it."""
    annotation = evaluation.annotation
    assert 1 <= len(annotation.encode("utf-16-le")) // 2 <= 256
    assert annotation.startswith(f"{evaluation.reason.value}: ")
    assert annotation.splitlines() == [annotation]
    assert annotation.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", annotation)
    assert annotation.encode("utf-8").decode("utf-8") == annotation


@given(strategies.anything | strategies.damaged_items(), strategies.parameters, strategies.moments)
def test_any_item_gets_an_evaluation_or_a_named_error(raw: object, parameters: RuleParameters, now: datetime) -> None:
    """Total: nothing that can arrive makes the rule fail in a way that nobody thought of."""
    verdict = judge(raw, parameters, now)
    if isinstance(verdict, str):
        event("refused")
        assert re.match(r"(.+: )?(configuration|resource|awsAccountId|accountId|awsRegion|tags)", verdict, re.DOTALL)
    else:
        event(verdict.reason)
        assert_fits(verdict)


@given(strategies.instances(), strategies.parameters, strategies.moments)
def test_every_well_formed_instance_gets_a_verdict(raw: Json, parameters: RuleParameters, now: datetime) -> None:
    """Whatever its tags say."""
    verdict = judge(raw, parameters, now)
    assert isinstance(verdict, Evaluation)
    event(verdict.reason)
    assert_fits(verdict)
    assert verdict.ordering_timestamp == verdict.item.capture_time


@given(
    st.randoms(use_true_random=False),
    strategies.instances() | strategies.damaged_items(),
    strategies.parameters,
    strategies.moments,
)
def test_order_and_unknown_keys_do_not_matter(
    random: Random, raw: Json, parameters: RuleParameters, now: datetime
) -> None:
    """The same item, told in another order and with more around it, gets the very same answer, every time."""
    verdict = judge(raw, parameters, now)
    assert judge(raw, parameters, now) == verdict
    if isinstance(verdict, Evaluation):
        assert judge(strategies.shuffled(random, raw), parameters, now) == verdict
        assert judge(strategies.with_more_keys(raw), parameters, now) == verdict


def allowed_by_hand(arn: str, parameters: RuleParameters) -> bool:
    """An independent reading of the list of allowed profiles, good enough for ARNs without brackets."""
    patterns = [pattern.text for pattern in parameters.allowed_instance_profile_arns]
    return not patterns or any(fnmatchcase(arn, pattern) for pattern in patterns)


def exempt_by_hand(tags: Mapping[str, str], parameters: RuleParameters, now: datetime) -> bool:
    """An independent reading of the exemption tags, as a person with the documentation would check them."""
    key = parameters.exemption_tag_key
    days = {name: tags[f"{key}:{name}"].strip() for name in ("expires", "granted") if f"{key}:{name}" in tags}
    limited = parameters.exemption_max_days > 0
    try:
        begins = date.fromisoformat(days.get("granted", "0001-01-01"))
        ends = date.fromisoformat(days.get("expires", "9999-12-31"))
    except ValueError:
        return False
    return all(
        [
            key in tags,
            tags.get(key, "").strip() or not parameters.exemption_reason_required,
            tags.get(f"{key}:approved-by", "").strip() or not parameters.exemption_approver_required,
            "expires" in days or not (parameters.exemption_expiry_required or limited),
            "granted" in days or not limited,
            ends - begins <= timedelta(parameters.exemption_max_days) or not limited,
            begins <= now.date() <= ends,
        ]
    )


@given(strategies.instances(), strategies.parameters, strategies.moments)
def test_compliant_means_an_allowed_profile_or_a_valid_exemption(
    raw: Json, parameters: RuleParameters, now: datetime
) -> None:
    """Nothing is COMPLIANT by default: each COMPLIANT verdict is checked by hand."""
    verdict = judge(raw, parameters, now)
    assert isinstance(verdict, Evaluation)
    event(verdict.reason)
    if verdict.compliance_type is ComplianceType.COMPLIANT:
        instance = verdict.item.instance
        assert instance is not None
        if instance.profile_arn:
            assert verdict.reason is Reason.PROFILE_ATTACHED
            assert allowed_by_hand(instance.profile_arn, parameters)
        else:
            assert verdict.reason is Reason.EXEMPT
            assert exempt_by_hand(instance.tags, parameters, now)


@given(st.data(), strategies.usual_key, strategies.moments)
def test_an_exemption_is_accepted_exactly_when_a_person_would_accept_it(
    data: st.DataObject, parameters: RuleParameters, now: datetime
) -> None:
    """Neither more nor less than the documentation says, where no look-alike tags confuse the matter."""
    tags = data.draw(strategies.exempted(now))
    verdict = evaluate(instance_item(profile=None, tags=tags), parameters, now)
    event(verdict.reason)
    assert (verdict.reason is Reason.EXEMPT) is exempt_by_hand(tags, parameters, now)


@given(st.data(), strategies.usual_key, strategies.moments)
def test_no_tags_removed_revive_an_exemption_that_is_over_or_too_long(
    data: st.DataObject, parameters: RuleParameters, now: datetime
) -> None:
    """Where an expiry is demanded, whoever may only remove tags cannot prolong an exemption, whichever they remove."""
    assume(parameters.exemption_max_days > 0 or parameters.exemption_expiry_required)
    tags = data.draw(strategies.exempted(now, days_left=(-40, 15)))
    exemption = read_exemption(tags, parameters, now)
    limit = timedelta(parameters.exemption_max_days)
    over = exemption and exemption.expires and exemption.expires < now.date()
    too_long = (
        limit
        and exemption
        and exemption.expires
        and exemption.granted
        and exemption.expires - exemption.granted > limit
    )
    if over or too_long:
        event("over" if over else "too long")
        chosen = data.draw(st.lists(st.booleans(), min_size=len(tags), max_size=len(tags)))
        kept = {key: value for (key, value), keep in zip(sorted(tags.items()), chosen, strict=True) if keep}
        assert evaluate(instance_item(profile=None, tags=kept), parameters, now).reason is not Reason.EXEMPT


def test_without_a_demanded_expiry_removing_it_prolongs_an_exemption() -> None:
    """The limit of the promise above, which only a guardrail on the tags closes: by default, no expiry is for ever."""
    tags = {NO_ROLE: "licensed appliance", f"{NO_ROLE}:expires": "2026-03-01"}
    item, shortened = (instance_item(profile=None, tags=these) for these in (tags, {NO_ROLE: "licensed appliance"}))
    assert [evaluate(one, DEFAULTS, NOW).reason for one in (item, shortened)] == [
        Reason.EXEMPTION_EXPIRED,
        Reason.EXEMPT,
    ]
    demanding = RuleParameters(exemption_expiry_required=True)
    assert [evaluate(one, demanding, NOW).reason for one in (item, shortened)] == [
        Reason.EXEMPTION_EXPIRED,
        Reason.EXEMPTION_INVALID,
    ]


@given(strategies.tags, strategies.instances(), strategies.moments)
def test_only_the_exemption_tags_can_exempt(tags: dict[str, str], raw: Json, now: datetime) -> None:
    """Replacing every other tag changes neither the verdict nor the exemption of any instance."""
    item = configuration_item(raw)
    assume(item.instance is not None)
    assert item.instance is not None

    def folded(key: str) -> bool:
        return re.sub(r"[\W_]", "", key.casefold()).startswith("intentionalnorole")

    kept = {key: value for key, value in item.instance.tags.items() if folded(key)}
    others = {key: value for key, value in tags.items() if not folded(key)}
    first, second = (read_exemption(these, DEFAULTS, now) for these in (item.instance.tags, {**others, **kept}))
    assert first == second


@given(st.data(), strategies.usual_key, strategies.moments, st.timedeltas(timedelta(0), timedelta(400)))
def test_time_only_ends_exemptions(
    data: st.DataObject, parameters: RuleParameters, now: datetime, passed: timedelta
) -> None:
    """Tags unchanged, an exemption that is over stays over, and one that holds does so through its last day."""
    tags = data.draw(strategies.exempted(now))
    before, after = (read_exemption(tags, parameters, moment) for moment in (now, now + passed))
    if before is None or after is None or before.state is ExemptionState.MALFORMED:
        event("malformed")
        return
    event(f"{before.state} and then {after.state}")
    over = before.expires is not None and (now + passed).date() > before.expires
    assert after == replace(before, state=ExemptionState.EXPIRED if over else ExemptionState.VALID)
    if before.state is ExemptionState.EXPIRED:
        assert after == before == read_exemption(tags, parameters, datetime.max.replace(tzinfo=UTC))


@given(strategies.parameters)
def test_parameters_survive_being_written_and_read(parameters: RuleParameters) -> None:
    """Through texts, through JSON, and as the difference from the defaults."""
    assert parse_parameters(parameters.to_strings()) == parameters
    assert parse_parameters(json.dumps(parameters.changed())) == parameters


@given(strategies.anything | st.dictionaries(st.sampled_from(list(DEFAULTS.to_strings())), strategies.anything))
def test_any_parameters_are_read_or_refused_by_name(given_parameters: object) -> None:
    """Total: a rule that nobody can read is an error that says which parameter, never a guess."""
    for shape in (given_parameters, json.dumps(given_parameters)):
        try:
            read = parse_parameters(shape)
        except InvalidParameter as refused:
            event(ascii(refused.field))  # half a surrogate pair would stop hypothesis from telling of it
        else:
            assert parse_parameters(read.to_strings()) == read


@given(strategies.texts | st.text(st.sampled_from(" ab.:😀\u2028\ud800\n…"), max_size=600))
def test_any_text_fits_into_an_annotation(text: str) -> None:
    """One line of at most 256 units that UTF-8 can carry, nothing added but the mark of a cut, and stable."""
    line = fitted(f"NO_PROFILE: {text}")
    assert len(line.encode("utf-16-le")) // 2 <= 256
    assert line.encode("utf-8").decode("utf-8") == line
    assert len(line.splitlines()) == 1
    assert fitted(line) == line


@given(strategies.damaged_items())
def test_an_item_that_is_refused_is_refused_alone(raw: Json) -> None:
    """Reading changes nothing that was given: the next item, and a retry, meet the same input."""
    before = json.dumps(raw, sort_keys=True)
    try:
        configuration_item(raw)
    except InvalidItem as refused:
        event(ascii(refused.field.partition(",")[0]))
    assert json.dumps(raw, sort_keys=True) == before

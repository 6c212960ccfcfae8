"""Every way to be incomplete is refused, by name; only the complete case is certified."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from disgorge.errors import CertificateRefused
from disgorge.evidence.checks import STAND_IN, Check, Control, Evidence, Verdict
from disgorge.plan.plan import Action, Plan
from disgorge.plan.required_checks import required_checks
from disgorge.plan.shown import plan_shown
from disgorge.statement.certificate import issue, refuse_adoption
from lineage.records import canonical, plain, restore
from policies.decision import Decision
from policies.taxonomy import Confinement, Guarantee, Outcome, Remedy
from tests.disgorge.report_cases import check, decision, evidence, plan, step

Case = dict[str, Any]


def complete(guarantee: Guarantee = Guarantee.EXACT) -> Case:
    """The arguments of an issue that must succeed."""
    decided = decision(guarantee)
    planned = plan(decided, guarantee=guarantee)
    steps = {each.id for each in planned.steps if each.action is not Action.REPORT}
    return {
        "evidence": evidence(planned),
        "plan": planned,
        "decision": decided,
        "steps_done": steps,
        "guarantee": guarantee,
    }


def issued(case: Case) -> Any:
    """Issue from a case's arguments."""
    return issue(case.pop("evidence"), **case)


def over(case: Case, planned: Plan, **changes: Any) -> Case:
    """The case with another plan, and evidence that fits it."""
    found: Evidence = replace(case["evidence"], plan=planned.digest, **changes)
    steps = {each.id for each in planned.steps if each.action is not Action.REPORT}
    return {**case, "plan": planned, "evidence": found, "steps_done": steps}


def with_checks(case: Case, change: Callable[[Check], Check | None]) -> Case:
    """The case with each check changed, or left out where ``change`` says None."""
    checks = [changed for each in case["evidence"].checks if (changed := change(each)) is not None]
    return {**case, "evidence": replace(case["evidence"], checks=tuple(checks))}


def changed(name: str, subject: str, **changes: Any) -> Callable[[Case], Case]:
    """A change to one check."""

    def apply(case: Case) -> Case:
        def pick(each: Check) -> Check:
            return replace(each, **changes) if (each.name, each.subject) == (name, subject) else each

        return with_checks(case, pick)

    return apply


def lacking(name: str, subject: str) -> Callable[[Case], Case]:
    """The loss of one check."""
    return lambda case: with_checks(case, lambda c: None if (c.name, c.subject) == (name, subject) else c)


def in_evidence(**changes: Any) -> Callable[[Case], Case]:
    """A change to the evidence."""
    return lambda case: {**case, "evidence": replace(case["evidence"], **changes)}


def decided_so(**changes: Any) -> Callable[[Case], Case]:
    """A change to the decision, with a plan made for it."""

    def apply(case: Case) -> Case:
        other: Decision = replace(case["decision"], **changes)
        return {**over(case, replace(case["plan"], decision=other.digest)), "decision": other}

    return apply


def owed(**changes: Any) -> Callable[[Case], Case]:
    """A change to what is owed, with a plan made for it."""
    return lambda case: decided_so(owed=replace(case["decision"].owed, **changes))(case)


def undone(step_id: str) -> Callable[[Case], Case]:
    """A step nobody recorded."""
    return lambda case: {**case, "steps_done": case["steps_done"] - {step_id}}


def before_as_after(case: Case) -> Case:
    """A release that is what it was."""
    return in_evidence(after=case["evidence"].before)(case)


POSITIVE, NEGATIVE = Control("positive", "must be flagged", 0.9, True), Control("negative", "must not", 0.5, True)
INSTEAD = Control(STAND_IN, "never-trained has to pass instead", 0.0, True)
MAKER, READER = "digits-maker", "digits-reader"

INCOMPLETE: dict[str, tuple[Callable[[Case], Case], str]] = {
    **{
        f"{name} missing for one release": (lacking(name, READER), f"check {name} is missing for {READER}")
        for name in ("answers", "never-trained", "lineage-closure", "residue")
    },
    **{
        f"{name} {verdict.value}": (
            changed(name, MAKER, verdict=verdict),
            f"check {name} is {verdict.value} for {MAKER}",
        )
        for name in ("answers", "never-trained", "lineage-closure", "residue")
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
    },
    **{
        f"step {step_id} not done": (undone(step_id), f"steps not done: {step_id}")
        for step_id in (
            "contain-digits-maker",
            "withdraw-items-alice",
            "drop-digits-maker/adapter/alice",
            "retrain-digits-reader/node/bob",
            "recompose-digits-reader",
            "probe-digits-maker",
            "adopt-digits-reader",
            "purge-old weights and withdrawn items",
        )
    },
    "nothing done": (lambda case: {**case, "steps_done": set()}, "steps not done: contain"),
    "evidence of another plan": (in_evidence(plan="0" * 64), "the evidence is about another plan"),
    "evidence of another request": (in_evidence(request="R-8"), "the evidence is about request R-8"),
    "plan for another decision": (
        lambda case: {**case, "decision": replace(case["decision"], category="other")},
        "the plan was made for another decision",
    ),
    "decision about another request": (decided_so(request="R-8"), "the decision is about request R-8"),
    **{
        f"request {outcome.value}": (decided_so(outcome=outcome), f"the request is {outcome.value}, not granted")
        for outcome in (Outcome.DENIED, Outcome.ON_HOLD, Outcome.NEEDS_REVIEW)
    },
    "nothing owed": (decided_so(owed=None), "not granted"),
    "policy wants another check": (owed(evidence=("relearning",)), "check relearning is missing for digits-maker"),
    "evidence wants another check": (
        lambda case: in_evidence(required=("controllability",))(case),
        "check controllability is missing",
    ),
    "optional probe failed": (changed("membership", READER, verdict=Verdict.FAIL), "check membership is fail"),
    "utility failed": (changed("utility", READER, verdict=Verdict.FAIL), "check utility is fail for digits-reader"),
    "a failure about a component": (
        lambda case: in_evidence(
            checks=(*case["evidence"].checks, check("residue", "digits-maker/base", verdict=Verdict.FAIL))
        )(case),
        "check residue is fail for digits-maker/base",
    ),
    "the same check twice, one failing": (
        lambda case: in_evidence(
            checks=(*case["evidence"].checks, check("never-trained", MAKER, verdict=Verdict.FAIL))
        )(case),
        "check never-trained is fail for digits-maker",
    ),
    "statistical pass without controls": (changed("membership", MAKER, controls=()), "without a negative control"),
    "statistical pass without the positive control": (
        changed("membership", MAKER, controls=(NEGATIVE,)),
        "without a positive control",
    ),
    "statistical pass without the negative control": (
        changed("membership", MAKER, controls=(POSITIVE,)),
        "without a negative control",
    ),
    "a control that did not hold": (
        changed("membership", MAKER, controls=(replace(POSITIVE, held=False), NEGATIVE)),
        "claims pass for digits-maker though its control positive did not hold",
    ),
    **{
        f"{name} without a {kind} control": (
            changed(name, MAKER, controls=tuple(c for c in (POSITIVE, NEGATIVE) if c.name != kind)),
            f"check {name} claims pass for {MAKER} without a {kind} control",
        )
        for name, kind in (
            ("answers", "positive"),
            ("lineage-closure", "positive"),
            ("residue", "positive"),
            ("never-trained", "positive"),
            ("never-trained", "negative"),
        )
    },
    "answers that rest on a check that is not there": (
        lambda case: lacking("never-trained", MAKER)(changed("answers", MAKER, controls=(INSTEAD,))(case)),
        "check answers claims pass for digits-maker because of never-trained, which does not pass",
    ),
    "answers that rest on a check that fails": (
        lambda case: changed("never-trained", MAKER, verdict=Verdict.INCONCLUSIVE)(
            changed("answers", MAKER, controls=(INSTEAD,))(case)
        ),
        "check answers claims pass for digits-maker because of never-trained, which does not pass",
    ),
    "a stand-in that did not hold": (
        changed("answers", MAKER, controls=(replace(INSTEAD, held=False),)),
        "its control stand-in did not hold",
    ),
    "a stand-in where none is allowed": (
        changed("residue", MAKER, controls=(INSTEAD,)),
        "check residue claims pass for digits-maker without a positive control",
    ),
    "a deterministic check whose control did not hold": (
        changed("residue", MAKER, controls=(replace(POSITIVE, held=False),)),
        "its control positive did not hold",
    ),
    "an unknown probe without controls": (
        lambda case: in_evidence(
            checks=(*case["evidence"].checks, replace(check("membership", MAKER), name="mine", controls=()))
        )(case),
        "check mine claims pass",
    ),
    "no subject": (in_evidence(subjects=()), "release digits-maker is in the plan and not in the evidence"),
    "one subject left out": (in_evidence(subjects=(MAKER,)), "release digits-reader is in the plan and not"),
    "no digest from before": (in_evidence(before={}), "release digits-maker has no digest from before"),
    "no digest from after": (in_evidence(after={}), "has no digest from after, and no step withdraws it"),
    "unchanged": (before_as_after, "release digits-maker is the same composition as before"),
    "guarantee none": (lambda case: {**case, "guarantee": Guarantee.NONE}, "never closes a request"),
    "weaker than owed": (lambda case: {**case, "guarantee": Guarantee.CERTIFIED}, "weaker than the exact owed"),
    "stronger than planned": (
        lambda case: over(case, replace(case["plan"], guarantee=Guarantee.APPROXIMATE)),
        "guarantee exact is stronger than the plan's approximate",
    ),
    "planned in a weaker confinement than owed": (
        lambda case: over(case, replace(case["plan"], confinement=Confinement.LANDLOCK)),
        "the plan is to be shown by a confined run (landlock or better) and equal bits, and owed is a confined run "
        "(namespace) and equal bits",
    ),
    "planned without the equal bits that are owed": (
        lambda case: over(case, replace(case["plan"], equal_bits=False)),
        "the plan is to be shown by a confined run (namespace), and owed is a confined run (namespace) and equal bits",
    ),
    "a step weaker than claimed": (
        lambda case: over(
            case,
            replace(
                case["plan"],
                steps=tuple(
                    replace(each, guarantee=Guarantee.APPROXIMATE) if each.action is Action.RETRAIN else each
                    for each in case["plan"].steps
                ),
            ),
        ),
        "steps with a guarantee below exact: retrain-digits-reader/node/bob",
    ),
    "a plan that requires nothing still falls under the table": (
        lambda case: lacking("never-trained", MAKER)(over(case, replace(case["plan"], required=()), required=())),
        "check never-trained is missing for digits-maker",
    ),
    "a plan without steps": (lambda case: over(case, replace(case["plan"], steps=())), "the plan removes nothing"),
    "not a number": (changed("membership", MAKER, value=float("nan")), "cannot be recorded exactly"),
    "infinite": (changed("utility", MAKER, value=float("inf")), "cannot be recorded exactly"),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_incomplete_is_refused_by_name(name: str) -> None:
    change, complaint = INCOMPLETE[name]
    with pytest.raises(CertificateRefused) as refused:
        issued(change(complete()))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_complete_is_certified() -> None:
    certificate = issued(complete())
    assert certificate.guarantee is Guarantee.EXACT
    assert certificate.subjects == (MAKER, READER)
    assert certificate.withdrawn == ()
    assert certificate.required == ("answers", "lineage-closure", "never-trained", "residue")


def test_a_plan_may_ask_for_more_than_is_owed() -> None:
    issued(owed(confinement=Confinement.PROCESS, equal_bits=False)(complete()))


def test_the_approved_digest_covers_how_the_removal_must_be_shown() -> None:
    made = replace(plan(decision()), steps=())
    assert "confinement" not in canonical(made).decode(), "the strictest is what a plan without it is held to"
    for change in ({"confinement": Confinement.LANDLOCK}, {"equal_bits": False}):
        weaker = replace(made, **change)
        assert weaker.digest != made.digest
        assert restore(Plan, plain(weaker)) == weaker
        assert f"shown by: {weaker.shown_by}" in [*plan_shown(weaker)]


def test_all_reasons_are_given_at_once() -> None:
    case = undone("adopt-digits-reader")(lacking("residue", MAKER)(complete()))
    with pytest.raises(CertificateRefused, match=r"steps not done: adopt-digits-reader; check residue is missing"):
        issued(case)


def test_an_inconclusive_probe_nobody_required_does_not_refuse() -> None:
    issued(changed("membership", MAKER, verdict=Verdict.INCONCLUSIVE, controls=())(complete()))


def test_answers_may_rest_on_never_trained_where_that_passed() -> None:
    issued(changed("answers", MAKER, controls=(INSTEAD,))(complete()))


def test_approximate_needs_membership_with_controls() -> None:
    assert issued(complete(Guarantee.APPROXIMATE)).guarantee is Guarantee.APPROXIMATE
    for change in (
        lacking("membership", READER),
        changed("membership", READER, verdict=Verdict.INCONCLUSIVE),
        changed("membership", READER, controls=()),
    ):
        with pytest.raises(CertificateRefused, match="membership"):
            issued(change(complete(Guarantee.APPROXIMATE)))


@pytest.mark.parametrize("guarantee", [Guarantee.APPROXIMATE, Guarantee.CERTIFIED])
def test_a_removal_that_is_not_exact_must_have_changed_the_weights(guarantee: Guarantee) -> None:
    for change, complaint in (
        (lacking("weights-changed", READER), "weights-changed is missing for digits-reader"),
        (changed("weights-changed", READER, verdict=Verdict.FAIL), "weights-changed is fail for digits-reader"),
    ):
        with pytest.raises(CertificateRefused, match=complaint):
            issued(change(complete(guarantee)))


def test_certified_needs_a_bound_nobody_offers_yet() -> None:
    with pytest.raises(CertificateRefused, match="check bound is missing"):
        issued(complete(Guarantee.CERTIFIED))


def destroyed() -> Case:
    """One release withdrawn, the other retrained."""
    case = complete()
    old = [each for each in case["plan"].steps if each.release != MAKER]
    planned = replace(case["plan"], steps=(step(Action.WITHDRAW, MAKER, MAKER), *old))
    case = over(case, planned, after={READER: case["evidence"].after[READER]})
    return with_checks(
        case, lambda c: None if c.subject == MAKER and c.name not in ("lineage-closure", "residue") else c
    )


def test_a_destroyed_release_needs_no_model_checks() -> None:
    certificate = issued(destroyed())
    assert certificate.withdrawn == (MAKER,)
    assert "Withdrawn and destroyed: digits-maker." in certificate.words


@pytest.mark.parametrize("name", ["lineage-closure", "residue"])
def test_a_destroyed_release_still_needs(name: str) -> None:
    with pytest.raises(CertificateRefused, match=f"check {name} is missing for {MAKER}"):
        issued(lacking(name, MAKER)(destroyed()))


def test_a_release_to_be_destroyed_must_not_be_there() -> None:
    case = destroyed()
    case["evidence"] = replace(case["evidence"], after={MAKER: "1" * 64, **case["evidence"].after})
    with pytest.raises(CertificateRefused, match="was to be withdrawn and is still there"):
        issued(case)


def data_only() -> Case:
    """Items nothing was trained on."""
    case = complete()
    steps = tuple(each for each in case["plan"].steps if each.action in (Action.WITHDRAW_ITEMS, Action.PURGE))
    found = (check("residue", "R-7"),)
    return over(case, replace(case["plan"], steps=steps), subjects=(), before={}, after={}, checks=found)


def test_items_nothing_learned_from_need_residue_only() -> None:
    assert issued(data_only()).words == "No recorded model learned from the items; they are withdrawn and gone."
    with pytest.raises(CertificateRefused, match="check residue is missing for R-7"):
        issued(lacking("residue", "R-7")(data_only()))


WEAKER = {"answers", "membership", "weights-changed", "lineage-closure", "residue"}


@pytest.mark.parametrize(
    ("guarantee", "remedies", "required"),
    [
        (Guarantee.EXACT, [Remedy.DROP], {"answers", "never-trained", "lineage-closure", "residue"}),
        (
            Guarantee.EXACT,
            [Remedy.WITHDRAW, Remedy.RETRAIN],
            {"answers", "never-trained", "lineage-closure", "residue"},
        ),
        (Guarantee.CERTIFIED, [Remedy.SUBTRACT], WEAKER | {"bound"}),
        (Guarantee.APPROXIMATE, [Remedy.SUBTRACT], WEAKER),
        (Guarantee.EXACT, [Remedy.WITHDRAW], {"lineage-closure", "residue"}),
        (Guarantee.APPROXIMATE, [Remedy.WITHDRAW], {"lineage-closure", "residue"}),
    ],
)
def test_the_table(guarantee: Guarantee, remedies: list[Remedy], required: set[str]) -> None:
    assert set(required_checks(guarantee, remedies)) == required


def test_adoption_asks_for_all_but_residue() -> None:
    planned = complete()["plan"]
    found = [check("never-trained", MAKER), check("answers", MAKER), check("lineage-closure", MAKER)]
    refuse_adoption(planned, MAKER, found)
    for broken, complaint in (
        (found[:2], "lineage-closure is missing"),
        ([replace(found[0], verdict=Verdict.FAIL), *found[1:]], "never-trained is fail"),
        ([replace(found[0], verdict=Verdict.INCONCLUSIVE), *found[1:]], "never-trained is inconclusive"),
        ([*found, check("utility", MAKER, verdict=Verdict.FAIL)], "utility is fail"),
        ([*found, check("membership", MAKER, controls=())], "without a negative control"),
    ):
        with pytest.raises(CertificateRefused, match=complaint):
            refuse_adoption(planned, MAKER, broken)
    with pytest.raises(CertificateRefused, match="requires no check"):
        refuse_adoption(replace(planned, required=()), MAKER, found)

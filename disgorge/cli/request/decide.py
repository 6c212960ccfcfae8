"""``disgorge request``: decisions about a request, by the packs and by people, up to an approved plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.case import (
    earlier_values,
    paragraphs,
    print_earlier,
    print_held_meanwhile,
    print_next,
    print_plan,
)
from disgorge.cli.output.duties import print_owed_on_refusal
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Id, Many, Packs, require_name, require_reason, said
from policies.judging.held import duties
from policies.taxonomy import Outcome, Refusal, Scope

if TYPE_CHECKING:
    from disgorge.request.case import Case
    from policies.packs.rules import Pack


def decide(request: Id, packs: Packs = None, as_json: AsJson = False) -> None:
    """Judge a request by the policy packs and record the decision with its reasons.

    A request under a regime of your own is decided, and decided again, with the --packs that it was filed with.
    """
    from disgorge.removal.conflicts import keepers
    from disgorge.request.case import case_of
    from disgorge.request.history.earlier import earlier_requests
    from disgorge.request.particulars import is_erased, selectors_of
    from disgorge.request.workflow.decide import decide_request
    from lineage.records import plain
    from lineage.workspace import Workspace
    from policies.judging.explain import explain

    workspace = Workspace.open()
    case = case_of(workspace, request)
    judged, before = packs_judging(case, packs), case.decision
    decision = decide_request(workspace, request, judged)
    earlier = earlier_requests(workspace, request)
    if as_json:
        show.write_json(plain(decision) | {"earlier": earlier_values(earlier)})
        return
    case = case_of(workspace, request)
    if before is not None and before.digest == decision.digest:
        show.line("decided again, and nothing changed: the decision, its plan and approvals stand")
    paragraphs(explain(decision, case.judged))
    print_held_meanwhile(case)
    if decision.refusal is Refusal.NO_MATCH and not is_erased(workspace, case.request):
        for words in keepers(workspace, selectors_of(workspace, case.request)):
            show.line(f"note: {words}")
    if decision.outcome is Outcome.ON_HOLD:
        for words in duties(case.request):
            show.paragraph(f"while it is held: {words}", indent=2)
    print_earlier(earlier, case)
    print_next(case)


def grant(
    request: Id,
    by: Annotated[str, typer.Option("--by", help="Who grants it, as typed; kept as a pseudonym.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; no personal data, it is recorded for good.")],
    scope: Annotated[
        Scope | None, typer.Option("--scope", help="Carry out more than is owed: influence or whole-lineage.")
    ] = None,
    claim: Annotated[
        Many, typer.Option("--claim", help="Grant this pack's claim; all grants each that waits.", metavar="PACK")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grant a request that the rules left to a person, with a reason that reports show. To refuse one, deny it.

    Where the claims of several packs wait, --claim says which are granted; the others wait on.
    """
    from disgorge.request.case import case_of
    from disgorge.request.workflow.decide import grant_request
    from lineage.workspace import Workspace
    from policies.judging.review import ALL

    require_name(by, "grants it")
    require_reason(reason)
    workspace = Workspace.open()
    decision = grant_request(workspace, request, by=by.strip(), reason=reason, scope=scope, claims=claim or ())
    if as_json:
        show.write_json(decision)
        return
    under = "" if not claim or ALL in claim else f" under {' and '.join(dict.fromkeys(claim))}"
    show.line(f"{request} is granted{under}: {decision.reasons[-1].words}")
    print_next(case_of(workspace, request))


def plan(
    requests: Annotated[
        list[str], typer.Argument(help="Ids of the requests; several are planned together.", metavar="REQUEST...")
    ],
    withdraw: Annotated[
        list[str] | None, typer.Option("--withdraw", help="Destroy this release, whatever else could be done.")
    ] = None,
    every_probe: Annotated[
        bool,
        typer.Option("--probes", help="Also run every statistical probe, against models trained without the items."),
    ] = False,
    retrain_untouched: Annotated[
        bool,
        typer.Option(
            "--retrain-untouched", help="Also train again what is not touched and was made in another environment."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan a granted request: the cheapest remedy per component that is strong enough, and what it costs.

    Several requests get one plan: their items are withdrawn together, each part is trained once, each has its report.
    Exit 4 where components that it leaves alone were made in another environment and cannot be compared here.
    """
    from disgorge.request.workflow.plan_request import plan_requests
    from lineage.records import plain
    from lineage.workspace import Workspace

    made = plan_requests(
        Workspace.open(),
        requests,
        withdraw=withdraw or (),
        every_probe=every_probe,
        retrain_untouched=retrain_untouched,
    )
    if as_json:
        value = {"digest": made.digest, "plan": made, "cost": plain(made.cost), "warnings": made.warnings}
        show.write_json(value)
        return
    print_plan(made, done={})
    show.line(f"next: disgorge request approve {made.request} {show.short(made.digest)} --by NAME")


def approve(
    request: Id,
    digest: Annotated[
        str, typer.Argument(help="Digest of the plan that was read, or its first 12 characters.", metavar="DIGEST")
    ],
    by: Annotated[str, typer.Option("--by", help="Who approves, as typed; kept as a pseudonym.")],
    accept_utility_loss: Annotated[
        bool,
        typer.Option(
            "--accept-utility-loss",
            help="Release it even if it falls below the utility floor or is of no use any more.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record the approval of exactly one plan, by its digest. The name is as typed: nobody is authenticated."""
    from disgorge.request.case import case_of
    from disgorge.request.workflow.approval import approve_plan
    from lineage.workspace import Workspace

    require_name(by, "approves")
    workspace = Workspace.open()
    approved = approve_plan(workspace, request, digest, approver=by.strip(), accept_utility_loss=accept_utility_loss)
    case = case_of(workspace, request)
    have, need = len(set(case.approvals[approved.digest])), max(approved.approvals, 1)
    accepted = approved.digest in case.accepts_loss
    if as_json:
        value = {"request": request, "plan": approved.digest, "approvals": have, "needed": need}
        show.write_json(value | {"warnings": approved.warnings, "accepts_utility_loss": accepted})
        return
    if approved.warnings and not accepted:
        for words in approved.warnings:
            show.warn(words)
        show.line(f"approved, {have} of {need}; the loss is not accepted")
        print_next(case, approved)
        return
    rest = "carry it out with" if have >= need else f"{need - have} more must approve before"
    show.line(f"approval recorded, {have} of {need}; {rest} `disgorge request execute {request}`")


def deny(
    request: Id,
    reason: Annotated[Refusal, typer.Option("--reason", help="Why, from the fixed list.")],
    claim: Annotated[
        Many, typer.Option("--claim", help="Refuse this pack's claim; the request goes on.", metavar="PACK")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who refuses a claim, as typed; kept as a pseudonym.")] = None,
    as_json: AsJson = False,
) -> None:
    """Close a request without doing anything, and say what is owed with the refusal, and by when.

    With --claim only that pack's claim is refused, and the request stays open. A hold that its data is under lasts
    until it is lifted. One with a mistake in it is better amended: request amend.
    """
    if claim:
        _deny_claims(request, claim, reason, by=by, as_json=as_json)
        return
    if by is not None:
        raise WrongUse("--by goes with --claim: who refuses that claim")
    from disgorge.removal.containment import deny_begun
    from disgorge.request.case import case_of
    from disgorge.request.history.earlier import earlier_requests
    from disgorge.request.holds.open import open_holds
    from disgorge.request.workflow.filing import deny_request
    from disgorge.tracking.registry import registry_or_none
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    notes: tuple[str, ...] = ()
    if case_of(workspace, request).steps:
        notes = deny_begun(workspace, request, reason=reason.value, registrar=registry_or_none(workspace))
    else:
        deny_request(workspace, request, reason=reason.value)
    case = case_of(workspace, request)
    words = f"{request} is denied: {reason.value}"
    if reason is Refusal.FILED_IN_ERROR:
        words += "; its id stays taken, so that what was filed can be read: file the right one under a new id"
    earlier = earlier_requests(workspace, request)
    told = {"owed": case.owed_on_refusal, "earlier": earlier_values(earlier), "notes": notes}
    said(as_json, words, request=request, state="denied", reason=reason.value, **told)
    if as_json:
        return
    for note in notes:
        show.line(f"note: {note}")
    print_earlier(earlier, case)
    if case.decision is None:
        show.line("note: it was never decided, so no pack was asked what is owed with the refusal, and by when")
    else:
        print_owed_on_refusal(case)
    for held in open_holds(case):
        show.line(
            f"note: its data stays on hold ({held.words}) and binds other requests, until that is lifted with "
            f"`disgorge request hold {request} --lift --reason TEXT`"
        )


def _deny_claims(request: str, claims: list[str], reason: Refusal, *, by: str | None, as_json: bool) -> None:
    """Refuse the claims of some packs, and say what is owed with that."""
    from disgorge.request.case import case_of
    from disgorge.request.workflow.decide import refuse_claims
    from lineage.workspace import Workspace

    require_name(by or "", "refuses the claim")
    workspace = Workspace.open()
    decision = refuse_claims(workspace, request, by=str(by).strip(), reason=reason, claims=claims)
    if as_json:
        show.write_json(decision)
        return
    show.line(f"{request} is refused under {' and '.join(dict.fromkeys(claims))}: {reason.value}; it stays open")
    for duty in (duty for refused in decision.claims if refused.pack in claims for duty in refused.on_refusal):
        show.paragraph(f"owed with that: {duty.said} [{duty.rule}]", indent=2)
    print_next(case_of(workspace, request))


def extend(
    request: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever asked must be told it.")],
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Extend the deadline as far as the rules allow."""
    from disgorge.request.case import case_of
    from disgorge.request.workflow.decide import extend_deadline
    from lineage.workspace import Workspace

    require_reason(reason)
    workspace = Workspace.open()
    until = extend_deadline(workspace, request, packs_judging(case_of(workspace, request), packs), reason=reason)
    said(as_json, f"{request} is due by {until}; tell whoever asked, and why", request=request, due=until)


def packs_judging(case: "Case", source: Path | None) -> "tuple[Pack, ...]":
    """Return the packs to judge a request by; :class:`BadRequest` where none of them covers one of its regimes.

    Without that, a request filed under a pack of one's own would be decided as if no rule existed for it, or denied by
    one law while the other is not asked.
    """
    from policies.packs.facts import regimes_of, require_regimes
    from policies.packs.load import load_packs

    packs = load_packs(source)
    require_regimes(regimes_of(case.judged, dict(case.judged.facts)), packs, ground=case.request.ground)
    return packs

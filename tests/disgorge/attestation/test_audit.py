"""The audit on attestations: those that do not hold, and what is served without one or below what is demanded."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from disgorge.attestation.record import attest_done
from disgorge.attestation.workspace_key import key_of
from disgorge.audit.findings import Finding, exit_code
from disgorge.audit.rules import audit
from disgorge.facts import AttestedFact, DecisionFact, PlanFact, RequestFact
from disgorge.statement.signing import new_key, sign
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Component, canonical
from lineage.workspace import Workspace
from policies.decision import Owed
from policies.taxonomy import Confinement
from tests.disgorge import report_cases
from tests.disgorge.attestation.cases import Done, attested, part, released, workspace_in
from tests.disgorge.attestation.test_standing import attestation_for, recorded

TODAY = dt.date(2026, 11, 10)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path / "here")


def found(workspace: Workspace) -> list[Finding]:
    """The findings on attestations."""
    return [each for each in audit(workspace, today=TODAY) if each.id in ("DSG021", "DSG022", "DSG023")]


def served(workspace: Workspace, level: Confinement = Confinement.NAMESPACE) -> tuple[Component, Component]:
    """A release of a base and a head made from it, both attested at a level, below ``namespace`` twice."""
    base = part(workspace, "base", "alice")
    head = part(workspace, "head", base, "bob")
    for component in (base, head) * (1 if level is Confinement.NAMESPACE else 2):
        attested(workspace, component, level)
    released(workspace, base, head)
    return base, head


def test_what_is_attested_has_no_findings(workspace: Workspace) -> None:
    served(workspace)
    assert found(workspace) == []


def test_a_workspace_that_never_attested_a_run_has_none(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    workspace.ledger.record(ComponentFact(base))
    released(workspace, base)
    assert found(workspace) == []


def test_a_served_component_without_attestation_is_a_note_and_so_is_one_made_from_it(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    head = part(workspace, "head", base, "bob")
    workspace.ledger.record(ComponentFact(base))
    attested(workspace, head)
    attested(workspace, part(workspace, "other", "alice"))
    released(workspace, base, head)
    (note,) = found(workspace)
    assert (note.id, note.level, note.where) == ("DSG021", "note", "digits@live")
    assert "2 of 2 components are shown by the operator's record alone; " in note.words
    assert "base: it has no attestation" in note.words
    assert "disgorge attest digits" in note.next
    assert exit_code([note], strict=True) == 0


def outside(workspace: Workspace, base: Component) -> str:
    recorded(workspace, attestation_for(workspace, base), new_key())
    return "its attestation is signed by a foreign key"


def other_workspace(workspace: Workspace, base: Component) -> str:
    recorded(workspace, replace(attestation_for(workspace, base), workspace="00" * 32), key_of(workspace))
    return "its attestation is of another workspace"


def other_bytes(workspace: Workspace, base: Component) -> str:
    made = attestation_for(workspace, base)
    recorded(workspace, replace(made, component="00" * 32), key_of(workspace), said=made)
    return "its attestation is for other bytes"


def edited(workspace: Workspace, base: Component) -> str:
    *_, fact = attest_done(workspace, base, Done())
    assert isinstance(fact, AttestedFact)
    workspace.ledger.record(fact)
    path = workspace.objects.path(fact.attestation)
    path.write_bytes(path.read_bytes()[:-1])
    return "its attestation was edited"


def signed_by_no_one(workspace: Workspace, base: Component) -> str:
    made = attestation_for(workspace, base)
    data = sign(made.statement(), key=key_of(workspace))
    kept = workspace.objects.put(data.replace(b'"sig":"', b'"sig":"00'))
    workspace.ledger.record(
        AttestedFact(made.component, made.recipe_digest, made.environment_digest, kept, made.level, made.run)
    )
    return "its attestation was edited: its signature does not hold"


LIES = (outside, other_workspace, other_bytes, edited, signed_by_no_one)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__.replace("_", " "))
def test_an_attestation_that_does_not_hold_is_an_error(
    workspace: Workspace, lie: Callable[[Workspace, Component], str]
) -> None:
    _, head = served(workspace)
    words = lie(workspace, head)
    (error,) = (each for each in found(workspace) if each.id == "DSG023")
    assert (error.level, error.where, error.fact) == ("error", "head", len(workspace.ledger.all_facts()))
    assert error.words.startswith(words)


def test_without_the_private_folder_what_an_earlier_key_signed_is_no_finding(workspace: Workspace) -> None:
    """As CI sees a repository: the facts that name earlier keys cannot be checked there."""
    served(workspace)
    for file in ("public.pem", "private/signing.pem"):
        (workspace.home / file).unlink()
    attested(workspace, part(workspace, "third", "bob"))
    assert found(workspace) == []
    recorded(workspace, attestation_for(workspace, part(workspace, "fourth", "bob")), new_key())
    (workspace.home / "private").rename(workspace.root / "elsewhere")
    errors = [each for each in found(Workspace.open(workspace.root)) if each.id == "DSG023"]
    assert ["foreign key" in each.words for each in errors] == [True]
    (workspace.home / "public.pem").unlink()
    (warning, *_) = [each for each in found(Workspace.open(workspace.root)) if each.id == "DSG023"]
    assert (warning.level, warning.where) == ("warning", "public.pem")
    assert "4 attestations could not be checked" in warning.words


def planned(workspace: Workspace, demanded: Confinement) -> None:
    """File a request, decide it with this demand, and plan it for the release digits."""
    decided = report_cases.decision()
    assert isinstance(decided.owed, Owed)
    decided = replace(decided, owed=replace(decided.owed, confinement=demanded))
    plan = report_cases.plan(decided)
    steps = tuple(replace(step, subject="digits") if step.action.value == "adopt" else step for step in plan.steps)
    plan = replace(plan, steps=steps)
    asked = report_cases.request()
    workspace.objects.put(canonical(plan))
    workspace.ledger.record(
        RequestFact(asked), DecisionFact(asked.id, decided), PlanFact(asked.id, plan.digest, "00" * 32)
    )


def test_a_level_below_what_an_open_request_demands_is_a_warning(workspace: Workspace) -> None:
    served(workspace, Confinement.LANDLOCK)
    planned(workspace, Confinement.LANDLOCK)
    assert found(workspace) == []
    planned(workspace, Confinement.NAMESPACE)
    below = found(workspace)
    assert [(each.id, each.level, each.where) for each in below] == [("DSG022", "warning", "digits@live")] * 2
    assert "request R-7 demands level namespace; " in below[0].words
    assert "base: it was made at level landlock, and namespace is demanded" in below[0].words
    assert "disgorge attest --again digits" in below[0].next

"""A component stands on an attestation that holds, with all its ancestors'; every way to fake one has its sentence."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from disgorge.attestation.provenance import Attestation, attestation_of
from disgorge.attestation.record import attest_done
from disgorge.attestation.workspace_key import key_of, trusted_keys
from disgorge.facts import AttestedFact, SigningKeyFact
from disgorge.statement.signing import key_id, new_key, open_envelope, public_pem, sign
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Component, Role, Use
from lineage.workspace import Workspace
from policies.taxonomy import Confinement
from tests.disgorge.attestation.cases import Done, attested, digest_of_shard, judged, part, workspace_in

if TYPE_CHECKING:
    from disgorge.statement.signing import Key

MADE = Confinement.NAMESPACE


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path / "here")


def statement(workspace: Workspace, fact: AttestedFact) -> Attestation:
    """The attestation that a fact names, its signature checked."""
    data, public = workspace.objects.get(fact.attestation), (workspace.home / "public.pem").read_bytes()
    return attestation_of(open_envelope(data, public=public).statement)


def recorded(workspace: Workspace, made: Attestation, key: "Key", *, said: Attestation | None = None) -> None:
    """Sign an attestation, keep it, and record it as what ``said`` says, by default itself."""
    said = said or made
    kept = workspace.objects.put(sign(made.statement(), key=key))
    workspace.ledger.record(
        AttestedFact(said.component, said.recipe_digest, said.environment_digest, kept, said.level, said.run)
    )


def attestation_for(workspace: Workspace, component: Component) -> Attestation:
    """What an honest run would attest; neither kept for good nor recorded."""
    *_, fact = attest_done(workspace, component, Done())
    assert isinstance(fact, AttestedFact)
    return statement(workspace, fact)


def test_it_stands_with_its_ancestors(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    head = part(workspace, "head", base, "bob")
    attested(workspace, base)
    fact = attested(workspace, head)
    found = judged(workspace, head)
    assert (found.stands, found.level, found.hermetic, found.reproducible) == (True, MADE, True, False)
    assert (found.shown_by, found.attestation) == ("confinement", fact.attestation)
    assert found.why == "head: it and all it was made from were attested when made, at level namespace or closer"


def test_the_weakest_ancestor_counts(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    head = part(workspace, "head", base)
    attested(workspace, base, Confinement.LANDLOCK)
    attested(workspace, head)
    assert "base: at level landlock equal bits are demanded" in judged(workspace, head).why
    attested(workspace, base, Confinement.LANDLOCK)
    found = judged(workspace, head)
    assert (found.stands, found.level, found.hermetic) == (True, Confinement.LANDLOCK, False)
    assert judged(workspace, head, accepts=MADE).why == (
        "head: it was made from another part that does not stand: "
        "base: it was made at level landlock, and namespace is demanded"
    )


def test_a_second_run_that_reaches_the_bytes_makes_it_reproducible(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    assert attested(workspace, base, Confinement.LANDLOCK).run == 1
    demand = {"equal_bits": True}
    assert "equal bits are demanded, and no second run" in judged(workspace, base, **demand).why
    attested(workspace, base, resumed=True)
    assert not judged(workspace, base).reproducible  # a checkpoint holds what the first run knew
    assert attested(workspace, base, MADE).run == 3
    found = judged(workspace, base, **demand)
    assert (found.stands, found.reproducible, found.level) == (True, True, MADE)
    assert found.shown_by == "confinement and equal bits"


def test_what_was_made_from_a_part_that_no_second_run_reached_is_not_reproducible(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    head = part(workspace, "head", base)
    for component in (base, head, head):
        attested(workspace, component)
    assert not judged(workspace, head).reproducible
    attested(workspace, base)
    assert judged(workspace, head).reproducible


def test_what_was_not_confined_needs_equal_bits(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    attested(workspace, base, Confinement.PROCESS)
    assert "made at level process, and landlock is demanded" in judged(workspace, base).why
    accepts = {"accepts": Confinement.PROCESS}
    assert "equal bits are demanded" in judged(workspace, base, **accepts).why
    attested(workspace, base, Confinement.PROCESS)
    found = judged(workspace, base, **accepts)
    assert (found.stands, found.hermetic, found.shown_by) == (True, False, "equal bits")


def test_another_environment_has_a_first_run_of_its_own(workspace: Workspace) -> None:
    attested(workspace, part(workspace, "base", "alice"))
    other = part(workspace, "base", "alice", bits=1, environment={"machine": "aarch64"})
    assert attested(workspace, other).run == 1
    assert judged(workspace, other).stands


def test_equal_bytes_by_another_recipe_stand_on_their_own(workspace: Workspace) -> None:
    """A part that comes out with the very bytes it had: what only the old recipe used did not shape them."""
    alice, bob = (digest_of_shard(workspace, name) for name in ("alice", "bob"))
    old, new = part(workspace, "scaler", "alice"), part(workspace, "scaler", "bob")
    assert old.digest == new.digest
    attested(workspace, old)
    attested(workspace, new)
    assert judged(workspace, new, withdrawn={alice}).stands
    assert f"it used the withdrawn shard {alice[:12]}" in judged(workspace, old, withdrawn={alice}).why
    head = part(workspace, "head", new)
    attested(workspace, head)
    assert judged(workspace, head, withdrawn={alice}).stands
    assert not judged(workspace, head, withdrawn={alice, bob}).stands


# --- lies: each is refused with its own sentence ---


def by_hand(workspace: Workspace, base: Component) -> str:
    """Recorded with lineage alone."""
    return "base: it has no attestation, and is shown by the operator's record"


def outside(workspace: Workspace, base: Component) -> str:
    """Made and signed elsewhere, with a key of its own, and brought in with a fact."""
    foreign = new_key()
    recorded(workspace, attestation_for(workspace, base), foreign)
    return f"base: its attestation is signed by a foreign key, {key_id(public_pem(foreign))[:16]}"


def foreign_key_named(workspace: Workspace, base: Component) -> str:
    """The same, with a fact that names the foreign key as one of this workspace."""
    foreign = new_key()
    public = public_pem(foreign)
    workspace.ledger.record(SigningKeyFact(key_id(public), public.decode(), "00" * 32))
    recorded(workspace, attestation_for(workspace, base), foreign)
    return f"base: its attestation is signed by a foreign key, {key_id(public)[:16]}"


def foreign_public_key(workspace: Workspace, base: Component) -> str:
    """The same, with the foreign key put in the place of ``public.pem``."""
    foreign = new_key()
    recorded(workspace, attestation_for(workspace, base), foreign)
    (workspace.home / "public.pem").write_bytes(public_pem(foreign))
    return f"base: its attestation is signed by a foreign key, {key_id(public_pem(foreign))[:16]}"


def signed_in_anothers_name(workspace: Workspace, base: Component) -> str:
    """Signed by a foreign key, and the envelope names this workspace's key."""
    made = attestation_for(workspace, base)
    envelope = json.loads(sign(made.statement(), key=new_key()))
    envelope["signatures"][0]["keyid"] = key_id(public_pem(key_of(workspace)))
    kept = workspace.objects.put(json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode() + b"\n")
    fact = AttestedFact(base.digest, base.recipe_digest, made.environment_digest, kept, made.level, made.run)
    workspace.ledger.record(fact)
    return "base: its attestation was edited: its signature does not hold"


def of_another_workspace(workspace: Workspace, base: Component) -> str:
    """Copied from a workspace of the same operator, with the same key."""
    other = workspace_in(workspace.root.parent / "other", day=11)
    key_of(workspace)
    (other.home / "private" / "signing.pem").write_bytes((workspace.home / "private" / "signing.pem").read_bytes())
    fact = attested(other, part(other, "base", "alice"))
    workspace.objects.put(other.objects.get(fact.attestation))
    workspace.ledger.record(fact)
    return "base: its attestation is of another workspace"


def for_other_code(workspace: Workspace, base: Component) -> str:
    """The same bytes, attested for a recipe with other code."""
    other = replace(base, recipe={**base.recipe, "code": "0c" * 32})
    workspace.ledger.record(*attest_done(workspace, other, Done()))
    return "base: its attestation is for other code"


def for_another_recipe(workspace: Workspace, base: Component) -> str:
    """The same bytes, attested for another recipe."""
    other = replace(base, recipe={**base.recipe, "parameters": {"seed": 8}})
    workspace.ledger.record(*attest_done(workspace, other, Done()))
    return "base: its attestation is for another recipe"


def fact_of_another_recipe(workspace: Workspace, base: Component) -> str:
    """The fact says that an attestation for another recipe is for this one."""
    made = attestation_for(workspace, base)
    other = replace(made, recipe={**base.recipe, "parameters": {"seed": 8}})
    recorded(workspace, other, key_of(workspace), said=made)
    return "base: its attestation is for another recipe"


def for_other_bytes(workspace: Workspace, base: Component) -> str:
    """The fact says that the attestation of other bytes is for these."""
    made = attestation_for(workspace, base)
    recorded(workspace, replace(made, component="00" * 32), key_of(workspace), said=made)
    return "base: its attestation is for other bytes"


def for_another_environment(workspace: Workspace, base: Component) -> str:
    """The fact names another environment, in which there was no first run yet."""
    made = attestation_for(workspace, base)
    recorded(workspace, made, key_of(workspace), said=replace(made, environment={}))
    return "base: its attestation is for another environment"


def level_raised(workspace: Workspace, base: Component) -> str:
    """The fact claims a closer confinement than was attested."""
    made = attestation_for(workspace, base)
    recorded(workspace, replace(made, level=Confinement.PROCESS), key_of(workspace), said=made)
    return "base: its attestation states another confinement than the ledger does"


def run_renumbered(workspace: Workspace, base: Component) -> str:
    """The fact calls the second run the first."""
    made = attestation_for(workspace, base)
    recorded(workspace, replace(made, run=2), key_of(workspace), said=made)
    return "base: its attestation counts the run otherwise than the ledger does"


def edited(workspace: Workspace, base: Component) -> str:
    """A byte of the kept envelope is changed on disk."""
    path = workspace.objects.path(attested(workspace, base).attestation)
    path.write_bytes(path.read_bytes().replace(b'"payload"', b'"Payload"'))
    return "base: its attestation was edited: its bytes are not those that were kept"


def edited_and_kept(workspace: Workspace, base: Component) -> str:
    """The payload is changed, and the fact names the changed envelope."""
    fact = attested(workspace, part(workspace, "other", "bob"))
    envelope = json.loads(workspace.objects.get(fact.attestation))
    honest = json.loads(sign(attestation_for(workspace, base).statement(), key=new_key()))
    envelope["payload"] = honest["payload"]
    kept = workspace.objects.put(json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode() + b"\n")
    workspace.ledger.record(replace(fact, component=base.digest, recipe=base.recipe_digest, attestation=kept))
    return "base: its attestation was edited: its signature does not hold"


def another_statement(workspace: Workspace, base: Component) -> str:
    """Signed by the right key, and no attestation."""
    made = attestation_for(workspace, base)
    told = made.statement()
    told["predicateType"] = "urn:x-disgorge:removal:v6"
    kept = workspace.objects.put(sign(told, key=key_of(workspace)))
    fact = AttestedFact(base.digest, base.recipe_digest, made.environment_digest, kept, made.level, made.run)
    workspace.ledger.record(fact)
    return "base: its attestation does not say what an attestation of a component says"


def no_envelope(workspace: Workspace, base: Component) -> str:
    """What is kept under the attestation's digest is something else."""
    fact = attested(workspace, base)
    workspace.objects.path(fact.attestation).unlink()
    kept = workspace.objects.put(b"{}")
    workspace.ledger.record(replace(fact, attestation=kept, component="00" * 32))
    return "base: its attestation is missing"


def not_signed(workspace: Workspace, base: Component) -> str:
    """The bare statement, without an envelope."""
    made = attestation_for(workspace, base)
    kept = workspace.objects.put(json.dumps(made.statement()).encode())
    fact = AttestedFact(base.digest, base.recipe_digest, made.environment_digest, kept, made.level, made.run)
    workspace.ledger.record(fact)
    return "base: its attestation is not a signed envelope"


def later_run(workspace: Workspace, base: Component) -> str:
    """A second run made other bytes, and these are meant to be used."""
    attested(workspace, part(workspace, "base", "alice", bits=1))
    attested(workspace, base)
    return "base: it is run 2 of its recipe, and not what the first completed run made"


def later_run_alone(workspace: Workspace, base: Component) -> str:
    """The same, and the first run's attestation is deleted."""
    first = attested(workspace, part(workspace, "base", "alice", bits=1))
    attested(workspace, base)
    workspace.objects.path(first.attestation).unlink()
    return "base: it is run 2 of its recipe, and not what the first completed run made"


def bytes_changed(workspace: Workspace, base: Component) -> str:
    """The weights are changed on disk."""
    attested(workspace, base)
    workspace.objects.path(base.digest).write_bytes(b"other")
    return "base: its stored bytes are missing, or are not the attested ones"


def bytes_missing(workspace: Workspace, base: Component) -> str:
    """The weights are gone."""
    attested(workspace, base)
    workspace.objects.path(base.digest).unlink()
    return "base: its stored bytes are missing, or are not the attested ones"


def use_besides(workspace: Workspace, base: Component) -> str:
    """It is recorded to have used a shard that its recipe does not name."""
    attested(workspace, base)
    bob = digest_of_shard(workspace, "bob")
    workspace.ledger.record(ComponentFact(replace(base, uses=(*base.uses, Use(bob, Role.SELECT)))))
    return f"base: it is recorded to have used {bob[:12]}, which its attestation does not name"


LIES = (
    by_hand, outside, foreign_key_named, foreign_public_key, signed_in_anothers_name, of_another_workspace,
    for_other_code, for_another_recipe, fact_of_another_recipe, for_other_bytes, for_another_environment, level_raised,
    run_renumbered, edited, edited_and_kept, another_statement, no_envelope, not_signed, later_run, later_run_alone,
    bytes_changed, bytes_missing, use_besides,
)  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__.replace("_", " "))
def test_a_lie_does_not_stand(workspace: Workspace, lie: Callable[[Workspace, Component], str]) -> None:
    base = part(workspace, "base", "alice")
    expected = lie(workspace, base)
    found = judged(workspace, base)
    assert (found.stands, found.why) == (False, expected)
    assert (found.level, found.hermetic, found.attestation) == (None, False, None)
    assert found.shown_by == "the operator's record"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__.replace("_", " "))
def test_nothing_stands_on_a_lie(workspace: Workspace, lie: Callable[[Workspace, Component], str]) -> None:
    """The same as the ancestor of a component with an honest attestation."""
    base = part(workspace, "base", "alice")
    workspace.ledger.record(ComponentFact(base))
    expected = lie(workspace, base)
    (workspace.home / "public.pem").unlink(missing_ok=True)  # one lie put another key there
    head = part(workspace, "head", base, "bob")
    attested(workspace, head)
    words = f"head: it was made from another part that does not stand: {expected}"
    assert judged(workspace, head).why == words


def test_an_ancestor_that_no_fact_records_is_named(workspace: Workspace) -> None:
    head = part(workspace, "head", "bob", part(workspace, "base", "alice"))
    attested(workspace, head)
    assert judged(workspace, head).why == f"head: it used {head.uses[1].digest[:12]}, which is not recorded"


def test_an_input_that_no_fact_records_is_named(workspace: Workspace) -> None:
    uses = [{"of": "artifact", "digest": "99" * 32, "role": "initialize"}]
    base = part(workspace, "base")
    attested(workspace, base := replace(base, recipe={**base.recipe, "uses": uses}))
    assert judged(workspace, base).why == f"base: it used {'99' * 6}, which is not recorded"


@pytest.mark.parametrize("where", ["parameters", "code"])
def test_a_recipe_derived_from_a_withdrawn_shard_does_not_stand(workspace: Workspace, where: str) -> None:
    alice = digest_of_shard(workspace, "alice")
    derived: dict[str, Any] = {"parameters": {"scale": {"from": alice.upper()}}, "code": f"tree of {alice}"}
    base = part(workspace, "base", "bob", **{where: derived[where]})
    attested(workspace, base)
    assert judged(workspace, base).stands
    why = judged(workspace, base, withdrawn={alice}).why
    assert why == f"base: its code or parameters are derived from the withdrawn shard {alice[:12]}"


def test_a_run_of_others_does_not_take_the_place_of_the_first(workspace: Workspace) -> None:
    """A forged first run makes no honest component fall."""
    forged = attestation_for(workspace, part(workspace, "base", "alice", bits=1))
    recorded(workspace, forged, new_key())
    base = part(workspace, "base", "alice")
    honest = attestation_for(workspace, base)
    recorded(workspace, replace(honest, run=1), key_of(workspace))
    workspace.ledger.record(ComponentFact(base))
    assert judged(workspace, base).stands


def test_two_that_call_themselves_the_first_are_told_apart_by_the_ledger(workspace: Workspace) -> None:
    one, other = part(workspace, "base", "alice"), part(workspace, "base", "alice", bits=1)
    both = [attestation_for(workspace, each) for each in (one, other)]
    for made in both:
        recorded(workspace, made, key_of(workspace))
    assert judged(workspace, one).stands
    assert "not what the first completed run made" in judged(workspace, other).why


def test_an_attestation_told_twice_is_no_second_run(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    workspace.ledger.record(attested(workspace, base))
    assert not judged(workspace, base).reproducible


def test_old_attestations_hold_after_the_key_changed(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    attested(workspace, base)
    for file in ("public.pem", "private/signing.pem"):
        (workspace.home / file).unlink()
    head = part(workspace, "head", base)
    attested(workspace, head)
    assert judged(workspace, head).stands
    assert len(trusted_keys(workspace)) == 2
    assert len(list(workspace.ledger.said(SigningKeyFact))) == 2
    attested(workspace, head)
    assert len(list(workspace.ledger.said(SigningKeyFact))) == 2


def test_without_the_seals_key_an_earlier_signing_key_does_not_count(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice")
    attested(workspace, base)
    for file in ("public.pem", "private/signing.pem"):
        (workspace.home / file).unlink()
    attested(workspace, part(workspace, "head", "bob"))
    (workspace.home / "private" / "withdrawn.key").unlink()
    assert "is signed by a foreign key" in judged(Workspace.open(workspace.root), base).why

"""False removals by whoever runs the workspace: side tables, forged facts, borrowed evidence, weights put back.

Each case is one deed, done at one moment of an execution, and what must find it. Where the ledger itself is written by
the operator's own hand, a chain of digests cannot tell: the last tests say by example what rests on an honest operator,
and that whoever executes the recipes elsewhere finds out.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest

from disgorge.audit.rules import audit
from disgorge.errors import BundleBroken, CertificateRefused, DisgorgeError
from disgorge.evidence.checks import Check, Verdict
from disgorge.plan.plan import Action, Plan, Step
from disgorge.plan.results import Adopted, ItemsWithdrawn, Probed, Purged, Recomposed, Result, Retrained
from disgorge.report.bundle import verify_bundle
from disgorge.request.case import case_of, plan_of
from disgorge.request.withdrawn.forget_list import ForgetList
from disgorge.request.workflow.plan_request import plan_request
from disgorge.tracking.registry import Registrar
from lineage.catalog import projection
from lineage.catalog.catalog import Catalog
from lineage.catalog.projection import open_projection
from lineage.errors import LineageError
from lineage.records import Cost, canonical, in_member_order, plain
from lineage.shards.add import add_shard
from lineage.storage.tensors import load_tensors, save_tensors
from lineage.workspace import Workspace
from tests import lookalikes, toys
from tests.tier import amount, tally

PART = f"{toys.RELEASE}/mean/shard-3"
WHO = ("shard-3", 1)


def tensors_of(workspace: Workspace, digest: str) -> dict[str, Any]:
    """A component's tensors."""
    return dict(load_tensors(workspace.objects.get(digest)))


# Side tables instead of the model -----------------------------------------------------------------------------------


def items_hidden_from_the_catalog(workspace: Workspace) -> None:
    """The catalog's file lists fewer items of the person than there are."""
    edit_catalog(workspace, "delete from item where key = 'shard-3-4'")


def uses_deleted_from_the_catalog(workspace: Workspace) -> None:
    """The catalog's file no longer knows that anything learned from anything."""
    edit_catalog(workspace, "delete from use")


def edit_catalog(workspace: Workspace, statement: str) -> None:
    """Lay a catalog's file with other rows where one used to be: the whole of one, but for what the statement hides."""
    with Catalog.of(workspace) as catalog:
        path = workspace.home / f"catalog-{catalog.lineage_head[:16]}.duckdb"
    state, items = open_projection(workspace)
    uses = [(use.digest, target, use.role.value) for target, uses in state.influences.items() for use in uses]
    with duckdb.connect(str(path)) as connection, contextlib.closing(items):
        connection.execute(Path(projection.__file__).with_name("schema.sql").read_text())
        connection.execute("create table use (source varchar, target varchar, role varchar)")
        for table, rows in {"item": items.execute("select * from item").fetchall(), "use": uses}.items():
            connection.executemany(f"insert into {table} values ({', '.join('?' for _ in rows[0])})", rows)
        connection.execute(statement)


@pytest.mark.parametrize(
    "deed", [items_hidden_from_the_catalog, uses_deleted_from_the_catalog], ids=lambda d: d.__name__
)
def test_an_edited_catalog_hides_nothing(workspace: Workspace, deed: Callable[[Workspace], None]) -> None:
    """What was edited is not asked: all three items go, and the part that learned from them is trained again."""
    old = toys.bytes_by_name(workspace, toys.RELEASE)[PART]
    deed(workspace)
    assert toys.remove(workspace, [toys.person(workspace, *WHO)]).verdict == "certified"
    gone = toys.live_shards(workspace)["shard-3"].count == 9 and not workspace.objects.exists(old)
    tally("liars", deed.__name__, where="side tables", caught=gone)
    assert gone
    assert toys.bytes_by_name(workspace, toys.RELEASE)[PART] != old


def rows_out_of_the_manifest(workspace: Workspace, path: Path) -> None:
    """The person's rows are gone from the manifest; the shard's content and the model have them."""
    table = pq.read_table(path)
    pq.write_table(table.filter(pa.compute.not_equal(table["key"], "shard-3-4")), path)


def person_renamed_in_the_manifest(workspace: Workspace, path: Path) -> None:
    """The items belong to somebody else now."""
    table = pq.read_table(path)
    subject = pa.array([workspace.pseudonym("somebody else")] * len(table), table["subject"].type)
    pq.write_table(table.set_column(table.schema.get_field_index("subject"), "subject", subject), path)


def use_out_of_the_ledger(workspace: Workspace, path: Path) -> None:
    """The ledger's line that says what the part learned from names another shard."""
    file = workspace.home / "ledger.jsonl"
    other, own = toys.live_shards(workspace)["shard-1"].digest, toys.live_shards(workspace)["shard-3"].digest
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line.replace(own, other) if PART in line else line for line in lines))


@pytest.mark.parametrize(
    "deed", [rows_out_of_the_manifest, person_renamed_in_the_manifest, use_out_of_the_ledger], ids=lambda d: d.__name__
)
def test_an_edited_record_stops_everything(workspace: Workspace, deed: Callable[[Workspace, Path], None]) -> None:
    who = toys.person(workspace, *WHO)
    deed(workspace, workspace.manifest_path(toys.live_shards(workspace)["shard-3"].digest))
    with pytest.raises((DisgorgeError, LineageError), match=r"manifest|ledger"):
        toys.remove(workspace, [who])
    with contextlib.suppress(LineageError):
        assert not list(workspace.ledger.facts("request-closed"))
    tally("liars", deed.__name__, where="side tables", caught=True)
    assert audit(workspace)


# Weights and aliases put back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [Action.ADOPT, Action.PURGE, Action.REPORT], ids=lambda action: action.value)
def test_old_weights_in_the_place_of_the_new_ones(workspace: Workspace, moment: Action) -> None:
    """The object of the new part holds the old bytes when the alias is to move, or after it did."""
    old = workspace.objects.get(toys.bytes_by_name(workspace, toys.RELEASE)[PART])
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def swap() -> None:
        digest = toys.component_of(workspace, PART).digest
        path = workspace.objects.path(digest)
        path.chmod(0o644)
        path.write_bytes(old)

    with pytest.raises((DisgorgeError, LineageError), match=r"digest|changed|not what its name says"):
        toys.carry(workspace, on_step=toys.doing(swap, moment))
    assert toys.is_open(workspace)
    tally("liars", f"old weights under the new name, before {moment.value}", where="stores", caught=True)


@pytest.mark.parametrize(
    "moment", [Action.PURGE, Action.REPORT, Action.PROBE][: amount(1, 3)], ids=lambda action: action.value
)
@pytest.mark.parametrize("damage", ["emptied", "another plan's", "gone"])
def test_a_list_of_what_was_withdrawn_that_was_tampered_with(workspace: Workspace, moment: Action, damage: str) -> None:
    """With an empty list every search would find nothing; what it would have found is put there."""
    items = sorted(toys.items_of(workspace, [toys.person(workspace, *WHO)]))
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def tamper() -> None:
        workspace.objects.put(canonical({"failing": items}))
        (file,) = (workspace.home / "private" / "executions").iterdir()
        if damage == "gone":
            file.unlink()
        elif damage == "emptied":
            file.write_text("{}")
        else:
            ForgetList(workspace, "0" * 64).remember([], {})
            file.with_name(f"{'0' * 64}.json").replace(file)

    with pytest.raises(DisgorgeError, match="restore the private folder"):
        toys.carry(workspace, on_step=toys.doing(tamper, moment))
    assert toys.is_open(workspace)
    tally("liars", f"list of items {damage}, before {moment.value}", where="side tables", caught=True)


def test_an_adopted_component_that_is_lost_before_the_report(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def lose() -> None:
        digest = toys.component_of(workspace, PART).digest
        workspace.objects.path(digest).unlink()

    with pytest.raises(CertificateRefused, match="lost what was adopted"):
        toys.carry(workspace, on_step=toys.doing(lose, Action.REPORT))
    assert toys.is_open(workspace)


def test_old_weights_in_the_store_under_another_digest(workspace: Workspace) -> None:
    """They are saved again under other names, young enough that a training might be about to record them."""
    old = tensors_of(workspace, toys.bytes_by_name(workspace, toys.RELEASE)[PART])
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def save_again() -> None:
        workspace.objects.put(save_tensors({f"my-{name}": tensor for name, tensor in old.items()}))

    with pytest.raises(CertificateRefused, match="holds removed weights under another name"):
        toys.carry(workspace, on_step=toys.doing(save_again, Action.PURGE))
    assert toys.is_open(workspace)
    tally("liars", "old weights under another digest", where="stores", caught=True)


PLACES = {
    "backup/x.parquet": "holds withdrawn items",
    "shards/x.parquet.old": None,
    "old.safetensors": "is one of the weights",
    "notes.md": "is one of the weights",
    ".disgorge/objects/old.bak": None,
}
"""Where copies are put, and what is found; None among our own files, where they go with the purge."""


@pytest.mark.parametrize("place", list(PLACES)[: amount(2, 5)])
def test_copies_that_no_store_knows_of(workspace: Workspace, place: str) -> None:
    """Old weights or the old shard lie under a name that is nobody's, in the workspace's folder or among our files."""
    weights = workspace.objects.path(toys.bytes_by_name(workspace, toys.RELEASE)[PART])
    old = (
        workspace.content_path(toys.live_shards(workspace)["shard-3"].digest) if "parquet" in place else weights
    ).read_bytes()
    path = workspace.root / place
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def copy() -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(old)

    if PLACES[place] is None:
        assert toys.carry(workspace, on_step=toys.doing(copy, Action.PURGE)).verdict == "certified"
        assert not path.exists()
    else:
        with pytest.raises(CertificateRefused, match=f"{place} {PLACES[place]}"):
            toys.carry(workspace, on_step=toys.doing(copy, Action.PURGE))
        assert toys.is_open(workspace)
        path.unlink()
        with pytest.raises(CertificateRefused, match=f"what was purged is back: {place}"):
            toys.carry(workspace, on_step=toys.doing(copy, Action.REPORT))
        path.unlink()
        assert toys.carry(workspace).verdict == "certified"
    tally("liars", f"a copy at {place}", where="stores", caught=True)


class Idle(Registrar):
    """A registry that says it moved the alias and serves what it served."""

    def __init__(self, serves: str) -> None:
        self.serves = serves

    def served(self, release: str) -> dict[str, str]:
        """The old release, whatever was adopted."""
        return {"live": self.serves}


def test_a_release_alias_that_never_moved(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])
    with pytest.raises(CertificateRefused, match="is not what was adopted"):
        toys.carry(workspace, registrar=Idle(toys.served(workspace, toys.RELEASE)))
    assert toys.is_open(workspace)
    tally("liars", "alias never moved", where="stores", caught=True)


# The data comes back under another name -------------------------------------------------------------------------------


def test_a_shard_renamed_and_used_again_before_the_removal(workspace: Workspace, tmp_path: Path) -> None:
    """The very same items are refused under another name; with one changed, the rest is known by its bytes."""
    with pytest.raises(LineageError, match="these very items are recorded"):
        again(workspace, tmp_path, "shard-9", people="nobody")
    again(workspace, tmp_path, "shard-9", people="nobody", rows=11)
    toy = toys.toy_of("averages", 3)
    toys.train(workspace, replace(toy, spec=replace(toy.spec, release="other", shards=("shard-1", "shard-9"))))
    old = toys.bytes_by_name(workspace, "other")["other/mean/shard-9"]
    assert toys.remove(workspace, [toys.person(workspace, *WHO)]).verdict == "certified"
    caught = toys.live_shards(workspace)["shard-9"].count == 8 and not workspace.objects.exists(old)
    tally("liars", "shard renamed, before", where="data", caught=caught)
    assert caught


def test_a_shard_renamed_and_used_again_after_the_removal(workspace: Workspace, tmp_path: Path) -> None:
    toys.remove(workspace, [toys.person(workspace, *WHO)])
    with pytest.raises(LineageError, match="withdrawn by request"):
        again(workspace, tmp_path, "shard-9", people="nobody")
    tally("liars", "shard renamed, after", where="data", caught=True)


def again(workspace: Workspace, folder: Path, name: str, *, people: str, rows: int = 12) -> None:
    """Add the first items of the third shard again, under other names."""
    items = toys.toy_of("averages", 3).items["shard-3"]
    arrays = {field: array[:rows] for field, array in items.arrays.items()}
    folder.mkdir(exist_ok=True)
    keys = np.array([f"{name}-{row}" for row in range(rows)])
    np.savez(folder / f"{name}.npz", key=keys, subject=np.array([people] * rows), **arrays)
    add_shard(
        workspace, folder / f"{name}.npz", name=name, key="key", subject="subject", source="elsewhere", license="MIT",
        legal_basis="consent", check=False, dvc=False,
    )  # fmt: skip


def alike(folder: Path) -> Workspace:
    """A trained workspace with likenesses, and in another shard a near-duplicate of an item that is to go."""
    workspace = lookalikes.trained(folder)
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    return workspace


def test_a_near_duplicate_left_in_another_shard(tmp_path: Path) -> None:
    """It has another digest, so no search by digest finds it; what it looks like stops the plan."""
    workspace = alike(tmp_path)
    with pytest.raises(DisgorgeError, match="1 item of shard-2 look"):
        plan_request(workspace, "R-1")
    assert toys.is_open(workspace)
    tally("liars", "near-duplicate left, from the start", where="data", caught=True)


@pytest.mark.parametrize(
    "moment", [Action.PURGE, Action.WITHDRAW_ITEMS, Action.REPORT][: amount(1, 3)], ids=lambda action: action.value
)
def test_a_near_duplicate_put_into_another_shard_meanwhile(tmp_path: Path, moment: Action) -> None:
    workspace = alike(tmp_path)
    picture = lookalikes.toy().items["shard-3"].arrays["picture"][WHO[1] * 3 + 1]
    lookalikes.judge(workspace, same=True)
    toys.decide(workspace)
    toys.approved(workspace)

    def put_in() -> None:
        lookalikes.add_copies(workspace, tmp_path, "shard-9", [lookalikes.noisy(picture)])

    with pytest.raises(DisgorgeError, match=r"1 item of shard-9 look"):
        toys.carry(workspace, on_step=toys.doing(put_in, moment))
    assert toys.is_open(workspace)
    tally("liars", f"near-duplicate left, before {moment.value}", where="data", caught=True)


# Borrowed and forged evidence -----------------------------------------------------------------------------------------


def test_evidence_copied_from_another_request(workspace: Workspace) -> None:
    one = toys.remove(workspace, [toys.person(workspace, *WHO)])
    two = toys.remove(workspace, [toys.person(workspace, "shard-2", 0)], request_id="R-2")
    for name in ("evidence.json", "plan.json", "ledger-slice.jsonl", "request.json"):
        kept = (two.bundle / name).read_bytes()
        (two.bundle / name).write_bytes((one.bundle / name).read_bytes())
        with pytest.raises(BundleBroken, match=name):
            verify_bundle(two.bundle)
        (two.bundle / name).write_bytes(kept)
    assert verify_bundle(two.bundle).verdict == "certified"
    tally("liars", "evidence copied", where="evidence", caught=True)


def entered(plan: Plan, step: Step, result: Result) -> tuple[str, dict[str, Any]]:
    """The fact that a step is done, entered by hand."""
    action = step.action.value
    return "step", {"plan": plan.digest, "step": step.id, "action": action, "result": plain(result), "seconds": 1.0}


def test_an_examination_borrowed_from_another_request(workspace: Workspace) -> None:
    """The probe step is entered by hand, with what another removal from the same release was shown to be."""
    toys.remove(workspace, [toys.person(workspace, *WHO)])
    borrowed = list(workspace.ledger.facts("examination"))[-1].body["examination"]
    plan = toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)], request_id="R-2")

    def enter() -> None:
        probe, composed = plan.step_for(Action.PROBE, toys.RELEASE), plan.step_for(Action.RECOMPOSE, toys.RELEASE)
        after = case_of(workspace, "R-2").result(plan.digest, composed, Recomposed).after
        body = {"plan": plan.digest, "release": toys.RELEASE, "examination": borrowed}
        workspace.ledger.append_all([("examination", body), entered(plan, probe, Probed(borrowed, after))])
        toys.kill()

    with pytest.raises(toys.StoppedError):
        toys.carry(workspace, "R-2", on_step=toys.doing(enter, Action.PROBE))
    with pytest.raises(CertificateRefused, match="about other parts"):
        toys.carry(workspace, "R-2")
    tally("liars", "examination borrowed", where="evidence", caught=True)


def test_a_re_execution_entered_by_hand_is_not_believed(workspace: Workspace) -> None:
    """Old weights under the new recipe, and a fact that says the recipe was executed and reached them."""
    old = toys.bytes_by_name(workspace, toys.RELEASE)[PART]
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def forge() -> None:
        component, composition = toys.component_of(workspace, PART), toys.composition_of(workspace)
        noise = {name: t * 1.00001 if t.dtype.kind == "f" else t for name, t in tensors_of(workspace, old).items()}
        digest = workspace.objects.put(save_tensors(noise))
        fake = replace(component, digest=digest)
        members = [m if m.name != PART else replace(m, component=digest) for m in composition.members]
        made = replace(composition, members=in_member_order(members))
        plan = plan_of(workspace, case_of(workspace, "R-1"))
        step = plan.step_for(Action.RECOMPOSE, toys.RELEASE)
        workspace.ledger.append_all([
            ("component", {"component": plain(fake)}),
            ("composition", {"composition": plain(made)}),
            ("reexecuted", {"recipe": fake.recipe_digest, "component": digest, "alone": True}),
            entered(plan, step, Recomposed(composition.digest, made.digest)),
        ])  # fmt: skip
        toys.kill()

    with pytest.raises(toys.StoppedError):
        toys.carry(workspace, on_step=toys.doing(forge, Action.RECOMPOSE))
    with pytest.raises(CertificateRefused, match="never-trained is fail"):
        toys.carry(workspace)
    tally("liars", "re-execution forged", where="evidence", caught=True)


def test_steps_entered_by_hand_are_no_removal(workspace: Workspace) -> None:
    """Every step but the report is said to be done, and nothing was."""
    plan = toys.granted_plan(workspace, [toys.person(workspace, *WHO)])

    def enter() -> None:
        digest = plan.lineage_head
        residue = Check("residue", "R-1", "?", "!", 0, 0, 1, Verdict.PASS)
        results = {
            Action.WITHDRAW_ITEMS: ItemsWithdrawn(1, 1, 1),
            Action.RETRAIN: Retrained(digest, digest, Cost()),
            Action.RECOMPOSE: Recomposed(digest, digest),
            Action.PROBE: Probed(digest, digest),
            Action.ADOPT: Adopted(digest),
            Action.PURGE: Purged(residue, ()),
        }
        done = [entered(plan, step, results.get(step.action, Result())) for step in plan.steps[:-1]]
        workspace.ledger.append_all(done)
        toys.kill()

    with pytest.raises(toys.StoppedError):
        toys.carry(workspace, on_step=toys.doing(enter, Action.CONTAIN))
    with contextlib.suppress(KeyError), pytest.raises((DisgorgeError, LineageError)):
        toys.carry(workspace)
    assert toys.is_open(workspace)
    tally("liars", "steps forged", where="evidence", caught=True)

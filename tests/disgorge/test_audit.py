"""Each rule of the audit against a workspace that breaks it and one that does not."""

import datetime as dt
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from disgorge.audit.findings import Level, exit_code
from disgorge.audit.rules import audit
from disgorge.plan.details import Part, PartsDetail
from disgorge.plan.plan import Action, Plan, Step
from disgorge.request.withdrawn.forget_list import ForgetList
from lineage.formats.read import Intake
from lineage.private_files import KINDS, PrivateFile, SourceFile
from lineage.records import (
    Component,
    Composition,
    Cost,
    Member,
    Role,
    Selector,
    Shard,
    ShardChange,
    Use,
    canonical,
    in_member_order,
    plain,
    shard_digest,
)
from lineage.shards.add import add_items, shard_rows
from lineage.shards.cut import cut_shard
from lineage.storage.content import read_content, write_content
from lineage.storage.manifest import read_manifest, write_manifest
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from policies.decision import Decision, Owed
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Guarantee, Outcome, Scope
from tests.toys import audited

TODAY = dt.date(2026, 11, 10)
DEADLINE = dt.date(2026, 12, 2)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace with two shards, three components and a release, all in order."""
    workspace = Workspace.init(tmp_path / "workspace", clock=lambda: dt.datetime(2026, 11, 10, 9, tzinfo=dt.UTC))
    alice, bob = shard(workspace, "alice", [1.0, 2.0, 3.0]), shard(workspace, "bob", [4.0, 5.0])
    base = component(workspace, "base", [Use(bob.digest, Role.TRAIN)])
    scale = component(workspace, "scale", [Use(alice.digest, Role.NORMALIZE)])
    head = component(workspace, "head", [Use(base.digest, Role.INITIALIZE), Use(scale.digest, Role.NORMALIZE)])
    release(workspace, "digits", base, scale, head)
    return workspace


def shard(
    workspace: Workspace, name: str, values: list[float], *, license: str | None = "MIT", again: bool = False
) -> Shard:
    """Record a shard of numbers."""
    nobody = (None,) * len(values)
    keys = tuple(f"{name}-{row}" for row in range(len(values)))
    intake = Intake(name, {"x": np.array(values)}, keys, nobody, nobody, nobody, keys)
    with mock.patch("lineage.shards.add.withdrawn_rows", return_value=[]) if again else nullcontext():
        return add_items(workspace, intake, name=name, license=license, check=False, dvc=False).shard


def component(
    workspace: Workspace, name: str, uses: list[Use], *, seed: int = 0, recipe: dict[str, object] | None = None
) -> Component:
    """Record a component whose bytes follow from its name and a seed."""
    digest = workspace.objects.put(save_tensors({"w": np.frombuffer(f"{name}{seed}".encode(), np.uint8)}))
    made = Component(digest, name, "toy", tuple(uses), recipe or {})
    workspace.ledger.append("component", {"component": plain(made)})
    return made


def release(workspace: Workspace, name: str, *components: Component) -> Composition:
    """Compose and release components."""
    members = in_member_order(Member(part.name, part.digest) for part in components)
    composition = Composition("toy", {}, members)
    workspace.ledger.append("composition", {"composition": plain(composition)})
    workspace.ledger.append("release", {"name": name, "alias": "live", "composition": composition.digest})
    return composition


def named(workspace: Workspace, name: str) -> Component:
    """Return the last component recorded under a name."""
    bodies = [
        fact.body["component"] for fact in workspace.ledger.facts("component") if fact.body["component"]["name"] == name
    ]
    uses = tuple(Use(use["digest"], Role(use["role"])) for use in bodies[-1]["uses"])
    return Component(bodies[-1]["digest"], name, "toy", uses)


def live_shard(workspace: Workspace, name: str) -> Shard:
    """Return a shard by name."""
    from lineage.shards.add import live_shards

    return next(found for found in live_shards(workspace) if found.name == name)


def file_request(
    workspace: Workspace, *, outcome: Outcome | None = Outcome.GRANTED, deadline: dt.date = DEADLINE
) -> None:
    """File request R-1 and decide it."""
    request = RemovalRequest(
        "R-1", Standing.CONTRIBUTOR, Defect.CONTRACT, "contract", (Selector("shard", "alice"),), dt.date(2026, 11, 2)
    )
    workspace.ledger.append("request", {"request": plain(request)})
    if outcome is not None:
        owed = Owed(Guarantee.EXACT, (), Scope.INFLUENCE, deadline, None, 1, (), (), None)
        decision = Decision("R-1", outcome, "contract", owed, None, (), "ab" * 32, dt.date(2026, 11, 3))
        workspace.ledger.append("decision", {"request": "R-1", "decision": plain(decision)})


def withdraw_alice(workspace: Workspace) -> Shard:
    """Cut the first item out of alice's shard as an execution does, up to and including withdraw-items."""
    before = live_shard(workspace, "alice")
    items = shard_rows(workspace, before.digest)
    left = [item.digest for item in items[1:]]
    after = replace(before, digest=shard_digest(left), count=len(left), derived_from=before.digest)
    steps = tuple(
        Step(
            name,
            Action.RETRAIN,
            name,
            "digits",
            Guarantee.EXACT,
            Cost(),
            "",
            detail=PartsDetail((Part(name, named(workspace, name).digest),)),
        )
        for name in ("scale", "head")
    )
    plan = Plan("R-1", "", workspace.ledger.lineage_head(), Guarantee.EXACT, steps, (), 1, None, Cost())
    workspace.objects.put(canonical(plan))
    impact = workspace.objects.put(canonical({"of": "what is read elsewhere"}))
    workspace.ledger.append("plan", {"request": "R-1", "plan": plan.digest, "impact": impact})
    workspace.ledger.append("release-contained", {"name": "digits", "alias": "live", "request": "R-1"})
    ForgetList(workspace, plan.digest).remember([items[0].digest], {})
    cut = cut_shard(workspace, ShardChange(before, after, 1), [items[0].digest])
    assert cut is not None
    workspace.mark_withdrawn([items[0].digest])
    body = {"shard": before.digest, "name": "alice", "after": after.digest, "removed": 1, "request": "R-1"}
    workspace.ledger.append_all([("shard", {"shard": plain(cut)}), ("shard-withdrawn", body | {"plan": plan.digest})])
    return before


def finish_removal(workspace: Workspace) -> None:
    """Train what learned from alice again, release it and close the request."""
    alice, base = live_shard(workspace, "alice"), named(workspace, "base")
    for name in ("scale", "head"):
        workspace.ledger.append(
            "component-retired", {"name": name, "component": named(workspace, name).digest, "after": None}
        )
    scale = component(workspace, "scale", [Use(alice.digest, Role.NORMALIZE)], seed=1)
    head = component(workspace, "head", [Use(base.digest, Role.INITIALIZE), Use(scale.digest, Role.NORMALIZE)], seed=1)
    release(workspace, "digits", base, scale, head)
    workspace.ledger.append("request-closed", {"request": "R-1", "outcome": "done"})


def test_a_workspace_in_order_has_no_findings(workspace: Workspace) -> None:
    assert audit(workspace) == ()


def test_a_whole_removal_is_clean_at_every_point(workspace: Workspace) -> None:
    file_request(workspace)
    assert audit(workspace) == ()
    withdraw_alice(workspace)
    assert audit(workspace) == ()
    finish_removal(workspace)
    assert audit(workspace) == ()


def test_an_unregistered_input_is_found_through_other_components(workspace: Workspace) -> None:
    odd = component(workspace, "odd", [Use("ab" * 32, Role.SELECT)])
    component(workspace, "on-odd", [Use(odd.digest, Role.DISTILL)])
    findings = audit(workspace)
    assert audited(workspace) == {("DSG001", "error", "odd"), ("DSG001", "error", "on-odd")}
    assert "on-odd (distill) <- odd (select)" in next(f.words for f in findings if f.where == "on-odd")


def test_an_input_only_the_recipe_names_is_found(workspace: Workspace) -> None:
    alice = live_shard(workspace, "alice")
    recipe: dict[str, object] = {"uses": [{"of": "shard", "digest": alice.digest, "role": "train"}]}
    component(workspace, "sly", [Use(live_shard(workspace, "bob").digest, Role.TRAIN)], recipe=recipe)
    assert audited(workspace) == {("DSG001", "error", "sly")}


def test_a_release_of_nothing_recorded_is_found(workspace: Workspace) -> None:
    workspace.ledger.append("release", {"name": "ghost", "alias": "live", "composition": "cd" * 32})
    release(workspace, "odd", Component("ef" * 32, "nobody", "toy", ()))
    assert audited(workspace) == {("DSG001", "error", "ghost@live"), ("DSG001", "error", "odd@live")}


def flip_weight(workspace: Workspace) -> None:
    """Change one bit of the last weight."""
    path = workspace.objects.path(named(workspace, "head").digest)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def lose_row(workspace: Workspace) -> None:
    """Leave an item out of a manifest."""
    path = workspace.manifest_path(live_shard(workspace, "alice").digest)
    write_manifest(path, read_manifest(path)[1:])


def change_value(workspace: Workspace) -> None:
    """Change one value of an item and keep all digests."""
    path = workspace.content_path(live_shard(workspace, "alice").digest)
    digests, arrays = read_content(path)
    write_content(path, digests, {"x": arrays["x"] + np.array([0, 0, 1e-9])})


@pytest.mark.parametrize(("change", "where"), [(flip_weight, "head"), (lose_row, "alice"), (change_value, "alice")])
def test_changed_bytes_are_found(workspace: Workspace, change: Callable[[Workspace], None], where: str) -> None:
    change(workspace)
    assert audited(workspace) == {("DSG002", "error", where)}


def test_content_swapped_for_another_shards_is_found(workspace: Workspace) -> None:
    shutil.copy(*(workspace.content_path(live_shard(workspace, name).digest) for name in ("bob", "alice")))
    assert audited(workspace) == {("DSG002", "error", "alice")}


def test_content_that_dvc_keeps_elsewhere_is_a_warning(workspace: Workspace) -> None:
    """On a machine that never ran ``dvc pull`` the gate says so and stays open."""
    carol = replace(shard(workspace, "carol", [9.0]), dvc="0" * 32)
    workspace.ledger.append("shard", {"shard": plain(carol)})
    workspace.content_path(carol.digest).unlink()
    assert audited(workspace) == {("DSG002", "warning", "carol")}


def test_weights_kept_elsewhere_are_a_note(workspace: Workspace) -> None:
    """An adopted model may live in another store; that it was not checked is said."""
    part = Component(
        "12" * 32, "adopted", "toy", (Use(live_shard(workspace, "bob").digest, Role.TRAIN),), locations=("s3",)
    )
    workspace.ledger.append("component", {"component": plain(part)})
    assert audited(workspace) == {("DSG002", "note", "adopted")}


def test_training_on_a_withdrawn_shard_is_found(workspace: Workspace) -> None:
    """The bad case: a model quietly trained again on what was withdrawn, in any role, through any component."""
    file_request(workspace)
    before = withdraw_alice(workspace)
    finish_removal(workspace)
    quiet = component(workspace, "quiet", [Use(before.digest, Role.SELECT)])
    distilled = component(workspace, "distilled", [Use(quiet.digest, Role.DISTILL)])
    release(workspace, "shadow", distilled)
    findings = audit(workspace)
    assert audited(workspace) == {
        ("DSG003", "error", "quiet"),
        ("DSG003", "error", "distilled"),
        ("DSG005", "error", "shadow@live"),
    }
    assert exit_code(findings) == 1
    assert all("R-1" in finding.words for finding in findings if finding.id == "DSG003")


def test_training_during_an_execution_is_no_part_of_it(workspace: Workspace) -> None:
    file_request(workspace)
    before = withdraw_alice(workspace)
    component(workspace, "late", [Use(before.digest, Role.TRAIN)])
    assert audited(workspace) == {("DSG003", "error", "late")}


def test_a_component_the_plan_forgot_is_found(workspace: Workspace) -> None:
    file_request(workspace)
    component(workspace, "forgotten", [Use(live_shard(workspace, "alice").digest, Role.CALIBRATE)])
    withdraw_alice(workspace)
    assert audited(workspace) == {("DSG003", "error", "forgotten")}


def test_an_execution_that_never_ends_is_excused_until_its_deadline(workspace: Workspace) -> None:
    file_request(workspace)
    withdraw_alice(workspace)
    assert audited(workspace, today=DEADLINE) == set()
    late = audited(workspace, today=DEADLINE + dt.timedelta(days=1))
    assert late == {("DSG003", "error", "scale"), ("DSG003", "error", "head"), ("DSG006", "error", "R-1")}


def test_a_request_closed_without_removal_excuses_nothing(workspace: Workspace) -> None:
    file_request(workspace)
    withdraw_alice(workspace)
    workspace.ledger.append("request-closed", {"request": "R-1", "outcome": "done"})
    assert audited(workspace) == {("DSG003", "error", "scale"), ("DSG003", "error", "head")}


def test_a_withdrawn_item_that_comes_back_is_found(workspace: Workspace) -> None:
    file_request(workspace)
    withdraw_alice(workspace)
    finish_removal(workspace)
    shard(workspace, "mallory", [1.0, 2.0, 3.0, 7.0], again=True)
    findings = audit(workspace)
    assert audited(workspace) == {("DSG004", "error", "mallory")}
    assert "1 of 4" in findings[0].words


def test_without_the_private_list_the_audit_says_it_could_not_look(workspace: Workspace) -> None:
    """CI has no private folder: silence there would be a claim."""
    file_request(workspace)
    withdraw_alice(workspace)
    finish_removal(workspace)
    shutil.rmtree(workspace.home / "private")
    assert audited(Workspace.open(workspace.root), today=TODAY) == {("DSG004", "warning", "workspace")}
    assert not lost(Workspace.open(workspace.root)), "a copy that CI has never holds it"


def test_a_release_with_a_retired_component_is_found(workspace: Workspace) -> None:
    workspace.ledger.append(
        "component-retired", {"name": "head", "component": named(workspace, "head").digest, "after": None}
    )
    assert audited(workspace) == {("DSG005", "error", "digits@live")}
    workspace.ledger.append("release-contained", {"name": "digits", "alias": "live", "request": ""})
    assert audit(workspace) == ()


def test_a_contained_release_put_back_is_found(workspace: Workspace) -> None:
    file_request(workspace)
    composition = [fact.body["composition"] for fact in workspace.ledger.facts("release")][-1]
    workspace.ledger.append("release-contained", {"name": "digits", "alias": "live", "request": "R-1"})
    assert audit(workspace) == ()
    workspace.ledger.append("release", {"name": "digits", "alias": "live", "composition": composition})
    assert audited(workspace) == {("DSG005", "error", "digits@live")}


def test_deadlines(workspace: Workspace) -> None:
    file_request(workspace, deadline=TODAY)
    assert audit(workspace) == ()
    tomorrow = TODAY + dt.timedelta(days=1)
    assert audited(workspace, today=tomorrow) == {("DSG006", "error", "R-1")}
    workspace.ledger.append("deadline-extended", {"request": "R-1", "until": tomorrow.isoformat(), "reason": "complex"})
    assert audit(workspace, today=tomorrow) == ()


def test_a_request_on_hold_is_a_note(workspace: Workspace) -> None:
    file_request(workspace, deadline=dt.date(2026, 11, 5))
    workspace.ledger.append("hold", {"request": "R-1", "on": True, "reason": "litigation"})
    findings = audit(workspace)
    assert audited(workspace) == {("DSG009", "note", "R-1")}
    assert exit_code(findings) == 0
    workspace.ledger.append("hold", {"request": "R-1", "on": False, "reason": "settled"})
    assert audited(workspace) == {("DSG006", "error", "R-1")}


@pytest.mark.parametrize(("outcome", "level"), [(Outcome.DENIED, None), (Outcome.ON_HOLD, Level.NOTE)])
def test_decisions_that_owe_nothing_yet(workspace: Workspace, outcome: Outcome, level: Level | None) -> None:
    file_request(workspace, outcome=outcome, deadline=dt.date(2026, 11, 5))
    assert [finding.level for finding in audit(workspace)] == ([level] if level else [])


def test_a_request_nobody_decides_becomes_overdue(workspace: Workspace) -> None:
    file_request(workspace, outcome=None)
    assert audit(workspace) == ()
    assert audited(workspace, today=dt.date(2026, 12, 1)) == {("DSG006", "error", "R-1")}


def test_missing_licenses_and_bases_are_warnings(workspace: Workspace) -> None:
    shard(workspace, "carol", [8.0], license=None)
    core = replace(shard(workspace, "core", [9.0]), core=True, legal_basis=None)
    workspace.ledger.append("shard", {"shard": plain(core)})
    findings = audit(workspace)
    assert audited(workspace) == {("DSG008", "warning", "carol"), ("DSG008", "warning", "core")}
    assert exit_code(findings) == 0


def edit_line(path: Path) -> None:
    """Rewrite one word in the middle of the ledger."""
    path.write_bytes(path.read_bytes().replace(b'"name":"alice"', b'"name":"alicf"', 1))


@pytest.mark.parametrize("harm", [edit_line, Path.unlink])
def test_a_broken_ledger_is_the_only_finding(workspace: Workspace, harm: Callable[[Path], None]) -> None:
    harm(workspace.home / "ledger.jsonl")
    findings = audit(Workspace.open(workspace.root), today=TODAY)
    assert audited(Workspace.open(workspace.root), today=TODAY) == {("DSG007", "error", "ledger")}
    assert findings[0].next
    assert exit_code(findings) == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("shard", {"shard": {"digest": "ab"}}),
        ("request", {"request": {"id": "R-2", "selectors": []}}),
        ("decision", {"request": "R-1", "decision": {"outcome": "perhaps"}}),
        ("shard-withdrawn", {"name": "alice"}),
        ("component", {"component": 7}),
    ],
)
def test_facts_of_an_unknown_form_are_a_broken_ledger(workspace: Workspace, kind: str, body: dict[str, object]) -> None:
    file_request(workspace)
    workspace.ledger.append(kind, body)
    assert audited(workspace) == {("DSG007", "error", "ledger")}


def lost(workspace: Workspace) -> list[tuple[str, str]]:
    """Return what an audit says is lost of the private folder: where, and what to do."""
    return [(found.where, found.next) for found in audit(workspace, today=TODAY) if found.id == "DSG011"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"selectors": 1, "items": 1}', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("name", [kind.pattern.replace("*", "a") for kind in KINDS])
def test_a_damaged_private_file_is_named_with_a_way_out(workspace: Workspace, name: str, data: bytes) -> None:
    path = workspace.home / "private" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    ((where, remedy),) = lost(workspace)
    assert where == f"private/{name}"
    assert re.match(r"restore (it from a backup of )?the private folder(, or| and resume)", remedy)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.pattern)
def test_every_kind_of_private_file_is_read_as_it_was_written_and_missed_when_cut_short(
    workspace: Workspace, kind: PrivateFile[Any]
) -> None:
    value = build_kind(kind)
    kind.write(workspace, value, "a")
    assert kind.read(workspace, "a") == value
    assert not lost(workspace)
    path = kind.path(workspace, "a")
    path.write_bytes(path.read_bytes()[:-1])
    assert [where for where, _ in lost(workspace)] == [path.relative_to(workspace.home).as_posix()]
    assert kind.erase(workspace, "a")
    assert kind.read(workspace, "a") is None
    assert not kind.erase(workspace, "a")


def build_kind(kind: PrivateFile[Any]) -> Any:
    values: dict[str, Any] = {
        "request": "R-1", "salt": "ab", "selectors": {"ab": "1.png"}, "particulars": {"name": "Ada"}, "items": ["ab"],
        "named": ["x"], "still_there": [], "registered": [{"name": "y"}], "path": Path("page.html"), "on": "2026-03-02",
        "sources": [SourceFile(Path("a.csv"), (("", 1, "ab"),), None)], "marks": ["ab"],
        "rows": {"ab": ["cd"]},
    }  # fmt: skip
    if not is_dataclass(kind.form):
        return {"ab": {"erased": ["cd"]}}
    return kind.form(**{field.name: values[field.name] for field in fields(kind.form) if field.name in values})


def test_records_that_facts_name_are_missed(workspace: Workspace) -> None:
    """Of an open request they are errors, of a closed one warnings: its report cannot be written again."""
    file_request(workspace)
    withdraw_alice(workspace)
    plan = next(workspace.ledger.facts("plan")).body["plan"]
    workspace.ledger.append("plan", {"request": "R-1", "plan": plan, "impact": "a" * 64})
    workspace.ledger.append("examination", {"plan": plan, "release": "digits", "examination": "b" * 64})
    workspace.ledger.append("examination", {"plan": "c" * 64, "release": "digits", "examination": "d" * 64})
    found = [finding for finding in audit(workspace, today=TODAY) if finding.where == "R-1"]
    assert [(f.id, f.level, f.words.split()[1], "resumed" in f.words) for f in found] == [
        ("DSG002", Level.ERROR, "examination", True),
        ("DSG002", Level.ERROR, "impact", True),
    ]
    workspace.ledger.append("request-closed", {"request": "R-1", "outcome": "done"})
    found = [finding for finding in audit(workspace, today=TODAY) if finding.where == "R-1"]
    assert [(f.level, "written again" in f.words) for f in found] == [(Level.WARNING, True)] * 2

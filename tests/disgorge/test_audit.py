"""Each rule of the audit against a workspace that breaks it and one that does not."""

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disgorge.audit import audit
from disgorge.audit.findings import Finding, Level, exit_code
from disgorge.plan.plan import Action, Plan, Step
from disgorge.request.forget_list import ForgetList
from lineage.formats.read import Intake
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
from lineage.storage.objects import save_tensors
from lineage.workspace import Ledger
from policies.decision import Decision, Owed
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Guarantee, Outcome, Scope

TODAY = dt.date(2026, 11, 10)
DEADLINE = dt.date(2026, 12, 2)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a workspace with two shards, three components and a release, all in order."""
    ledger = Ledger.init(tmp_path / "workspace", clock=lambda: dt.datetime(2026, 11, 10, 9, tzinfo=dt.UTC))
    alice, bob = shard(ledger, "alice", [1.0, 2.0, 3.0]), shard(ledger, "bob", [4.0, 5.0])
    base = component(ledger, "base", [Use(bob.digest, Role.TRAIN)])
    scale = component(ledger, "scale", [Use(alice.digest, Role.NORMALIZE)])
    head = component(ledger, "head", [Use(base.digest, Role.INITIALIZE), Use(scale.digest, Role.NORMALIZE)])
    release(ledger, "digits", base, scale, head)
    return ledger


def shard(ledger: Ledger, name: str, values: list[float], *, license: str | None = "MIT", again: bool = False) -> Shard:
    """Record a shard of numbers."""
    nobody = (None,) * len(values)
    keys = tuple(f"{name}-{row}" for row in range(len(values)))
    intake = Intake(name, {"x": np.array(values)}, keys, nobody, nobody, nobody, keys)
    return add_items(ledger, intake, name=name, license=license, check=False, dvc=False, allow_withdrawn=again).shard


def component(
    ledger: Ledger, name: str, uses: list[Use], *, seed: int = 0, recipe: dict[str, object] | None = None
) -> Component:
    """Record a component whose bytes follow from its name and a seed."""
    digest = ledger.objects.put(save_tensors({"w": np.frombuffer(f"{name}{seed}".encode(), np.uint8)}))
    made = Component(digest, name, "toy", tuple(uses), recipe or {})
    ledger.append("component", {"component": plain(made)})
    return made


def release(ledger: Ledger, name: str, *components: Component) -> Composition:
    """Compose and release components."""
    members = in_member_order(Member(part.name, part.digest) for part in components)
    composition = Composition("toy", {}, members)
    ledger.append("composition", {"composition": plain(composition)})
    ledger.append("release", {"name": name, "alias": "live", "composition": composition.digest})
    return composition


def named(ledger: Ledger, name: str) -> Component:
    """Return the last component recorded under a name."""
    bodies = [fact.body["component"] for fact in ledger.facts("component") if fact.body["component"]["name"] == name]
    uses = tuple(Use(use["digest"], Role(use["role"])) for use in bodies[-1]["uses"])
    return Component(bodies[-1]["digest"], name, "toy", uses)


def live_shard(ledger: Ledger, name: str) -> Shard:
    """Return a shard by name."""
    from lineage.shards.add import live_shards

    return next(found for found in live_shards(ledger) if found.name == name)


def file_request(ledger: Ledger, *, outcome: Outcome | None = Outcome.GRANTED, deadline: dt.date = DEADLINE) -> None:
    """File request R-1 and decide it."""
    request = RemovalRequest(
        "R-1", Standing.CONTRIBUTOR, Defect.CONTRACT, "contract", (Selector("shard", "alice"),), dt.date(2026, 11, 2)
    )
    ledger.append("request", {"request": plain(request)})
    if outcome is not None:
        owed = Owed(Guarantee.EXACT, (), Scope.INFLUENCE, deadline, None, 1, (), (), None)
        decision = Decision("R-1", outcome, "contract", owed, None, (), "ab" * 32, dt.date(2026, 11, 3))
        ledger.append("decision", {"request": "R-1", "decision": plain(decision)})


def withdraw_alice(ledger: Ledger) -> Shard:
    """Cut the first item out of alice's shard as an execution does, up to and including withdraw-items."""
    before = live_shard(ledger, "alice")
    items = shard_rows(ledger, before.digest)
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
            detail={"components": [named(ledger, name).digest], "names": [name]},
        )
        for name in ("scale", "head")
    )
    plan = Plan("R-1", "", ledger.lineage_head(), Guarantee.EXACT, steps, (), 1, None, Cost())
    ledger.objects.put(canonical(plan))
    impact = ledger.objects.put(canonical({"of": "what is read elsewhere"}))
    ledger.append("plan", {"request": "R-1", "plan": plan.digest, "impact": impact})
    ledger.append("release-contained", {"name": "digits", "alias": "live", "request": "R-1"})
    ForgetList(ledger, plan.digest).remember([items[0].digest], {})
    cut = cut_shard(ledger, ShardChange(before, after, 1), [items[0].digest])
    assert cut is not None
    ledger.mark_withdrawn([items[0].digest])
    body = {"shard": before.digest, "name": "alice", "after": after.digest, "removed": 1, "request": "R-1"}
    ledger.append_all([("shard", {"shard": plain(cut)}), ("shard-withdrawn", body | {"plan": plan.digest})])
    return before


def finish_removal(ledger: Ledger) -> None:
    """Train what learned from alice again, release it and close the request."""
    alice, base = live_shard(ledger, "alice"), named(ledger, "base")
    for name in ("scale", "head"):
        ledger.append("component-retired", {"name": name, "component": named(ledger, name).digest, "after": None})
    scale = component(ledger, "scale", [Use(alice.digest, Role.NORMALIZE)], seed=1)
    head = component(ledger, "head", [Use(base.digest, Role.INITIALIZE), Use(scale.digest, Role.NORMALIZE)], seed=1)
    release(ledger, "digits", base, scale, head)
    ledger.append("request-closed", {"request": "R-1", "outcome": "done"})


def ids(findings: tuple[Finding, ...]) -> set[tuple[str, str, str]]:
    """Return identifier, level and subject of each finding."""
    return {(finding.id, finding.level.value, finding.where) for finding in findings}


def test_a_workspace_in_order_has_no_findings(ledger: Ledger) -> None:
    """Nothing is made up."""
    assert audit(ledger) == ()


def test_a_whole_removal_is_clean_at_every_point(ledger: Ledger) -> None:
    """While an execution is under way, in time, and after it, nobody is alarmed."""
    file_request(ledger)
    assert audit(ledger) == ()
    withdraw_alice(ledger)
    assert audit(ledger) == ()
    finish_removal(ledger)
    assert audit(ledger) == ()


def test_an_unregistered_input_is_found_through_other_components(ledger: Ledger) -> None:
    """A digest nobody recorded shows at whatever rests on it."""
    odd = component(ledger, "odd", [Use("ab" * 32, Role.SELECT)])
    component(ledger, "on-odd", [Use(odd.digest, Role.DISTILL)])
    findings = audit(ledger)
    assert ids(findings) == {("DSG001", "error", "odd"), ("DSG001", "error", "on-odd")}
    assert "on-odd (distill) <- odd (select)" in next(f.words for f in findings if f.where == "on-odd")


def test_an_input_only_the_recipe_names_is_found(ledger: Ledger) -> None:
    """A component cannot hide a use by leaving it out of its record."""
    alice = live_shard(ledger, "alice")
    recipe: dict[str, object] = {"uses": [{"of": "shard", "digest": alice.digest, "role": "train"}]}
    component(ledger, "sly", [Use(live_shard(ledger, "bob").digest, Role.TRAIN)], recipe=recipe)
    assert ids(audit(ledger)) == {("DSG001", "error", "sly")}


def test_a_release_of_nothing_recorded_is_found(ledger: Ledger) -> None:
    """A composition or a member that the ledger does not know is served blindly."""
    ledger.append("release", {"name": "ghost", "alias": "live", "composition": "cd" * 32})
    release(ledger, "odd", Component("ef" * 32, "nobody", "toy", ()))
    assert ids(audit(ledger)) == {("DSG001", "error", "ghost@live"), ("DSG001", "error", "odd@live")}


def flip_weight(ledger: Ledger) -> None:
    """Change one bit of the last weight."""
    path = ledger.objects.path(named(ledger, "head").digest)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def lose_row(ledger: Ledger) -> None:
    """Leave an item out of a manifest."""
    path = ledger.manifest_path(live_shard(ledger, "alice").digest)
    write_manifest(path, read_manifest(path)[1:])


def change_value(ledger: Ledger) -> None:
    """Change one value of an item and keep all digests."""
    path = ledger.content_path(live_shard(ledger, "alice").digest)
    digests, arrays = read_content(path)
    write_content(path, digests, {"x": arrays["x"] + np.array([0, 0, 1e-9])})


def truncate(path: Path) -> None:
    """Keep the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FILES: dict[str, Callable[[Ledger], Path]] = {
    "head": lambda ledger: ledger.objects.path(named(ledger, "head").digest),
    "alice": lambda ledger: ledger.manifest_path(live_shard(ledger, "alice").digest),
    "bob": lambda ledger: ledger.content_path(live_shard(ledger, "bob").digest),
}
"""Weights, a manifest and a content, by the name that a finding gives."""


@pytest.mark.parametrize(("change", "where"), [(flip_weight, "head"), (lose_row, "alice"), (change_value, "alice")])
def test_changed_bytes_are_found(ledger: Ledger, change: Callable[[Ledger], None], where: str) -> None:
    """The least change of weights, manifest or content of something live is an error that names it."""
    change(ledger)
    assert ids(audit(ledger)) == {("DSG002", "error", where)}


@pytest.mark.parametrize("change", [truncate, Path.unlink])
@pytest.mark.parametrize("where", FILES)
def test_cut_and_missing_files_are_found(ledger: Ledger, where: str, change: Callable[[Path], None]) -> None:
    """A file of something live that is half there, or not at all, is an error that names it."""
    change(FILES[where](ledger))
    assert ids(audit(ledger)) == {("DSG002", "error", where)}


def test_content_swapped_for_another_shards_is_found(ledger: Ledger) -> None:
    """A file that is whole, but not the one, is no better than a damaged one."""
    shutil.copy(FILES["bob"](ledger), ledger.content_path(live_shard(ledger, "alice").digest))
    assert ids(audit(ledger)) == {("DSG002", "error", "alice")}


def test_content_that_dvc_keeps_elsewhere_is_a_warning(ledger: Ledger) -> None:
    """On a machine that never ran ``dvc pull`` the gate says so and stays open."""
    carol = replace(shard(ledger, "carol", [9.0]), dvc="0" * 32)
    ledger.append("shard", {"shard": plain(carol)})
    ledger.content_path(carol.digest).unlink()
    assert ids(audit(ledger)) == {("DSG002", "warning", "carol")}


def test_weights_kept_elsewhere_are_a_note(ledger: Ledger) -> None:
    """An adopted model may live in another store; that it was not checked is said."""
    part = Component(
        "12" * 32, "adopted", "toy", (Use(live_shard(ledger, "bob").digest, Role.TRAIN),), locations=("s3",)
    )
    ledger.append("component", {"component": plain(part)})
    assert ids(audit(ledger)) == {("DSG002", "note", "adopted")}


def test_training_on_a_withdrawn_shard_is_found(ledger: Ledger) -> None:
    """The bad case: a model quietly trained again on what was withdrawn, in any role, through any component."""
    file_request(ledger)
    before = withdraw_alice(ledger)
    finish_removal(ledger)
    quiet = component(ledger, "quiet", [Use(before.digest, Role.SELECT)])
    distilled = component(ledger, "distilled", [Use(quiet.digest, Role.DISTILL)])
    release(ledger, "shadow", distilled)
    findings = audit(ledger)
    assert ids(findings) == {
        ("DSG003", "error", "quiet"),
        ("DSG003", "error", "distilled"),
        ("DSG005", "error", "shadow@live"),
    }
    assert exit_code(findings) == 1
    assert all("R-1" in finding.words for finding in findings if finding.id == "DSG003")


def test_training_during_an_execution_is_no_part_of_it(ledger: Ledger) -> None:
    """What is trained on the shard after its withdrawal is found although the request is still open."""
    file_request(ledger)
    before = withdraw_alice(ledger)
    component(ledger, "late", [Use(before.digest, Role.TRAIN)])
    assert ids(audit(ledger)) == {("DSG003", "error", "late")}


def test_a_component_the_plan_forgot_is_found(ledger: Ledger) -> None:
    """Only what the plan names is excused while it runs."""
    file_request(ledger)
    component(ledger, "forgotten", [Use(live_shard(ledger, "alice").digest, Role.CALIBRATE)])
    withdraw_alice(ledger)
    assert ids(audit(ledger)) == {("DSG003", "error", "forgotten")}


def test_an_execution_that_never_ends_is_excused_until_its_deadline(ledger: Ledger) -> None:
    """After the deadline the components that should be gone are errors, and the request is overdue."""
    file_request(ledger)
    withdraw_alice(ledger)
    assert ids(audit(ledger, today=DEADLINE)) == set()
    late = ids(audit(ledger, today=DEADLINE + dt.timedelta(days=1)))
    assert late == {("DSG003", "error", "scale"), ("DSG003", "error", "head"), ("DSG006", "error", "R-1")}


def test_a_request_closed_without_removal_excuses_nothing(ledger: Ledger) -> None:
    """Withdrawn shards and an early end: what learned from them is still there."""
    file_request(ledger)
    withdraw_alice(ledger)
    ledger.append("request-closed", {"request": "R-1", "outcome": "done"})
    assert ids(audit(ledger)) == {("DSG003", "error", "scale"), ("DSG003", "error", "head")}


def test_a_withdrawn_item_that_comes_back_is_found(ledger: Ledger) -> None:
    """The same bytes under another name, key and license are the same item."""
    file_request(ledger)
    withdraw_alice(ledger)
    finish_removal(ledger)
    shard(ledger, "mallory", [1.0, 2.0, 3.0, 7.0], again=True)
    findings = audit(ledger)
    assert ids(findings) == {("DSG004", "error", "mallory")}
    assert "1 of 4" in findings[0].words


def test_without_the_private_list_the_audit_says_it_could_not_look(ledger: Ledger) -> None:
    """CI has no private folder: silence there would be a claim."""
    file_request(ledger)
    withdraw_alice(ledger)
    finish_removal(ledger)
    shutil.rmtree(ledger.home / "private")
    assert ids(audit(Ledger.open(ledger.workspace), today=TODAY)) == {("DSG004", "warning", "workspace")}


def test_a_release_with_a_retired_component_is_found(ledger: Ledger) -> None:
    """A release is not clean because somebody retired the component it serves."""
    ledger.append("component-retired", {"name": "head", "component": named(ledger, "head").digest, "after": None})
    assert ids(audit(ledger)) == {("DSG005", "error", "digits@live")}
    ledger.append("release-contained", {"name": "digits", "alias": "live", "request": ""})
    assert audit(ledger) == ()


def test_a_contained_release_put_back_is_found(ledger: Ledger) -> None:
    """Serving again what an open request contained is an error, before and after its items are withdrawn."""
    file_request(ledger)
    composition = [fact.body["composition"] for fact in ledger.facts("release")][-1]
    ledger.append("release-contained", {"name": "digits", "alias": "live", "request": "R-1"})
    assert audit(ledger) == ()
    ledger.append("release", {"name": "digits", "alias": "live", "composition": composition})
    assert ids(audit(ledger)) == {("DSG005", "error", "digits@live")}


def test_deadlines(ledger: Ledger) -> None:
    """A request is overdue the day after its deadline, and an extension moves that day."""
    file_request(ledger, deadline=TODAY)
    assert audit(ledger) == ()
    tomorrow = TODAY + dt.timedelta(days=1)
    assert ids(audit(ledger, today=tomorrow)) == {("DSG006", "error", "R-1")}
    ledger.append("deadline-extended", {"request": "R-1", "until": tomorrow.isoformat(), "reason": "complex"})
    assert audit(ledger, today=tomorrow) == ()


def test_a_request_on_hold_is_a_note(ledger: Ledger) -> None:
    """On hold is neither overdue nor done."""
    file_request(ledger, deadline=dt.date(2026, 11, 5))
    ledger.append("hold", {"request": "R-1", "on": True, "reason": "litigation"})
    findings = audit(ledger)
    assert ids(findings) == {("DSG009", "note", "R-1")}
    assert exit_code(findings) == 0
    ledger.append("hold", {"request": "R-1", "on": False, "reason": "settled"})
    assert ids(audit(ledger)) == {("DSG006", "error", "R-1")}


@pytest.mark.parametrize(("outcome", "level"), [(Outcome.DENIED, None), (Outcome.ON_HOLD, Level.NOTE)])
def test_decisions_that_owe_nothing_yet(ledger: Ledger, outcome: Outcome, level: Level | None) -> None:
    """A denied request has no deadline and one the decision put on hold is a note."""
    file_request(ledger, outcome=outcome, deadline=dt.date(2026, 11, 5))
    assert [finding.level for finding in audit(ledger)] == ([level] if level else [])


def test_a_request_nobody_decides_becomes_overdue(ledger: Ledger) -> None:
    """Not deciding is no way to be in time."""
    file_request(ledger, outcome=None)
    assert audit(ledger) == ()
    assert ids(audit(ledger, today=dt.date(2026, 12, 1))) == {("DSG006", "error", "R-1")}


def test_missing_licenses_and_bases_are_warnings(ledger: Ledger) -> None:
    """No license is a warning; the gate stays open."""
    shard(ledger, "carol", [8.0], license=None)
    core = replace(shard(ledger, "core", [9.0]), core=True, legal_basis=None)
    ledger.append("shard", {"shard": plain(core)})
    findings = audit(ledger)
    assert ids(findings) == {("DSG008", "warning", "carol"), ("DSG008", "warning", "core")}
    assert exit_code(findings) == 0


def edit_line(path: Path) -> None:
    """Rewrite one word in the middle of the ledger."""
    path.write_bytes(path.read_bytes().replace(b'"name":"alice"', b'"name":"alicf"', 1))


def tear(path: Path) -> None:
    """Leave half a line at the end."""
    with path.open("ab") as file:
        file.write(b'{"at":"2026')


def cut(path: Path) -> None:
    """Lose the last line."""
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:-2]) + b"\n")


def binary(path: Path) -> None:
    """Overwrite all of it with what is no text."""
    path.write_bytes(b"\xff\x00\n\x80" * 40)


@pytest.mark.parametrize("harm", [edit_line, tear, cut, binary, Path.unlink])
def test_a_broken_ledger_is_the_only_finding(ledger: Ledger, harm: Callable[[Path], None]) -> None:
    """Edited, torn, cut, overwritten or gone: one finding that says what to do, and no traceback."""
    harm(ledger.home / "ledger.jsonl")
    findings = audit(Ledger.open(ledger.workspace), today=TODAY)
    assert ids(findings) == {("DSG007", "error", "ledger")}
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
def test_facts_of_an_unknown_form_are_a_broken_ledger(ledger: Ledger, kind: str, body: dict[str, object]) -> None:
    """A chain that holds but cannot be read is not taken for an empty one."""
    file_request(ledger)
    ledger.append(kind, body)
    assert ids(audit(ledger)) == {("DSG007", "error", "ledger")}


def test_it_is_light_and_quick(ledger: Ledger) -> None:
    """A fresh process audits without torch, MLflow, DVC, Great Expectations or DuckDB, in a second or so."""
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from disgorge.audit import audit; from lineage.workspace import Ledger\n"
        "found = audit(Ledger.open())\n"
        "heavy = {'torch', 'mlflow', 'dvc', 'great_expectations', 'duckdb', 'sklearn'} & set(sys.modules)\n"
        "import json; print(json.dumps([len(found), sorted(heavy), time.perf_counter() - start]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ledger.workspace, capture_output=True, text=True, check=True
    )
    found, heavy, seconds = json.loads(done.stdout)
    assert (found, heavy) == (0, [])
    assert seconds < 10  # a busy machine is slow; usually it is half a second


def lost(ledger: Ledger) -> list[tuple[str, str]]:
    """Return what an audit says is lost of the private folder: where, and what to do."""
    return [(found.where, found.next) for found in audit(ledger, today=TODAY) if found.id == "DSG011"]


def test_a_lost_key_of_pseudonyms_is_found_once_anything_was_recorded_by_it(ledger: Ledger) -> None:
    key = ledger.home / "private" / "pseudonym.key"
    key.unlink()
    ledger = Ledger.open(ledger.workspace)
    assert not lost(ledger)  # nobody is recorded
    file_request(ledger)
    assert [where for where, _ in lost(ledger)] == ["private/pseudonym.key"]
    key.write_text("no key")
    assert [where for where, _ in lost(Ledger.open(ledger.workspace))] == ["private/pseudonym.key"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"selectors": 1, "items": 1}', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("name", ["requests/a.json", "near/b.json", "dvc.json"])
def test_a_damaged_private_file_is_named_with_a_way_out(ledger: Ledger, name: str, data: bytes) -> None:
    path = ledger.home / "private" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    ((where, remedy),) = lost(ledger)
    assert where == f"private/{name}"
    assert remedy.startswith("restore it from a backup of the private folder, or ")


def test_without_the_private_folder_nothing_private_is_missed(ledger: Ledger) -> None:
    """A copy that CI has never holds it."""
    file_request(ledger)
    shutil.rmtree(ledger.home / "private")
    assert not lost(Ledger.open(ledger.workspace))


def test_a_list_of_what_goes_is_missed_while_the_removal_is_under_way(ledger: Ledger) -> None:
    file_request(ledger)
    withdraw_alice(ledger)
    assert not lost(ledger)
    (kept,) = (ledger.home / "private" / "executions").iterdir()
    kept.write_text("{}")
    assert lost(ledger) == [("R-1", "restore the private folder and resume")]
    kept.unlink()
    assert lost(ledger) == [("R-1", "restore the private folder and resume")]


def test_records_that_facts_name_are_missed(ledger: Ledger) -> None:
    """Of an open request they are errors, of a closed one warnings: its report cannot be written again."""
    file_request(ledger)
    withdraw_alice(ledger)
    plan = next(ledger.facts("plan")).body["plan"]
    ledger.append("plan", {"request": "R-1", "plan": plan, "impact": "a" * 64})
    ledger.append("examination", {"plan": plan, "release": "digits", "examination": "b" * 64})
    ledger.append("examination", {"plan": "c" * 64, "release": "digits", "examination": "d" * 64})
    found = [finding for finding in audit(ledger, today=TODAY) if finding.where == "R-1"]
    assert [(f.id, f.level, f.words.split()[1], "resumed" in f.words) for f in found] == [
        ("DSG002", Level.ERROR, "examination", True),
        ("DSG002", Level.ERROR, "impact", True),
    ]
    ledger.append("request-closed", {"request": "R-1", "outcome": "done"})
    found = [finding for finding in audit(ledger, today=TODAY) if finding.where == "R-1"]
    assert [(f.level, "written again" in f.words) for f in found] == [(Level.WARNING, True)] * 2

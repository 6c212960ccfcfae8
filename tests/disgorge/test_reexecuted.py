"""A fact that says a part was re-executed spares nothing unless this workspace sealed it."""

import json
from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import CertificateRefused
from disgorge.evidence.checks import Check
from disgorge.examination.reexecuted import earlier_reexecutions, unsealed
from disgorge.removal.actions import examination_of
from lineage.catalog.catalog import Catalog
from lineage.records import Component, plain
from lineage.workspace import Workspace
from tests.toys import carry, granted_plan, live_shards, person, populate, toy_of, train

RELEASE = "toy-averages"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with the averages, trained and released."""
    found, toy = Workspace.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(found, toy, tmp_path / "sources")
    train(found, toy)
    return found


def never_trained(workspace: Workspace) -> Check:
    """The last check of that name."""
    (*_, last) = workspace.ledger.facts("examination")
    checks = examination_of(workspace, last.body["examination"]).checks
    return next(check for check in checks if check.name == "never-trained")


def contaminated(workspace: Workspace) -> Component:
    """Put a part into the release whose weights no recipe makes, under a shard nobody asks to remove; return it."""
    with Catalog.of(workspace) as catalog:
        part = catalog.component(f"{RELEASE}/mean/shard-4")
        composition = catalog.composition(catalog.release(RELEASE).composition)
    from dataclasses import replace

    from lineage.storage.objects import load_tensors, save_tensors

    tensors = load_tensors(workspace.objects.get(part.digest))
    digest = workspace.objects.put(save_tensors({**tensors, "sums": tensors["sums"] + 0.25}))
    foul = replace(part, digest=digest)
    members = [replace(m, component=digest) if m.name == part.name else m for m in composition.members]
    other = replace(composition, members=tuple(sorted(members, key=lambda m: (m.component, m.name))))
    workspace.ledger.append("component", {"component": plain(foul)})
    workspace.ledger.append("composition", {"composition": plain(other)})
    workspace.ledger.append("release", {"name": RELEASE, "alias": "live", "composition": other.digest})
    return foul


@pytest.mark.parametrize("seal", [None, "0" * 64, 7, "of another part"], ids=repr)
def test_a_forged_line_spares_nothing(workspace: Workspace, seal: object) -> None:
    foul = contaminated(workspace)
    body = {"recipe": foul.recipe_digest, "component": foul.digest, "confined": True, "alone": True}
    if seal == "of another part":
        granted_plan(workspace, [person(workspace, "shard-3", 0)], request_id="R-0")
        with pytest.raises(CertificateRefused):
            carry(workspace, "R-0")
        seal = next(fact.body["seal"] for fact in workspace.ledger.facts("reexecuted"))
    forged = workspace.ledger.append("reexecuted", body if seal is None else body | {"seal": seal})
    assert [fact.seq for fact in unsealed(workspace)] == [forged.seq]
    told = [finding for finding in audit(workspace) if finding.id == "DSG018"]
    assert [(finding.level.value, finding.fact) for finding in told] == [
        ("warning" if seal is None else "error", forged.seq)
    ]
    if "R-0" not in {fact.body["request"]["id"] for fact in workspace.ledger.facts("request")}:
        granted_plan(workspace, [person(workspace, "shard-2", 0)])
        with pytest.raises(CertificateRefused, match=r"never-trained is fail.*mean/shard-4 differs"):
            carry(workspace)
    else:
        with pytest.raises(CertificateRefused, match=r"never-trained is fail.*mean/shard-4 differs"):
            carry(workspace, "R-0")


def test_what_was_shown_once_stands_and_is_counted(workspace: Workspace) -> None:
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    first = carry(workspace)
    assert "(5 run now, 0 standing on earlier runs)" in never_trained(workspace).answer
    assert len(earlier_reexecutions(workspace)) == 5
    assert list(unsealed(workspace)) == []
    granted_plan(workspace, [person(workspace, "shard-3", 0)], request_id="R-2")
    second = carry(workspace, "R-2")
    check = never_trained(workspace)
    assert "(1 run now, 4 standing on earlier runs)" in check.answer
    assert (check.detail["run now"], check.detail["standing on earlier runs"]) == (1, 4)
    for done, words in ((first, "5 run now, 0 standing"), (second, "1 run now, 4 standing")):
        assert words in (done.bundle / "report.html").read_text()
        assert words in json.dumps(json.loads((done.bundle / "evidence.json").read_text()))


def test_another_workspaces_seal_is_none_here(workspace: Workspace, tmp_path: Path) -> None:
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    carry(workspace)
    other = Workspace.init(tmp_path / "other")
    for fact in workspace.ledger.facts("reexecuted"):
        other.ledger.append("reexecuted", fact.body)
    assert earlier_reexecutions(other) == {}
    assert len(list(unsealed(other))) == 5
    assert [finding.id for finding in audit(other)] == ["DSG018"] * 5
    key = other.home / "private" / "withdrawn.key"
    key.write_text("garbage")
    assert "DSG018" not in [finding.id for finding in audit(Workspace.open(other.root))]
    key.unlink()
    assert [finding.id for finding in audit(other)] == [], "without the key nothing can be said of them"
    assert live_shards(other) == {}

"""A fact that says a part was re-executed spares nothing unless this workspace sealed it."""

import json
from pathlib import Path

import pytest

from disgorge.audit import audit
from disgorge.errors import CertificateRefused
from disgorge.evidence.checks import Check
from disgorge.examination.reexecuted import earlier_reexecutions, unsealed
from disgorge.removal.actions import examination_of
from lineage.catalog.catalog import Catalog
from lineage.records import Component, plain
from lineage.workspace import Ledger
from tests.toys import carry, granted_plan, live_shards, person, populate, toy_of, train

RELEASE = "toy-averages"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A workspace with the averages, trained and released."""
    found, toy = Ledger.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(found, toy, tmp_path / "sources")
    train(found, toy)
    return found


def never_trained(ledger: Ledger) -> Check:
    """The last check of that name."""
    (*_, last) = ledger.facts("examination")
    checks = examination_of(ledger, last.body["examination"]).checks
    return next(check for check in checks if check.name == "never-trained")


def contaminated(ledger: Ledger) -> Component:
    """Put a part into the release whose weights no recipe makes, under a shard nobody asks to remove; return it."""
    with Catalog.of(ledger) as catalog:
        part = catalog.component(f"{RELEASE}/mean/shard-4")
        composition = catalog.composition(catalog.release(RELEASE).composition)
    from dataclasses import replace

    from lineage.storage.objects import load_tensors, save_tensors

    tensors = load_tensors(ledger.objects.get(part.digest))
    digest = ledger.objects.put(save_tensors({**tensors, "sums": tensors["sums"] + 0.25}))
    foul = replace(part, digest=digest)
    members = [replace(m, component=digest) if m.name == part.name else m for m in composition.members]
    other = replace(composition, members=tuple(sorted(members, key=lambda m: (m.component, m.name))))
    ledger.append("component", {"component": plain(foul)})
    ledger.append("composition", {"composition": plain(other)})
    ledger.append("release", {"name": RELEASE, "alias": "live", "composition": other.digest})
    return foul


@pytest.mark.parametrize("seal", [None, "0" * 64, 7, "of another part"], ids=repr)
def test_a_forged_line_spares_nothing(ledger: Ledger, seal: object) -> None:
    foul = contaminated(ledger)
    body = {"recipe": foul.recipe_digest, "component": foul.digest, "confined": True, "alone": True}
    if seal == "of another part":
        granted_plan(ledger, [person(ledger, "shard-3", 0)], request_id="R-0")
        with pytest.raises(CertificateRefused):
            carry(ledger, "R-0")
        seal = next(fact.body["seal"] for fact in ledger.facts("reexecuted"))
    forged = ledger.append("reexecuted", body if seal is None else body | {"seal": seal})
    assert [fact.seq for fact in unsealed(ledger)] == [forged.seq]
    told = [finding for finding in audit(ledger) if finding.id == "DSG018"]
    assert [(finding.level.value, finding.fact) for finding in told] == [
        ("warning" if seal is None else "error", forged.seq)
    ]
    if "R-0" not in {fact.body["request"]["id"] for fact in ledger.facts("request")}:
        granted_plan(ledger, [person(ledger, "shard-2", 0)])
        with pytest.raises(CertificateRefused, match=r"never-trained is fail.*mean/shard-4 differs"):
            carry(ledger)
    else:
        with pytest.raises(CertificateRefused, match=r"never-trained is fail.*mean/shard-4 differs"):
            carry(ledger, "R-0")


def test_what_was_shown_once_stands_and_is_counted(ledger: Ledger) -> None:
    granted_plan(ledger, [person(ledger, "shard-2", 0)])
    first = carry(ledger)
    assert "(5 run now, 0 standing on earlier runs)" in never_trained(ledger).answer
    assert len(earlier_reexecutions(ledger)) == 5
    assert list(unsealed(ledger)) == []
    granted_plan(ledger, [person(ledger, "shard-3", 0)], request_id="R-2")
    second = carry(ledger, "R-2")
    check = never_trained(ledger)
    assert "(1 run now, 4 standing on earlier runs)" in check.answer
    assert (check.detail["run now"], check.detail["standing on earlier runs"]) == (1, 4)
    for done, words in ((first, "5 run now, 0 standing"), (second, "1 run now, 4 standing")):
        assert words in (done.bundle / "report.html").read_text()
        assert words in json.dumps(json.loads((done.bundle / "evidence.json").read_text()))


def test_another_workspaces_seal_is_none_here(ledger: Ledger, tmp_path: Path) -> None:
    granted_plan(ledger, [person(ledger, "shard-2", 0)])
    carry(ledger)
    other = Ledger.init(tmp_path / "other")
    for fact in ledger.facts("reexecuted"):
        other.append("reexecuted", fact.body)
    assert earlier_reexecutions(other) == {}
    assert len(list(unsealed(other))) == 5
    assert [finding.id for finding in audit(other)] == ["DSG018"] * 5
    key = other.home / "private" / "withdrawn.key"
    key.write_text("garbage")
    assert "DSG018" not in [finding.id for finding in audit(Ledger.open(other.workspace))]
    key.unlink()
    assert [finding.id for finding in audit(other)] == [], "without the key nothing can be said of them"
    assert live_shards(other) == {}

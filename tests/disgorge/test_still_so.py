"""Between purge and report somebody puts things back: the report is refused until they are gone again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import CertificateRefused, DisgorgeError
from disgorge.plan.plan import Action, Step
from disgorge.removal.execute import Executed, execute
from disgorge.request.case import case_of
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.plan_request import plan_request
from disgorge.tracking.client import Store
from disgorge.tracking.registry import Registry, Unregistered
from disgorge.tracking.runs import Untracked
from disgorge.training.runners.in_process import InProcessRunner
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.records import Composition, Selector
from lineage.shards.add import add_shard, shard_rows
from lineage.workspace import Workspace
from tests.toys import (
    bytes_by_name,
    granted_plan,
    live_shards,
    person,
    populate,
    served,
    toy_of,
    train,
    write_rows,
)

RELEASE = "toy-averages"


class Interrupted(Exception):  # noqa: N818 (says what is the matter)
    """The execution was stopped before its report."""


class Removed:
    """A removal done up to its report, and what was there before."""

    def __init__(self, folder: Path, *, database: Path | None = None, by_key: bool = False) -> None:
        self.workspace = Workspace.init(folder / "workspace")
        self.registrar: Any = Unregistered()
        if database is not None:
            shutil.copy(database, self.workspace.root / "mlflow.db")
            self.registrar = Registry(Store(self.workspace.root))
        toy = toy_of("averages", 3)
        populate(self.workspace, toy, folder / "sources")
        train(self.workspace, toy)
        self.before = served(self.workspace, RELEASE)
        self.old = self.workspace.objects.path(bytes_by_name(self.workspace, RELEASE)[f"{RELEASE}/mean/shard-3"])
        self.shard = self.workspace.content_path(live_shards(self.workspace)["shard-3"].digest)
        self.saved = {path: path.read_bytes() for path in (self.old, self.shard)}
        key = shard_rows(self.workspace, live_shards(self.workspace)["shard-3"].digest)[0].key
        granted_plan(self.workspace, [Selector("key", key) if by_key else person(self.workspace, "shard-3", 1)])
        with pytest.raises(Interrupted):
            self.carry(stop=True)

    def carry(self, *, stop: bool = False) -> Executed:
        """Carry the removal out, or stop it before the report."""

        def on_step(step: Step) -> None:
            if stop and step.action is Action.REPORT:
                raise Interrupted

        here = InProcessRunner(self.workspace)
        return execute(
            self.workspace, "R-1", runner=here, independent=lambda: here, references=0,
            registrar=self.registrar, observer=Untracked(), on_step=on_step,
        )  # fmt: skip


@pytest.mark.parametrize("what", ["old", "shard"])
def test_what_was_put_back_after_the_purge_is_no_certificate(tmp_path: Path, what: str) -> None:
    removed = Removed(tmp_path)
    path = getattr(removed, what)
    assert not path.exists()
    path.write_bytes(removed.saved[path])
    with pytest.raises(CertificateRefused, match="what was purged is back"):
        removed.carry()
    assert case_of(removed.workspace, "R-1").closed is None
    path.unlink()
    assert removed.carry().verdict == "certified"


def test_items_of_the_same_person_that_came_meanwhile_are_no_certificate(tmp_path: Path) -> None:
    """They were trained on, too; planned again, everything goes."""
    removed = Removed(tmp_path)
    workspace, toy = removed.workspace, toy_of("averages", 9)
    late = tmp_path / "late.npz"
    write_rows(late, "shard-3", toy.items["shard-1"], range(6))  # people 0 and 1 of shard-3
    add_shard(
        workspace,
        late,
        name="late",
        key="key",
        subject="subject",
        source="a form",
        license="MIT",
        legal_basis="consent",
        check=False,
        dvc=False,
    )
    train(workspace, replace(toy, spec=replace(toy.spec, release="other", shards=("late", "shard-1"))))
    with pytest.raises(CertificateRefused, match=r"3 items of late fit what it selects.*request plan R-1"):
        removed.carry()
    assert case_of(workspace, "R-1").closed is None
    plan = plan_request(workspace, "R-1")
    approve_plan(workspace, "R-1", plan.digest, approver="ann")
    assert removed.carry().verdict == "certified"
    assert live_shards(workspace)["late"].count == 3


@pytest.mark.parametrize("damage", ["cut", "another key"])
def test_while_nobody_can_read_what_was_asked_for_there_is_no_certificate(tmp_path: Path, damage: str) -> None:
    """Items that came meanwhile cannot be looked for by what a damaged file says; only an erased one is let be."""
    removed = Removed(tmp_path, by_key=True)
    (file,) = (removed.workspace.home / "private" / "requests").iterdir()
    whole = file.read_text()
    told = json.loads(whole)
    other = told | {"selectors": dict.fromkeys(told["selectors"], "somebody-else")}
    file.write_text(whole[:-9] if damage == "cut" else json.dumps(other))
    with pytest.raises((DisgorgeError, LineageError), match=r"restore it from a backup"):
        removed.carry()
    assert case_of(removed.workspace, "R-1").closed is None
    file.write_text(whole)
    assert removed.carry().verdict == "certified"


@pytest.mark.parametrize("what", ["old", "shard"])
def test_what_comes_back_after_the_certificate_is_found_by_the_audit(tmp_path: Path, what: str) -> None:
    removed = Removed(tmp_path)
    assert removed.carry().verdict == "certified"
    assert not [finding for finding in audit(removed.workspace) if finding.rule.id == "DSG012"]
    path = getattr(removed, what)
    path.write_bytes(removed.saved[path])
    (found,) = [finding for finding in audit(removed.workspace) if finding.rule.id == "DSG012"]
    assert found.where == path.relative_to(removed.workspace.root).as_posix()
    assert "deleted for request R-1" in found.words


def test_an_alias_that_was_moved_back_is_no_certificate(tmp_path: Path) -> None:
    removed = Removed(tmp_path)
    now = served(removed.workspace, RELEASE)
    body = {"name": RELEASE, "alias": "live", "composition": removed.before}
    removed.workspace.ledger.append("release", body)
    with pytest.raises(CertificateRefused, match="serves the old release again"):
        removed.carry()
    removed.workspace.ledger.append("release", body | {"composition": now})
    assert removed.carry().verdict == "certified"


def test_an_alias_that_never_moved_in_mlflow_is_no_certificate(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mlflow")
    with Store(folder).client() as client:
        client.search_experiments()
    removed = Removed(tmp_path, database=folder / "mlflow.db")
    with Catalog.of(removed.workspace) as catalog:
        now: Composition = catalog.composition(served(removed.workspace, RELEASE))
        old = catalog.composition(removed.before)
    other = Composition(now.method, {**now.spec, "note": "another"}, now.members)
    removed.registrar.adopt(RELEASE, "live", other)
    with pytest.raises(CertificateRefused, match="in MLflow is not what was adopted"):
        removed.carry()
    removed.registrar.adopt(RELEASE, "live", old)
    with pytest.raises(CertificateRefused, match="in MLflow is not what was adopted"):
        removed.carry()
    removed.registrar.adopt(RELEASE, "live", now)
    with pytest.raises(CertificateRefused, match="what was purged is back: MLflow model version"):
        removed.carry()  # the old version is registered, if under no alias

"""A fact that has not the form of one is named when it is read, not where it would fail."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineage.errors import LedgerBroken
from lineage.ledger.state import state_of
from lineage.records import Component, Composition, Member, Role, Shard, Use, plain
from lineage.workspace import Workspace

GOOD: dict[str, dict[str, Any]] = {
    "shard": {"shard": plain(Shard("a" * 64, "s", None, "MIT", None, 3, fields=("x",)))},
    "component": {"component": plain(Component("b" * 64, "c", "k", (Use("a" * 64, Role.TRAIN),)))},
    "composition": {"composition": plain(Composition("m", {}, (Member("c", "b" * 64, 1.0),)))},
    "release": {"name": "r", "alias": "live", "composition": "c" * 64},
}


def read(workspace: Workspace, kind: str, body: dict[str, Any]) -> None:
    """Append a fact and read what holds then."""
    workspace.ledger.append(kind, body)
    state_of(workspace.ledger.facts())


@pytest.mark.parametrize("kind", GOOD)
def test_facts_as_they_are_written_are_read(tmp_path: Path, kind: str) -> None:
    read(Workspace.init(tmp_path), kind, GOOD[kind])


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("shard", lambda body: body["shard"].update(core="yes")),
        ("shard", lambda body: body["shard"].update(digest=0.5)),
        ("shard", lambda body: body["shard"].update(count=True)),
        ("shard", lambda body: body["shard"].update(fields=[1])),
        ("shard", lambda body: body["shard"].update(license={})),
        ("component", lambda body: body["component"].update(name=None)),
        ("component", lambda body: body["component"]["uses"][0].update(digest=1)),
        ("component", lambda body: body["component"].update(cost={"steps": "many"})),
        ("component", lambda body: body["component"].update(recipe=[])),
        ("composition", lambda body: body["composition"]["members"][0].update(weight="heavy")),
        ("release", lambda body: body.update(alias=["live"])),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path: Path, kind: str, spoil: Callable[[dict[str, Any]], None]) -> None:
    body = copy.deepcopy(GOOD[kind])
    spoil(body)
    with pytest.raises(LedgerBroken, match=f"line 2 of the ledger, a '{kind}', has not the form of one"):
        read(Workspace.init(tmp_path), kind, body)

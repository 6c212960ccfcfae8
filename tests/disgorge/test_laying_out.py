"""What layouts are shown, what is asked of them, and that nobody lays a model out in another way."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from disgorge.errors import BadModel
from disgorge.evidence.checks import Verdict
from disgorge.examination.lineage_closure import lineage_closure
from disgorge.layout import as_shown, layout_of, without_names
from disgorge.method import Blueprint, Method, method_entries, method_named, methods
from disgorge.training.runners.declared import declared
from lineage.records import Component, Cost, Role, Shard, Use
from tests.toys import toy_of

ROOT = Path(__file__).parents[2]


def shards_of(names: tuple[str, ...]) -> dict[str, Shard]:
    """A shard per name, as one is recorded that was cut from another."""
    return {
        name: Shard(f"{n:064x}", name, "a form", "MIT", "consent", 12, derived_from="ab" * 32, manifest="cd" * 32)
        for n, name in enumerate(names, start=1)
    }


def test_every_layout_in_this_program_is_asked_for_in_one_place() -> None:
    callers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "disgorge").rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"\.layout\(", line)
    }
    assert callers == {"disgorge/layout.py"}


def test_a_layout_sees_nothing_of_where_a_shard_came_from() -> None:
    (shard,) = shards_of(("a",)).values()
    shown = as_shown(shard)
    assert (shown.derived_from, shown.manifest, shown.dvc, shown.source) == (None, None, None, None)
    assert (shown.digest, shown.name, shown.count, shown.license) == (shard.digest, "a", 12, "MIT")


def test_a_description_without_names_has_them_nowhere() -> None:
    spec = replace(
        toy_of("shard_graph", 1).spec, parameters={"graph": {"center": "b", "edges": {"a": ["b", "c"], "b": ["a"]}}}
    )
    spec = replace(spec, shards=("a", "b", "c"), evaluate=("b",))
    unnamed = without_names(spec, {"b"})
    assert (unnamed.shards, unnamed.evaluate) == (("a", "c"), ())
    assert unnamed.parameters == {"graph": {"edges": {"a": ["c"]}}}


@dataclass(frozen=True)
class Unseeded:
    """The averages without a seed, as somebody writes a method that draws nothing."""

    inner: Method
    name: str = "unseeded"

    def layout(self, spec: object, shards: object) -> tuple[Blueprint, ...]:
        """The layout of the averages, their parameters left out."""
        found = self.inner.layout(spec, shards)  # type: ignore[arg-type]
        return tuple(replace(blueprint, parameters={}) for blueprint in found)


def test_a_part_without_a_seed_is_refused_when_it_is_laid_out() -> None:
    spec = toy_of("averages", 1).spec
    shards = shards_of((*spec.core, *spec.shards, *spec.evaluate))
    honest = method_named("averages")
    assert layout_of(honest, spec, shards)
    with pytest.raises(BadModel, match=r"method unseeded lays mean/shard-1 out without .*'seed'"):
        layout_of(Unseeded(honest), spec, shards)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["averages", "tangent_composition", "shard_graph", "compartmental_diffusion"])
def test_honest_layouts_do_not_depend_on_names_that_are_gone(method: str) -> None:
    spec = toy_of(method, 1).spec
    fields = ("image", "label") if method != "compartmental_diffusion" else ("image",)
    shards = {name: replace(shard, fields=fields) for name, shard in shards_of((*spec.core, *spec.shards)).items()}
    for gone in spec.shards:
        assert layout_of(method_named(method), spec, {n: s for n, s in shards.items() if n != gone})
    assert len(layout_of(method_named(method), spec, {name: shards[name] for name in spec.core})) >= 1


def test_a_method_that_takes_the_name_of_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imposing.py").write_text("from averages import Averages\n\nMETHOD = Averages(version='2')\n")
    about = tmp_path / "imposing-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: imposing\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[disgorge.methods]\nzz = imposing:METHOD\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    method_entries.cache_clear()
    methods.cache_clear()
    try:
        with pytest.raises(BadModel, match=r"'averages', one of averages \(averages:METHOD\) and one of imposing"):
            methods()
        with pytest.raises(BadModel, match=r"'averages', one of averages \(averages:METHOD\) and one of imposing"):
            declared("shard_graph")
    finally:
        monkeypatch.undo()
        method_entries.cache_clear()
        methods.cache_clear()
    assert method_named("averages").version == "1"


def test_a_withdrawn_digest_anywhere_in_a_recipe_fails_the_closure() -> None:
    old, new = "ab" * 32, "cd" * 32
    uses = [{"of": "shard", "digest": new, "role": "train"}]

    def part(digest: str, read: str, recipe: dict[str, object]) -> Component:
        return Component(digest, "r/a", "mean", (Use(read, Role.TRAIN),), recipe, Cost(), ("objects",))

    before = part("1" * 64, old, {})
    for parameters, verdict in (({"ancestor": old.upper()}, Verdict.FAIL), ({"seed": 1}, Verdict.PASS)):
        after = part("2" * 64, new, {"uses": uses, "parameters": parameters})
        known = {each.digest: [each] for each in (before, after)}
        check = lineage_closure("r", before=[before], after=[after], known=known, withdrawn=frozenset({old}))
        assert check.verdict is verdict, check.answer

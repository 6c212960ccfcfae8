"""What a model file of user functions lays out: settings that are refused, layouts, stages, and what makes recipes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from disgorge.errors import BadModel
from disgorge.layout import layout_of
from disgorge.method import Blueprint, ModelSpec
from disgorge.methods.function import METHOD
from disgorge.methods.function.settings import read_settings
from lineage.records import Role, Shard, canonical

FUNCTIONS: dict[str, Any] = {"train": "mine:fit", "predict": "mine:predict"}


def shard(name: str, digest: str, fields: tuple[str, ...] = ("label", "x"), count: int = 4) -> Shard:
    """A recorded shard."""
    return Shard(digest * 64, name, None, None, None, count, fields=fields)


SHARDS = {each.name: each for each in (shard("a", "3"), shard("b", "1"), shard("c", "2"), shard("core", "4"))}


def spec(**parameters: Any) -> ModelSpec:
    """A model over three shards."""
    return ModelSpec("mine", "function", (), ("a", "b", "c"), parameters=FUNCTIONS | parameters)


def laid_out(model: ModelSpec, shards: dict[str, Shard] = SHARDS) -> dict[str, Blueprint]:
    """The components by name."""
    return {each.name: each for each in layout_of(METHOD, model, shards)}


def reads(blueprint: Blueprint) -> list[str]:
    """The inputs of a component by name."""
    return [use.name for use in blueprint.inputs]


def test_joint_is_one_component_over_all_shards_by_digest() -> None:
    (one,) = laid_out(spec()).values()
    assert (one.name, reads(one), one.weight) == ("model", ["b", "c", "a"], 1.0)


def test_isolated_is_one_a_shard_and_each_reads_the_core() -> None:
    found = laid_out(replace(spec(layout="isolated"), core=("core",)))
    assert {name: reads(each) for name, each in found.items()} == {
        "model/~core": ["core"], "model/b": ["b", "core"], "model/c": ["c", "core"], "model/a": ["a", "core"],
    }  # fmt: skip
    assert [each.weight for each in found.values()] == [0, 1 / 3, 1 / 3, 1 / 3]
    (left,) = laid_out(replace(spec(layout="isolated"), core=("core",)), {"core": SHARDS["core"]}).values()
    assert (left.name, left.weight) == ("model/~core", 1), "which answers once no shard is left"
    assert left.parameters == found[left.name].parameters


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"ring": 1}, {"model/a": ["a", "b"], "model/b": ["b", "c"], "model/c": ["c", "a"]}),
        ({"neighbors": {"a": ["b", "c"]}}, {"model/a": ["a", "b", "c"], "model/b": ["b"], "model/c": ["c"]}),
    ],
)
def test_a_graph_reads_neighbors(parameters: dict[str, Any], expected: dict[str, list[str]]) -> None:
    found = laid_out(spec(layout="graph", **parameters))
    assert {name: reads(each) for name, each in found.items()} == expected


def test_a_shard_that_goes_takes_its_edges_and_adds_none() -> None:
    model = spec(layout="graph", ring=1)
    left = laid_out(model, {name: each for name, each in SHARDS.items() if name != "b"})
    assert {name: reads(each) for name, each in left.items()} == {"model/a": ["a"], "model/c": ["c", "a"]}
    assert left["model/c"].parameters == laid_out(model)["model/c"].parameters


STAGES: dict[str, Any] = {
    "predict": "mine:predict",
    "stages": {
        "scale": {"train": "mine:fit_scaler", "layout": "joint"},
        "head": {"train": "mine:fit", "layout": "isolated", "reads": ["scale"]},
    },
}


def test_stages_read_those_before_and_only_the_last_answers() -> None:
    found = laid_out(replace(spec(), parameters=STAGES))
    assert reads(found["scale"]) == ["b", "c", "a"]
    assert reads(found["head/a"]) == ["a", "scale"]
    assert [each.weight for each in found.values()] == [0.0, 1 / 3, 1 / 3, 1 / 3]
    pooled = STAGES | {
        "stages": {
            "part": {"train": "mine:fit", "layout": "isolated"},
            "router": {"train": "mine:fit_router", "layout": "joint", "reads": ["part"]},
        }
    }
    router = laid_out(replace(spec(), parameters=pooled))["router"]
    assert laid_out(replace(spec(), parameters=json.loads(canonical(STAGES)))) == found, "as it is kept"
    assert reads(router) == ["b", "c", "a", "part/b", "part/c", "part/a"]
    assert router.parameters["reads"] == [["part", 3]]


def test_packages_whose_data_is_seen_stand_in_every_recipe() -> None:
    found = laid_out(spec(classes="all", expose=["b", "a", "a"]))
    assert [each.parameters["expose"] for each in found.values()] == [["a", "b"], ["a", "b"]]
    assert "expose" not in laid_out(spec())["model"].parameters


def test_select_shards_choose_and_are_not_trained_on() -> None:
    found = laid_out(spec(layout="isolated", select=["c"]))
    assert {name: [(use.name, use.role) for use in each.inputs] for name, each in found.items()} == {
        "model/b": [("b", Role.TRAIN), ("c", Role.SELECT)],
        "model/a": [("a", Role.TRAIN), ("c", Role.SELECT)],
    }


def test_classes_that_are_found_in_data_are_a_component_that_used_all_of_it() -> None:
    model = replace(spec(layout="isolated", classes="all", columns={"label": "y", "x": "x"}), core=("core",))
    shards = {name: replace(each, fields=("x", "y")) for name, each in SHARDS.items()}
    found = laid_out(model, shards)
    assert {(use.name, use.role) for use in found["classes"].inputs} == {
        (name, Role.NORMALIZE) for name in ("a", "b", "c", "core")
    }
    assert "classes" in reads(found["model/a"])
    of_core = laid_out(replace(model, parameters=model.parameters | {"classes": "core"}), shards)
    assert reads(of_core["classes"]) == ["core"]
    assert "classes" not in laid_out(spec(classes=["no", "yes"]))


def test_a_name_of_a_shard_stands_in_no_recipe() -> None:
    weighted = {"a": 1, "b": 2, "c": 3}
    for each in laid_out(spec(layout="isolated", combine="weighted", weights=weighted, select=[])).values():
        assert not {"a", "b", "c"} & {*map(str, each.parameters.values())}
    found = laid_out(spec(layout="isolated", combine="weighted", weights=weighted))
    assert [each.weight for each in found.values()] == [2 / 6, 3 / 6, 1 / 6]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"train": None}, "^train: is missing"),
        ({"predict": None}, "^predict: is missing"),
        ({"train": "mine.fit"}, "^train: 'mine.fit' names no function; write module:function"),
        ({"trian": "mine:fit"}, "^trian: unknown; take it out"),
        ({"layout": "ring"}, "^layout: "),
        ({"layout": "graph"}, "^neighbors: is missing"),
        ({"ring": 1}, "^neighbors: belongs to `layout: graph`"),
        ({"layout": "graph", "ring": 1, "neighbors": {"a": ["b"]}}, "^ring: takes the place of neighbors"),
        ({"layout": "graph", "neighbors": {"a": ["z"]}}, r"^neighbors.a: 'z' is none of the model's shards"),
        ({"stages": STAGES["stages"]}, "^stages: takes the place of train"),
        ({"combine": "weighted"}, "^weights: belongs to"),
        ({"combine": "weighted", "weights": {"a": 1}, "layout": "isolated"}, "^weights: [bc] has none"),
        ({"combine": "route"}, "^route: belongs to"),
        ({"sample": "mine:draw", "task": "classify"}, "^sample: belongs to `task: generate`"),
        ({"classes": ["a", "a"]}, "^classes: names a class twice"),
        ({"classes": "core"}, "^classes: come from the core, and no core shard has items"),
        ({"columns": {"label": "z"}}, "^shard [abc]: items have no 'z' for column label, only label, x"),
        ({"select": ["z"]}, "^select: 'z' is none of the model's shards"),
    ],
)
def test_bad_settings_are_refused_in_one_line(parameters: dict[str, Any], words: str) -> None:
    given = {name: value for name, value in (FUNCTIONS | parameters).items() if value is not None}
    with pytest.raises(BadModel, match=words) as caught:
        laid_out(replace(spec(), parameters=given))
    assert "\n" not in str(caught.value)


def test_stages_are_checked() -> None:
    for stages, words in (
        ({"head": {"train": "mine:fit", "reads": ["scale"]}}, "^stages.head.reads: 'scale' is no stage$"),
        (
            {"a": {"train": "m:f", "reads": ["b"]}, "b": {"train": "m:f", "reads": ["a"]}},
            "read one another in a circle",
        ),
        ({"a": {"train": "m:f"}, "b": {"train": "m:f"}}, "^stages: a, b are read by none; one of them answers"),
        ({"a/b": {"train": "mine:fit"}}, "is an invalid name"),
        ({"head": {"train": "mine:fit", "layout": "core"}}, "^core: names no shard with items"),
    ):
        with pytest.raises(BadModel, match=words):
            laid_out(replace(spec(), parameters={"predict": "mine:predict", "stages": stages}))


def test_shards_whose_columns_differ_are_refused_unless_columns_are_named() -> None:
    shards = SHARDS | {"b": replace(SHARDS["b"], fields=("label", "x", "z"))}
    with pytest.raises(BadModel, match=r"^shards differ in the column 'z'; name those to use"):
        laid_out(spec(), shards)
    assert laid_out(spec(columns={"label": "label", "x": "x"}), shards)


def test_a_task_is_any_word() -> None:
    assert read_settings(FUNCTIONS).task == "classify"
    assert read_settings(FUNCTIONS | {"task": "rank"}).task == "rank"
    assert read_settings({"train": "mine:fit", "sample": "mine:draw"}).task == "generate"


def test_a_typo_within_a_stage_lists_the_keys_of_a_stage() -> None:
    with pytest.raises(BadModel, match=r"stages\.head\.read: unknown; .* \(known are train, layout, reads\)"):
        read_settings({"train": "a:b", "stages": {"head": {"train": "a:b", "read": ["prep"]}}})

"""User functions, called in this process: what they see, how answers are combined, and what goes wrong in one line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from disgorge.errors import BadModel, ExecutionFailed
from disgorge.method import Items, Measures, ModelSpec, Part, Samples, Scores
from disgorge.methods.function import METHOD
from disgorge.methods.function.items import View
from disgorge.methods.function.settings import Column
from disgorge.methods.function.train import find_classes, read_classes
from disgorge.training.answer import Draw, _answers
from lineage.storage.tensors import load_tensors, save_tensors

ITEMS = Items(
    ("a" * 64, "b" * 64, "c" * 64),
    {
        "rating": np.array(["good", "bad", "good"], dtype=np.dtypes.StringDType()),
        "text": np.array(["one", "two", "three"], dtype=np.dtypes.StringDType()),
        "x": np.array([1.0, 2.0, 3.0]),
        "y": np.array([4, 5, 6]),
    },
)
LABEL = {"label": Column(field="rating", map={"bad": 0, "good": 1})}
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Write:
    """Writes a module of the user's, and returns its name, which no other test uses."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"mine_{abs(hash(request.node.nodeid))}"

    def written(text: str) -> str:
        (tmp_path / f"{name}.py").write_text(dedent(text))
        return name

    return written


def fit(module: str, **parameters: Any) -> Any:
    """Train by ``fit`` of a module on the items."""
    given = {"seed": 1, "train": f"{module}:fit", "columns": {"x": {"field": "x"}}} | parameters
    return METHOD.train("fitted", given, (ITEMS,), ())


def model(module: str, *parts: float, **parameters: Any) -> Any:
    """A model of components that hold a number each."""
    given = {"train": f"{module}:fit", "predict": f"{module}:predict"} | parameters
    spec = ModelSpec("mine", "function", (), tuple(f"s{place}" for place in range(len(parts))), parameters=given)
    layout = "model/" if len(parts) > 1 else "model"
    made = [
        Part(layout + (f"s{place}" if len(parts) > 1 else ""), "fitted", 1 / len(parts), {"value": np.array(value)})
        for place, value in enumerate(parts)
    ]
    return METHOD.assemble(spec, tuple(made))


def test_user_code_sees_the_named_columns_mapped_and_no_other() -> None:
    view = View([ITEMS, ITEMS], LABEL | {"sentence": Column(field="text")}, ["no", "yes"])
    assert (len(view), view.fields) == (6, ("label", "sentence"))
    with pytest.raises(BadModel, match=r"^label: '0' is none of the 2 classes"):
        view["label"]
    view = View([ITEMS, ITEMS], LABEL | {"sentence": Column(field="text")}, None)
    assert view["label"].tolist() == [1, 0, 1, 1, 0, 1]
    assert view["sentence"].tolist()[:2] == ["one", "two"]
    with pytest.raises(BadModel, match=r"^items have no column 'x', only label, sentence; name it under `columns`"):
        view["x"]


def test_whole_numbers_of_one_shard_go_with_the_numbers_of_another_where_one_is_missing() -> None:
    other = Items(("d" * 64, "e" * 64), {"x": np.array([np.nan, 5.0]), "y": np.array([np.nan, 8.0])})
    both = View([ITEMS, other], {"x": Column(field="x"), "y": Column(field="y")}, None)
    np.testing.assert_array_equal(both["y"], [4, 5, 6, np.nan, 8])
    np.testing.assert_array_equal(both.matrix(), [[1, 4], [2, 5], [3, 6], [np.nan, np.nan], [5, 8]])
    assert both.pandas()["y"].isna().tolist() == [False, False, False, True, False]
    assert np.isnan(both.torch()["x"].numpy()).tolist() == [False, False, False, True, False]
    assert both.arrow()["y"].to_pylist()[-1] == 8.0
    with pytest.raises(BadModel, match=r"^column 'label' is not alike in all shards"):
        View([ITEMS, other], {"label": Column(field="y")}, None)["label"]


def test_items_without_a_label_are_said_in_one_line(write: Write) -> None:
    empty = Items(("d" * 64, "e" * 64), {"x": np.array([1.0, 2.0]), "y": np.array([np.nan, 8.0])})
    said = r"label: is empty \(NaN\) in 1 of 2 items; fill it in, or leave these items out of the shards"
    label = {"label": Column(field="y")}
    with pytest.raises(BadModel, match=said):
        View([empty], label, [8])["label"]
    with pytest.raises(BadModel, match=said):
        find_classes({"columns": {"label": {"field": "y"}}}, (empty,))
    assert np.isnan(View([empty], label, None)["label"]).any(), "numbers are for the user's code to judge"
    module = write("def predict(parts, items, context):\n    return items['x']")
    asked = model(module, 1.0, task="regress", columns={"x": "x", "label": "y"})
    with pytest.raises(BadModel, match=said):
        asked.utility(empty)


def test_a_label_outside_the_map_is_said_in_one_line() -> None:
    view = View([ITEMS], {"label": Column(field="rating", map={"bad": 0})}, None)
    with pytest.raises(BadModel, match=r"^label: the value 'good' is not in columns.label.map of the model file"):
        view["label"]


def test_all_other_columns_are_seen_where_the_file_says_so() -> None:
    view = View([ITEMS], LABEL | {"*": Column(field="*")}, None)
    assert view.fields == ("label", "text", "x", "y")
    assert view.matrix().tolist() == [[1, 4], [2, 5], [3, 6]]
    assert view.torch()["y"].tolist() == [4, 5, 6]
    assert view.pandas("text", "x").to_dict("list") == {"text": ["one", "two", "three"], "x": [1, 2, 3]}
    assert view.arrow("y").to_pydict() == {"y": [4, 5, 6]}
    assert [few["x"].tolist() for few in view.batches(2)] == [[1, 2], [3]]


def test_shards_whose_columns_differ_in_kind_are_said() -> None:
    other = replace(ITEMS, arrays={"x": np.array(["1", "2", "3"], dtype=np.dtypes.StringDType())})
    with pytest.raises(BadModel, match=r"^column 'x' is not alike in all shards"):
        View([ITEMS, other], {"x": Column(field="x")}, None)["x"]


@pytest.mark.parametrize("values", [[2, 0, 2], ["b", "ä", "b"]])
def test_classes_found_in_data_come_back_as_they_were(values: list[Any]) -> None:
    array = np.array(values) if isinstance(values[0], int) else np.array(values, dtype=np.dtypes.StringDType())
    found = find_classes({}, (Items(ITEMS.digests, {"label": array}),))
    assert read_classes(found) == sorted({*values})


def test_everything_random_is_seeded_from_recipe_and_items(write: Write) -> None:
    module = write("""
        import random
        import numpy as np
        AT_IMPORT = random.random()
        def fit(items, parts, context):
            return {"drawn": [AT_IMPORT, random.random(), np.random.random(), context.rng.random(), context.seed]}
    """)
    once = fit(module)["drawn"].tolist()
    np.random.random(7)
    assert fit(module)["drawn"].tolist() == once
    assert fit(module, seed=2)["drawn"].tolist() != once
    fewer = Items(ITEMS.digests[:2], {name: each[:2] for name, each in ITEMS.arrays.items()})
    given = {"seed": 1, "train": f"{module}:fit", "columns": {"x": {"field": "x"}}}
    assert METHOD.train("fitted", given, (fewer,), ())["drawn"].tolist()[1:] != once[1:]


def test_small_floats_of_torch_pass_bit_for_bit(write: Write) -> None:
    """As a ``state_dict()`` has them, and as numpy has none; what a model answers in them is read too."""
    module = write("""
        import torch
        WEIGHTS = torch.tensor([1.5, -2.25, 0.125]).to(torch.bfloat16)
        def fit(items, parts, context):
            return {"w": WEIGHTS, "again": torch.nn.Parameter(WEIGHTS[:1].half())}
        def predict(parts, items, context):
            return torch.nn.Parameter(WEIGHTS[:2].softmax(0).expand(len(items), 2))
        def draw(parts, count, context):
            return torch.nn.Parameter(WEIGHTS[:count])
    """)
    stored = load_tensors(save_tensors(fit(module)))
    assert {name: (each.dtype.name, each.astype(np.float64).tolist()) for name, each in stored.items()} == {
        "again": ("float16", [1.5]), "w": ("bfloat16", [1.5, -2.25, 0.125]),
    }  # fmt: skip
    assert model(module, 0.1).predict(ITEMS).shape == (3, 2)
    drawer = model(module, 0.1, sample=f"{module}:draw", task="generate")
    assert drawer.sample(2, seed=1).tolist() == [1.5, -2.25]


def test_the_path_of_an_artifact_is_alike_in_every_job(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries write it into what they save; a job that is not in a namespace has folders of a name of its own."""
    module = write("""
        def fit(items, parts, context):
            place = context.artifacts["encoder"]
            return {"path": list(str(place).encode()), "size": (place / "w").stat().st_size}
    """)
    found = []
    for job in ("apart-1", "apart-two"):
        (tmp_path / job / "tmp").mkdir(parents=True)
        artifact = tmp_path / job / "in" / "97f9"
        artifact.mkdir(parents=True)
        (artifact / "w").write_text("four")
        monkeypatch.chdir(tmp_path / job / "tmp")
        given = {"seed": 1, "train": f"{module}:fit", "artifacts": {"encoder": 0}}
        found.append(METHOD.train("fitted", given, (ITEMS,), (), artifacts=(artifact,)))
    assert [bytes(each["path"].tolist()) for each in found] == [b"../in/97f9"] * 2
    assert found[0]["size"] == 4


WRONG = {
    "raises": (
        "def fit(items, parts, context):\n    raise ValueError('two\\nlines')",
        r"py:2: train .* raised ValueError: two lines; correct it there$",
    ),
    "cannot be imported": (
        "import nothing_of_this_name\n", r"py:1: train .* cannot be imported: ModuleNotFoundError",
    ),
    "has a wrong line": ("def fit(:\n", r"py:1: train .* cannot be imported: SyntaxError"),
    "lacks the function": ("def fitt(items): ...\n", r"has no function 'fit'; it has fitt; correct the model file"),
    "returns nothing": ("def fit(items, parts, context): ...\n", r"returned nothing; return arrays by name"),
    "returns a list": ("def fit(items, parts, context): return [1]\n", r"returned a list; return arrays by name"),
    "returns no array": ("def fit(items, parts, context): return {}\n", r"returned no array; return at least one"),
    "returns objects": ("def fit(items, parts, context): return {'m': fit}\n", r"returned 'm', a function; a "),
    "returns text": ("def fit(items, parts, context): return {'m': 'x'}\n", r"returned 'm', a str; a component holds"),
    "exits": ("import sys\ndef fit(items, parts, context): sys.exit(3)\n", r"py:2: train .* raised SystemExit: 3"),
    "asks for another column": (
        "def fit(items, parts, context):\n    return items['y']\n", r"py:2: train .*: items have no column 'y', only x",
    ),
    "reads another file": (
        "def fit(items, parts, context): open('/nowhere/at/all')\n",
        r"raised FileNotFoundError.*reads its items, parts and artifacts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_user_code_is_said_with_its_line(write: Write, case: str) -> None:
    text, words = WRONG[case]
    with pytest.raises(ExecutionFailed, match=words) as caught:
        fit(write(text))
    assert "\n" not in str(caught.value)


PREDICT = """
    import numpy as np
    def predict(parts, items, context):
        if isinstance(parts, tuple):
            return np.mean([predict(each, items, context) for each in parts], axis=0)
        return np.tile([1 - parts["value"], parts["value"]], (len(items), 1))
    def route(parts, items, context):
        return np.zeros(len(items), int)
    def score(parts, items, context):
        return items["label"] * parts["value"]
    def measure(answers, items, context):
        return {"f1": answers[:, 1].mean()}
    def draw(parts, count, context):
        return np.full(count, parts["value"]) + 0 * np.random.random(count)
"""
COLUMNS = {"label": {"field": "rating", "map": {"bad": 0, "good": 1}}, "x": "x"}


@pytest.mark.parametrize(
    ("combine", "expected"),
    [({}, 0.5), ({"combine": "vote"}, 2 / 3), ({"combine": "none"}, 0.5),
     ({"combine": "weighted", "weights": {"s0": 1, "s1": 1, "s2": 1}}, 0.5)],
)  # fmt: skip
def test_answers_of_components_are_combined(write: Write, combine: dict[str, Any], expected: float) -> None:
    found = model(write(PREDICT), 0.1, 0.6, 0.8, columns=COLUMNS, **combine).predict(ITEMS)
    assert np.allclose(found, [[1 - expected, expected]] * 3)


def test_a_tied_vote_is_for_the_lowest_class(write: Write) -> None:
    assert model(write(PREDICT), 0.1, 0.9, columns=COLUMNS, combine="vote").predict(ITEMS).argmax(1).tolist() == [0] * 3


def test_a_router_chooses_among_components(write: Write) -> None:
    module = write(PREDICT)
    found = model(module, 0.1, 0.9, columns=COLUMNS, combine="route", route=f"{module}:route").predict(ITEMS)
    assert found[0, 1] in (0.1, 0.9)
    assert len(np.unique(found[:, 1])) == 1


def test_a_classifier_that_only_predicts_is_measured(write: Write) -> None:
    told = model(write(PREDICT), 0.8, columns=COLUMNS)
    assert told.utility(ITEMS)["accuracy"] == 2 / 3
    assert np.allclose(told.scores(ITEMS), np.log([4, 1 / 4, 4]))
    assert not isinstance(told, Samples)


def test_functions_of_the_users_take_the_place_of_ours(write: Write) -> None:
    module = write(PREDICT)
    told = model(module, 0.2, 0.6, columns=COLUMNS, score=f"{module}:score", measure=f"{module}:measure")
    assert told.utility(ITEMS) == {"f1": pytest.approx(0.4)}
    assert told.scores(ITEMS).tolist() == pytest.approx([0.4, 0, 0.4])


def test_predict_never_sees_the_label(write: Write) -> None:
    module = write("def predict(parts, items, context):\n    return items['label']\n")
    with pytest.raises(ExecutionFailed, match=r"py:2: predict .*: items have no column 'label', only x"):
        model(module, 0.1, columns=COLUMNS).predict(ITEMS)


def test_what_a_model_does_not_offer_is_not_measured_and_no_error(write: Write) -> None:
    """A model of a task of its own that only predicts, and a generator that only draws."""
    module = write(PREDICT)
    ranker = model(module, 0.1, columns=COLUMNS, task="rank")
    assert not isinstance(ranker, Scores | Measures)
    answered = _answers(ranker, [ITEMS], Draw(4))
    assert {*answered} == {"0 predictions", "told"}
    drawer = model(module, 0.1, 0.9, predict=f"{module}:predict", sample=f"{module}:draw", task="generate")
    answered = _answers(drawer, [ITEMS], Draw(5))
    assert {*answered} == {"drawn", "told"}
    assert len(answered["drawn"]) == 5


def test_numbers_are_measured_by_their_error(write: Write) -> None:
    module = write("def predict(parts, items, context):\n    return items['x'] * 2\n")
    told = model(module, 0.1, columns={"label": "y", "x": "x"}, task="regress")
    assert told.predict(ITEMS).shape == (3,)
    assert told.utility(ITEMS) == {"neg_rmse": pytest.approx(-np.sqrt(5 / 3))}
    with pytest.raises(
        ExecutionFailed, match=r"returned shape \(3,\); it must be \(3, classes\); write `task: regress`"
    ):
        model(module, 0.1, columns={"label": "y", "x": "x"}).predict(ITEMS)


def test_without_a_component_nothing_answers(write: Write) -> None:
    spec = ModelSpec("mine", "function", (), ("s0",), parameters={"train": "mine:fit", "predict": "mine:predict"})
    empty: Any = METHOD.assemble(spec, ())
    with pytest.raises(ExecutionFailed, match=r"^no component is left"):
        empty.predict(ITEMS)
    assert {*_answers(empty, [ITEMS], None)} == {"told"}

"""Model files: what is read, and that whatever is not understood is refused in one line that says where."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disgorge.errors import BadModel
from disgorge.method import ModelSpec
from disgorge.training.model_file import _ModelFile, model_spec, read_model_file

WHOLE = """
release: digits-tangent
method: tangent_composition
core: [core]
shards: [alice, bob]
evaluate: [held-out]
alias: candidate
seed: 7
threads: 2
parameters: {epochs: 3, rates: [0.1, 0.01], inner: {on: true}}
"""

LEAST = {"release": "r", "method": "m", "shards": ["a"]}


def write(folder: Path, text: str) -> Path:
    """Write a model file."""
    path = folder / "model.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    assert read_model_file(write(tmp_path, WHOLE)) == ModelSpec(
        release="digits-tangent",
        method="tangent_composition",
        core=("core",),
        shards=("alice", "bob"),
        evaluate=("held-out",),
        alias="candidate",
        seed=7,
        threads=2,
        parameters={"epochs": 3, "rates": [0.1, 0.01], "inner": {"on": True}},
    )


def test_what_is_left_out_is_as_the_value_has_it() -> None:
    assert model_spec(LEAST, name="m") == ModelSpec("r", "m", (), ("a",))


def test_a_key_of_the_function_method_in_another_ones_file_says_whose_it_is() -> None:
    """As where the method is misspelled."""
    said = r"^m: train: unknown; it belongs to `method: function`: write that method, or take it out$"
    with pytest.raises(BadModel, match=said):
        model_spec(LEAST | {"method": "functions", "train": "mine:fit"}, name="m")


def test_the_file_has_every_field_of_the_value_and_no_other() -> None:
    assert set(_ModelFile.model_fields) == {field.name for field in fields(ModelSpec)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 3}, "epochs: unknown"),
        ({"shards": None}, "shards: Input should be a valid list"),
        ({"shards": []}, "shards: List should have at least 1 item"),
        ({"shards": "alice"}, "shards: Input should be a valid list"),
        ({"shards": ["a", "a"]}, "shard 'a' is named twice in shards"),
        ({"core": ["a"]}, "shard 'a' is named in core and in shards"),
        ({"evaluate": ["a"]}, "shard 'a' is named in shards and in evaluate"),
        ({"seed": "7"}, "seed: Input should be a valid integer"),
        ({"seed": True}, "seed: Input should be a valid integer"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"seed": 2**53}, "seed: Input should be less than"),
        ({"threads": 0}, "threads: Input should be greater than or equal to 1"),
        ({"threads": 10**6}, "threads: Input should be less than or equal to 256"),
        ({"release": "a/b"}, "release: 'a/b' is an invalid name"),
        ({"release": ""}, "release: '' is an invalid name"),
        ({"release": "x\x1b[31m"}, "release: "),
        ({"alias": "v3"}, "alias: 'v3' means a version"),
        ({"alias": "latest"}, "alias: 'latest' means a version"),
        ({"method": ""}, "method: String should have at least 1 character"),
        ({"parameters": {"rate": float("nan")}}, "parameters: rate: "),
        ({"parameters": {"rate": {"deep": [float("inf")]}}}, "parameters: rate: "),
        ({"parameters": {"big": 2**60}}, "parameters: big: "),
        ({"parameters": [1]}, "parameters: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(BadModel) as caught:
        model_spec({**LEAST, **change}, name="model.yaml")
    assert str(caught.value).startswith("model.yaml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadModel, match=r"method: is missing; shards: is missing; bogus: unknown"):
        model_spec({"release": "r", "bogus": 1}, name="m")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a model is a mapping"),
        ("- a\n- b\n", "a model is a mapping"),
        ("release: [", "line 2, column 1"),
        ("release: a\nrelease: b\n", "the key 'release' is written twice"),
        ("release: &x a\nmethod: *x\n", "aliases are not allowed"),
        ("parameters: {from: 2026-01-01}\nrelease: a\nmethod: m\nshards: [s]\n", "2026-01-01 is a date"),
        ("release: !!python/object/apply:os.system [ls]\n", "line 1"),
    ],
)
def test_yaml_with_surprises_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BadModel) as caught:
        read_model_file(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="cannot be read"):
        read_model_file(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"release: caf\xe9\n")
    with pytest.raises(BadModel, match="not UTF-8"):
        read_model_file(tmp_path / "latin.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*_ModelFile.model_fields, "other"]), JSON))
def test_whatever_a_file_says_it_is_a_model_or_one_line(value: dict[str, object]) -> None:
    said, spec = "", None
    try:
        spec = model_spec(value, name="m")
    except BadModel as problem:
        said = str(problem)
    assert "\n" not in said
    assert bool(said) == (spec is None)


def test_of_a_thousand_problems_a_few_are_named() -> None:
    with pytest.raises(BadModel, match=r"k0: unknown.*; and 995 more$") as refused:
        model_spec(LEAST | {f"k{number}": 1 for number in range(1000)}, name="m.yaml")
    assert len(str(refused.value)) < 2_000


def test_endless_names_are_cut_and_odd_ones_quoted() -> None:
    for spoiled in ({"release": "a" * 100_000}, {"b" * 100_000: 1}, {"shards": ["c" * 100_000] * 2}, {"x\ny": 1}):
        with pytest.raises(BadModel) as refused:
            model_spec(LEAST | spoiled, name="m.yaml")
        assert len(str(refused.value)) < 500
        assert "\n" not in str(refused.value)

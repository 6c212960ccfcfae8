"""The code of functions that a model file names: found beside the file, with what it imports, and without data."""

from pathlib import Path
from typing import Any

import pytest

from disgorge.errors import BadModel
from disgorge.method import ModelSpec
from disgorge.release.patterns import resolved
from disgorge.training.code.local import LocalCode, code_of_functions, libraries_of
from disgorge.training.model_file import functions_of, model_spec
from disgorge.training.runners.declared import method_of_model
from lineage.errors import UnknownRecord
from lineage.shards.add import add_shard
from lineage.workspace import Workspace

ENTRY = "disgorge.methods.function:METHOD"


def found(folder: Path, *functions: str, declared: tuple[str, ...] = ()) -> LocalCode | None:
    """The code of functions that a model file in a folder names."""
    return code_of_functions(ENTRY, functions, folder=folder, declared=declared)


def paths(code: LocalCode | None) -> list[str]:
    """The files of the tree."""
    assert code is not None
    return [file.path for file in code.tree.files]


def test_modules_are_found_beside_the_model_file_with_all_that_they_import(tmp_path: Path) -> None:
    package = tmp_path / "reviews_one"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "fit.py").write_text("import sklearn.linear_model, helper_one, json, lineage\n")
    (package / "settings.json").write_text("{}")
    (tmp_path / "helper_one.py").write_text("def f():\n    import scipy\n")
    (tmp_path / "unused_one.py").touch()
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "prompt.txt").write_text("be kind")
    code = found(tmp_path, "reviews_one.fit:train", "reviews_one.fit:predict", declared=("extra",))
    package_files = [f"reviews_one/{name}" for name in ("__init__.py", "fit.py", "settings.json")]
    assert paths(code) == ["extra/prompt.txt", "helper_one.py", *package_files]
    assert code is not None
    assert code.entry == ENTRY
    assert libraries_of(code) == ("scipy", "sklearn.linear_model")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("rows.csv", 20_000),
        ("rows.json", 20_000),
        ("model.pkl", 1),
        ("x.npy", 20_000),
        ("x.png", 20_000),
        ("x.txt", 20_000),
    ],
)
def test_data_among_the_code_is_refused(tmp_path: Path, name: str, size: int) -> None:
    """Rows kept in the source tree are reached by no removal."""
    package = tmp_path / "reviews_two"
    package.mkdir()
    (package / "fit.py").touch()
    (package / name).write_bytes(b" " * size)
    with pytest.raises(
        BadModel, match=rf"{name}: is data among the code, .*disgorge artifact add.*record it as a shard"
    ):
        found(tmp_path, "reviews_two.fit:train")
    (package / name).unlink()
    (tmp_path / name).write_bytes(b" " * size)
    assert paths(found(tmp_path, "reviews_two.fit:train")) == ["reviews_two/fit.py"], "beside the code data may lie"
    (tmp_path / "more").mkdir()
    (tmp_path / name).rename(tmp_path / "more" / name)
    with pytest.raises(BadModel, match=f"{name}: is data among the code"):
        found(tmp_path, "reviews_two.fit:train", declared=("more",))


def test_modules_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"^no module 'reviews_three' in .*, nor installed; correct the model file"):
        found(tmp_path, "reviews_three.fit:train")
    with pytest.raises(BadModel, match=r"^module 'json' is called as one of Python's own is; rename it"):
        found(tmp_path, "json:train")
    (tmp_path / "reviews_three.py").touch()
    with pytest.raises(BadModel, match=r"^code: .*nowhere is not there"):
        found(tmp_path, "reviews_three:train", declared=("nowhere",))
    assert found(tmp_path, "numpy:sum") is None, "code of a distribution is named by its digest"


def test_a_notebook_is_refused_with_the_way_to_a_module(tmp_path: Path) -> None:
    (tmp_path / "reviews_five.ipynb").write_text("{}")
    for functions, declared in ((("reviews_five:train",), ()), ((), ("reviews_five.ipynb",))):
        with pytest.raises(BadModel, match=r"five\.ipynb: is a notebook, .* to reviews_five\.py beside it"):
            found(tmp_path, *functions, declared=declared)
    (tmp_path / "reviews_five.py").touch()
    assert paths(found(tmp_path, "reviews_five:train")) == ["reviews_five.py"], "beside a module it may lie"


FILE: dict[str, Any] = {
    "release": "mine", "method": "function", "train": "mine_four:fit", "predict": "mine_four:predict", "shards": ["a"],
}  # fmt: skip


def test_keys_of_the_file_are_the_methods_parameters() -> None:
    spec = model_spec(
        FILE | {"columns": {"label": {"field": "y", "map": {0: 1}}}, "parameters": {"C": 1.0}, "select": ["b"]},
        name="m",
    )
    assert spec.shards == ("a", "b")
    assert spec.parameters == {
        "train": "mine_four:fit", "predict": "mine_four:predict", "columns": {"label": {"field": "y", "map": {"0": 1}}},
        "select": ["b"], "parameters": {"C": 1.0},
    }  # fmt: skip
    assert functions_of(spec) == ("mine_four:fit", "mine_four:predict")
    with pytest.raises(BadModel, match=r"^m: train: unknown"):
        model_spec(FILE | {"method": "shard_graph"}, name="m")
    with pytest.raises(BadModel, match=r"^m: trian: unknown.*predict"):
        model_spec(FILE | {"trian": "x:y"}, name="m")
    with pytest.raises(BadModel, match=r"^m: shard 'a' is named in shards and in select"):
        model_spec(FILE | {"select": ["a"]}, name="m")


def test_the_method_of_a_model_has_its_code_and_the_libraries_that_this_imports(tmp_path: Path) -> None:
    (tmp_path / "mine_four.py").write_text("import sklearn\n")
    spec = model_spec(FILE, name="m")
    known = method_of_model(spec, folder=tmp_path)
    assert paths(known.code) == ["mine_four.py"]
    assert known.libraries == ("numpy", "sklearn")
    assert known.layout is not None


def test_a_package_whose_data_is_to_be_seen_must_be_installed(tmp_path: Path) -> None:
    (tmp_path / "mine_four.py").write_text("import sklearn\n")
    known = method_of_model(model_spec(FILE | {"expose": ["Scikit.Learn"]}, name="m"), folder=tmp_path)
    assert known.libraries == ("numpy", "sklearn", "scikit-learn")
    for name, perhaps in {"sklearn": "; the module is in scikit-learn; install it", "no-such": "; install it"}.items():
        with pytest.raises(BadModel, match=f"^expose: no package '{name}' is installed{perhaps}"):
            method_of_model(model_spec(FILE | {"expose": [name]}, name="m"), folder=tmp_path)
    for key in ("expose", "code"):
        with pytest.raises(BadModel, match=rf"^m: {key}: Input should be a valid list"):
            model_spec(FILE | {key: "sklearn"}, name="m")


def test_patterns_of_shards_are_looked_up_once(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    for name, source, license in (("a-1", "nyt", "MIT"), ("a-2", "imdb", "MIT"), ("b-1", "imdb", "CC-BY-4.0")):
        path = tmp_path / f"{name}.csv"
        rows = "".join(f"{len(source)}{place}{name[-1]}{len(license)},{source},{license}\n" for place in range(2))
        path.write_text(f"x,source,license\n{rows}")
        add_shard(workspace, path, name=name, source="source", license="license", legal_basis="consent", check=False)

    def names(*patterns: str, **more: Any) -> tuple[str, ...]:
        return resolved(workspace, ModelSpec("mine", "function", (), patterns, **more)).shards

    assert names("source:*", "!source:nyt") == ("a-2", "b-1")
    assert names("license:MIT") == ("a-1", "a-2")
    assert names("a-*", "b-1") == ("a-1", "a-2", "b-1")
    assert names("*", evaluate=("a-1",)) == ("a-2", "b-1")
    assert names("b-1", "gone") == ("b-1", "gone")
    with pytest.raises(UnknownRecord, match=r"names 'z-\*', which no live shard matches"):
        names("z-*")
    with pytest.raises(UnknownRecord, match="its patterns leave no shard"):
        names("a-*", "!a-*")

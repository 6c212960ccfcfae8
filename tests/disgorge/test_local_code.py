"""Which files are the local code of a method: those of the modules that it imports, and nothing that lies beside."""

from pathlib import Path

import pytest

from disgorge.training.code.local import local_code
from lineage.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    """Write modules, by name with ``__`` for ``/``."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def paths(entry: str) -> set[str]:
    """The files of the tree of an entry point."""
    code = local_code(entry)
    assert code is not None
    assert code.entry == entry
    return {file.path for file in code.tree.files}


def test_what_a_method_imports_and_nothing_beside_it(folder: Path) -> None:
    write(
        folder,
        code_a="import json, numpy, code_b\ndef train():\n    from code_c.inner import x\n",
        code_b="import importlib\nimportlib.import_module('code_d')\nimport lineage, missing_library\n",
        code_c__inner="",
        code_c__unused="",
        code_d="",
        code_e="",
        json="",
        lineage="",
    )
    (folder / "code_c" / "__init__.py").touch()
    assert paths("code_a:METHOD") == {
        "code_a.py", "code_b.py", "code_c/__init__.py", "code_c/inner.py", "code_c/unused.py", "code_d.py",
    }  # fmt: skip


def test_of_a_package_code_and_settings_count_and_no_data(folder: Path) -> None:
    write(folder, package_f__method="from . import other\n", package_f__deep__er="")
    package = folder / "package_f"
    for name in ("weights.bin", "rows.csv", "model.safetensors", "pickle.pkl", "picture.png", "unnamed", "large.json"):
        (package / name).write_bytes(b" " * 100_000)
    (package / "settings.toml").write_text("x = 1\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "method.py").touch()
    (folder / "weights.bin").touch()
    expected = {"package_f/method.py", "package_f/deep/er.py", "package_f/settings.toml"}
    assert paths("package_f.method:METHOD") == expected
    (package / "__init__.py").touch()
    assert paths("package_f.method:METHOD") == expected | {"package_f/__init__.py"}


def test_a_bare_folder_that_is_called_as_a_library_is_none_of_it(folder: Path) -> None:
    write(folder, code_g="try:\n    import logs_h\nexcept ImportError:\n    pass\n", logs_h__run="")
    assert paths("code_g:METHOD") == {"code_g.py"}


@pytest.mark.parametrize("entry", ["disgorge.methods.shard_graph:METHOD", "numpy:METHOD", "nowhere_to_be_found:METHOD"])
def test_a_method_from_a_distribution_has_none(entry: str) -> None:
    assert local_code(entry) is None


def test_editing_makes_another_tree_and_editing_what_lies_beside_does_not(folder: Path) -> None:
    write(folder, code_i="import code_j\n", code_j="x = 1\n", code_k="")
    before = local_code("code_i:METHOD")
    write(folder, code_k="x = 1\n")
    assert local_code("code_i:METHOD") == before
    write(folder, code_j="x = 2\n")
    after = local_code("code_i:METHOD")
    assert before is not None
    assert after is not None
    assert after.tree.digest != before.tree.digest


@pytest.mark.parametrize("name", ["package_l/linked.py", "package_l/linked", "module_m.py"])
def test_a_link_is_refused_in_one_line(folder: Path, name: str) -> None:
    write(folder, package_l____init__="", real="")
    (folder / name).symlink_to(folder if name.endswith("linked") else folder / "real.py")
    with pytest.raises(BadInput, match="is a link") as refused:
        local_code(f"{Path(name).parts[0].removesuffix('.py')}:METHOD")
    assert len(str(refused.value).splitlines()) == 1

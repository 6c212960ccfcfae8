"""Jobs see of installed packages what distributions list, but no data, nothing stray, nothing compiled elsewhere."""

import hashlib
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from disgorge.training.sandbox import installed
from disgorge.training.sandbox.hidden import is_data
from disgorge.training.sandbox.installed import strays, view_of


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep views in a folder of the test's, and forget them in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    view_of.cache_clear()
    yield
    view_of.cache_clear()


FILES = {
    "pack/__init__.py": b"x = 1\n",
    "pack/rows.csv": b"1,2\n",
    "pack/small.pkl": b"x",
    "pack/big.pkl": b"x" * 20_000,
}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of packages with one distribution, as pip leaves it."""
    folder = tmp_path / "site-packages"
    rows = []
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(data)}")
    notes = folder / "My.Pack-1.0.dist-info"
    notes.mkdir()
    rows += ["My.Pack-1.0.dist-info/RECORD,,", "../../bin/tool,,", "pack/__pycache__/__init__.cpython-311.pyc,,"]
    (notes / "RECORD").write_text("\n".join(rows) + "\n")
    return folder


def seen(packages: Path, *exposed: str) -> set[str]:
    """The files of a view, made or read anew."""
    view_of.cache_clear()
    folder = view_of(packages, exposed).folder
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


CODE = {"pack/__init__.py", "pack/small.pkl", "My.Pack-1.0.dist-info/RECORD"}


def test_data_is_left_out_unless_its_package_is_exposed(packages: Path) -> None:
    assert seen(packages) == CODE
    assert seen(packages, "my-pack") == CODE | {"pack/rows.csv", "pack/big.pkl"}
    assert seen(packages, "another") == CODE


@pytest.mark.parametrize(
    "name", ["stray.py", "pack/weights.bin", "pack/__pycache__/__init__.cpython-311.pyc", "pack/x.pyc"]
)
def test_a_stray_file_is_no_part_of_it(packages: Path, name: str) -> None:
    before = seen(packages)
    (packages / name).parent.mkdir(exist_ok=True)
    (packages / name).write_bytes(b"old weights")
    assert seen(packages) == before == CODE
    assert strays(packages) == ([] if name.endswith(".pyc") else [name])


def test_a_link_is_no_part_of_it(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"old weights")
    (packages / "pack" / "link.py").symlink_to(tmp_path / "weights")
    (packages / "pack" / "folder").symlink_to(tmp_path)
    (packages / "pack" / "__init__.py").unlink()
    (packages / "pack" / "__init__.py").symlink_to(tmp_path / "weights")
    assert seen(packages) == CODE - {"pack/__init__.py"}
    assert strays(packages) == ["pack/__init__.py", "pack/folder", "pack/link.py"]


def test_an_edited_file_is_named(packages: Path) -> None:
    assert view_of(packages).edited == ()
    view_of.cache_clear()
    (packages / "pack" / "__init__.py").write_bytes(b"x = 22\n")  # in place: the view has the same file
    assert view_of(packages).edited == ("pack/__init__.py",)


def test_a_view_that_was_changed_is_made_again(packages: Path) -> None:
    place = view_of(packages).folder
    (place / "pack" / "weights.py").write_bytes(b"old weights")
    assert seen(packages) == CODE


def test_an_upgrade_has_a_view_of_its_own(packages: Path) -> None:
    first = view_of(packages)
    view_of.cache_clear()
    with (packages / "My.Pack-1.0.dist-info" / "RECORD").open("a") as record:
        record.write("pack/new.py,,\n")
    (packages / "pack" / "new.py").write_text("")
    assert view_of(packages).key != first.key
    assert seen(packages) == CODE | {"pack/new.py"}


def test_where_files_cannot_be_linked_they_are_copied(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", refuse)
    assert seen(packages) == CODE
    assert (view_of(packages).folder / "pack" / "__init__.py").stat().st_nlink == 1


def test_a_view_that_nobody_used_is_deleted(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = view_of(packages).folder
    os.utime(old.with_suffix(".json"), (1, 1))
    view_of.cache_clear()
    assert view_of(packages, ("my-pack",)).folder.is_dir()
    assert not old.exists()
    assert installed.cache_folder().stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "name",
    [
        "sklearn/datasets/data/iris.csv", "a/rows.parquet", "a/x.npz", "a/china.jpg", "a/x.wav", "a/x.tar.gz",
        "a/X.CSV", "a/x.sqlite", "a/x.safetensors", "a/datasets/rows.json", "a/tests/data/rows.txt",
    ],
)  # fmt: skip
def test_these_are_data(name: str) -> None:
    assert is_data(name, 1 << 20)


@pytest.mark.parametrize(
    "name",
    ["a/x.py", "a/x.so", "a/libx.so.12", "a/schema.json", "a/x.ttf", "a/x.pyi", "a/py.typed", "a-1.dist-info/RECORD"],
)
def test_these_are_not(name: str) -> None:
    assert not is_data(name, 1 << 20)

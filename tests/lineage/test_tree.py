"""Trees of files by digest: what counts, and what is no tree."""

import hashlib
import json
from pathlib import Path

import pytest

from lineage.errors import BadInput, DigestMismatch, LineageError
from lineage.storage.objects import Objects
from lineage.storage.tree import Tree, kept_tree, listed, regular_files

FILES = {"a/b.py": b"x = 1\n", "a.py": b"", "a-b.py": b"y = 2\n"}


def test_a_digest_is_that_of_the_canonical_listing() -> None:
    listing = sorted([path, len(data), hashlib.sha256(data).hexdigest()] for path, data in FILES.items())
    text = json.dumps(listing, separators=(",", ":")).encode()
    assert Tree.of(FILES).digest == hashlib.sha256(text).hexdigest()
    assert Tree.of(dict(reversed(FILES.items()))).digest == Tree.of(FILES).digest


@pytest.mark.parametrize("change", [{"a.py": b" "}, {"b.py": b""}, {"a/b.py": b"x = 2\n"}])
def test_names_and_bytes_count(change: dict[str, bytes]) -> None:
    assert Tree.of(FILES | change).digest != Tree.of(FILES).digest


def test_what_is_kept_comes_back_and_damage_is_found(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    digest = Tree.of(FILES).keep(objects)
    assert kept_tree(objects, digest).data == FILES
    assert {file.path for file in listed(objects, digest)} == FILES.keys()
    objects.path(hashlib.sha256(b"y = 2\n").hexdigest()).write_bytes(b"y = 3\n")
    with pytest.raises(DigestMismatch):
        kept_tree(objects, digest)


ZEROS = "0" * 64
NO_LISTINGS = [
    b"x = 1\n", b"[[]]", b"{}", b'[["../a.py",0,"%b"]]' % ZEROS.encode(), b'[["/a.py",0,"%b"]]' % ZEROS.encode(),
    b'[["a.py",0,"ab"]]', b'[["a//b.py",0,"%b"]]' % ZEROS.encode(), b'[["a.py", 0, "%b"]]' % ZEROS.encode(),
    b'[["b.py",0,"%b"],["a.py",0,"%b"]]' % (ZEROS.encode(), ZEROS.encode()),
]  # fmt: skip


@pytest.mark.parametrize("data", NO_LISTINGS)
def test_what_is_no_listing_is_no_tree(tmp_path: Path, data: bytes) -> None:
    """Another form, or a path that leads out of the folder that a tree is written to."""
    objects = Objects(tmp_path)
    digest = objects.put(data)
    assert listed(objects, digest) == ()
    with pytest.raises(LineageError, match="is not the listing of a tree"):
        kept_tree(objects, digest)


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    assert list(regular_files(tmp_path)) == [tmp_path / "a.py"]
    (tmp_path / "b.py").symlink_to("a.py")
    with pytest.raises(BadInput, match=r"b\.py: is a link"):
        list(regular_files(tmp_path))

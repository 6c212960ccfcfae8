"""Done: pointers of Git LFS, git-annex and DVC, and error pages of a download, given where data is read from.
Must: each is refused in one line with the command that fetches the real thing; data that only looks like one goes in.
Follows: functime-org/functime#148
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lineage.errors import BadInput
from lineage.formats.read import read_file
from lineage.shards.add import add_shard
from lineage.workspace import Workspace

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"
ANNEX = f"/annex/objects/SHA256E-s12345--{OID}\n"
PAGE = "\n<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"
LOGIN = "<html lang='en'><head><meta charset='utf-8'><title>Sign in - Files</title>"
DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)
KINDS = {
    "lfs": (LFS, "git lfs pull --include"),
    "annex": (ANNEX, "git annex get"),
    "page": (PAGE, "a web page, perhaps an error"),
    "login": (LOGIN, "a web page, perhaps an error"),
    "denied": (DENIED, "a web page, perhaps an error"),
}


@pytest.mark.parametrize(
    "suffix", [".csv", ".parquet", ".pq", ".npz", ".tsv", ".jsonl", ".ndjson", ".csv.gz", ".jsonl.zst"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_stands_for_one_is_refused(tmp_path: Path, kind: str, suffix: str) -> None:
    text, says = KINDS[kind]
    path = tmp_path / f"people{suffix}"
    path.write_text(text)
    with pytest.raises(BadInput, match=says) as refused:
        read_file(path)
    assert "\n" not in str(refused.value)


def folder(path: Path, suffix: str) -> Path:
    """Return a folder with one real file of a kind, which is read first."""
    path.mkdir()
    match suffix:
        case ".png":
            Image.new("RGB", (2, 2)).save(path / "a.png")
        case ".npy":
            np.save(path / "a.npy", np.zeros(2))
        case _:
            (path / f"a{suffix}").write_text("what it says")
    return path


@pytest.mark.parametrize(
    ("suffix", "whole"), [(".png", False), (".npy", False), (".txt", False), (".wav", True), (".png", True), ("", True)]
)
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_one_among_the_files_of_a_folder_refuses_it(
    tmp_path: Path, kind: str, suffix: str, whole: bool, in_place: bool
) -> None:
    text, says = KINDS[kind]
    path = folder(tmp_path / "data", suffix)
    (path / "sub").mkdir()
    (path / "a").with_suffix(suffix).rename(path / "sub" / f"a{suffix}")
    (path / "sub" / f"b{suffix}").write_text(text)
    workspace = Workspace.init(tmp_path / "work")
    with pytest.raises(BadInput, match=says):
        add_shard(workspace, path, name="data", whole=whole, in_place=in_place, check=False)
    assert not list(workspace.ledger.facts("shard"))


def test_a_file_of_dvc_is_refused_and_names_what_to_give(tmp_path: Path) -> None:
    path = tmp_path / "data" / "people.csv.dvc"
    path.parent.mkdir()
    path.write_text("outs:\n- md5: 4d7a214614ab2935c943f9e0ff69d22e\n  size: 12\n  path: people.csv\n")
    for given, whole in ((path, False), (path.parent, False), (path.parent, True)):
        with pytest.raises(BadInput, match=r"`dvc pull people\.csv\.dvc` and give people\.csv"):
            read_file(given, whole=whole)


@pytest.mark.parametrize("whole", [False, True])
def test_a_link_of_git_annex_whose_content_is_not_there_names_the_command(tmp_path: Path, whole: bool) -> None:
    path = folder(tmp_path / "data", ".png")
    (path / "b.png").symlink_to(f"../.git/annex/objects/Xx/9q/SHA256E-s1--{OID}.png/SHA256E-s1--{OID}.png")
    for given in (path, path / "b.png"):
        with pytest.raises(BadInput, match=r"fetch it with `git annex get b\.png`"):
            read_file(given, whole=whole and given.is_dir())


def test_what_only_looks_like_one_goes_in(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "a.html").write_text(PAGE)
    (pages / "b.php").write_text("<html><head><title>Shop</title></head><?php echo 1 ?>")
    (pages / "c").write_text("<!doctype html><title>How to bake bread</title>")
    (pages / "d.txt").write_text("version https://git-lfs.github.com is what a pointer begins with")
    (pages / "e.dvc").write_text("no file of DVC\n")
    (pages / "f.svg").write_text("<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>")
    (pages / "empty.bin").write_bytes(b"")
    assert len(read_file(pages, whole=True)) == 7
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("<html><title>A page of a corpus</title>")
    assert len(read_file(texts)) == 1
    table = tmp_path / "t.csv"
    table.write_text("html,version\n<html>,https://git-lfs.github.com/spec/v1\n")
    assert len(read_file(table)) == 1

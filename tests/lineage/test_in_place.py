"""Items recorded where they lie: nothing is copied, everything is checked when it is read, and a cut copies nothing."""

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from lineage.errors import BadInput, DigestMismatch
from lineage.records import Shard, ShardChange, shard_digest
from lineage.shards.add import Added, add_file, add_shard, live_shards, shard_items, shard_rows
from lineage.shards.cut import cut_shard
from lineage.shards.divide import Division
from lineage.shards.files import check_items, references_of
from lineage.shards.source_files import files_to_delete, sources_of
from lineage.workspace import Workspace

TABLE = "key,code,text\n1,5,good\n2,007,bad\n3,4,fine\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "work")


def add(workspace: Workspace, path: Path, name: str = "a", **how: Any) -> Added:
    """Record a file or folder in place."""
    return add_shard(workspace, path, name=name, in_place=True, check=False, **how)


def table(tmp_path: Path, text: str = TABLE) -> Path:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    return path


def media(folder: Path) -> Path:
    """A folder of real pictures of two sizes, and a sound."""
    folder.mkdir()
    for name, image in zip(("china", "flower"), load_sample_images().images, strict=True):
        Image.fromarray(image[: 40 if name == "china" else 30, :50]).save(folder / f"{name}.png")
    with wave.open(str(folder / "tone.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes((np.sin(np.arange(400) / 5) * 9000).astype("<i2").tobytes())
    return folder


def without(workspace: Workspace, shard: Shard, *keys: str) -> Shard:
    """Cut the items of these keys out of a shard."""
    rows = shard_rows(workspace, shard.digest)
    gone = {row.digest for row in rows if row.key in keys}
    left = [row.digest for row in rows if row.digest not in gone]
    after = replace(shard, digest=shard_digest(left), count=len(left), derived_from=shard.digest, manifest=None)
    cut = cut_shard(workspace, ShardChange(shard, after, len(rows) - len(left)), gone)
    assert cut is not None
    return cut


def broken(workspace: Workspace, shard: Shard) -> str:
    """Return in what one line reading a shard ends."""
    with pytest.raises(DigestMismatch) as caught:
        shard_items(workspace, shard.digest)
    with pytest.raises(DigestMismatch):
        check_items(workspace, shard.digest)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sources(tmp_path: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Real data in every form: how to read it."""
    digits = load_digits()
    images, labels = digits.images[:20].astype(np.float32), digits.target[:20]
    np.savez(tmp_path / "d.npz", image=images, label=labels)
    pq.write_table(pa.table({"image": [row.ravel() for row in images], "label": labels}), tmp_path / "d.parquet")
    (tmp_path / "pictures").mkdir()
    for row, image in enumerate(images):
        Image.fromarray((image * 15).astype(np.uint8)).save(tmp_path / "pictures" / f"{row:02}.png")
    return {
        "csv": (table(tmp_path), {}),
        "npz": (tmp_path / "d.npz", {}),
        "parquet": (tmp_path / "d.parquet", {}),
        "pictures": (tmp_path / "pictures", {}),
        "whole files": (media(tmp_path / "media"), {"whole": True}),
    }


@pytest.mark.parametrize("form", ["csv", "npz", "parquet", "pictures", "whole files"])
def test_it_is_the_shard_that_a_copy_would_be_and_copies_nothing(tmp_path: Path, form: str) -> None:
    path, how = sources(tmp_path)[form]
    copied, lying = Workspace.init(tmp_path / "copied"), Workspace.init(tmp_path / "lying")
    copy, here = add_shard(copied, path, name="a", check=False, **how), add(lying, path, **how)
    assert (copy.shard, copy.in_place, here.in_place) == (here.shard, False, True)
    (one, arrays), (two, same) = (shard_items(each, copy.shard.digest) for each in (copied, lying))
    assert one == two == check_items(lying, copy.shard.digest)
    assert {name: array.tolist() for name, array in arrays.items()} == {n: a.tolist() for n, a in same.items()}
    content = pq.read_table(lying.content_path(here.shard.digest))
    assert content.column_names == ["digest", "file"]
    again = add(lying, path, **how)
    assert (again.new, again.shard) == (False, here.shard)


def test_rows_may_move_and_others_may_come_and_go(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path)
    shard = add(workspace, path).shard
    _, arrays = shard_items(workspace, shard.digest)
    assert sorted(arrays["code"].tolist()) == ["007", "4", "5"]
    left = without(workspace, shard, "2")
    before = shard_items(workspace, left.digest)[1]["code"].tolist()
    table(tmp_path, "key,code,text\n9,12,new\n3,4,fine\n1,5,good\n")  # by itself the column would be numbers now
    assert shard_items(workspace, left.digest)[1]["code"].tolist() == before
    assert "1 of 3 items" in broken(workspace, shard)


def test_what_was_cut_lies_in_place_too(workspace: Workspace, tmp_path: Path) -> None:
    folder = media(tmp_path / "media")
    shard = add(workspace, folder, whole=True).shard
    left = without(workspace, shard, "china.png")
    (folder / "china.png").unlink()
    digests, arrays = shard_items(workspace, left.digest)
    assert (len(digests), sorted(arrays["suffix"].tolist())) == (2, [".png", ".wav"])
    assert references_of(workspace, left.digest) is not None


@pytest.mark.parametrize("how", ["changed", "gone", "folder gone", "longer"])
def test_a_file_that_changed_or_vanished_is_named(workspace: Workspace, tmp_path: Path, how: str) -> None:
    folder = media(tmp_path / "media")
    shard, tone = add(workspace, folder, whole=True).shard, folder / "tone.wav"
    match how:
        case "changed":
            tone.write_bytes(tone.read_bytes()[:-1] + b"?")
        case "longer":
            tone.write_bytes(tone.read_bytes() + b"\0")
        case "gone":
            tone.unlink()
        case _:
            folder.rename(tmp_path / "elsewhere")
    said = broken(workspace, shard)
    assert str(folder if how == "folder gone" else tone) in said
    assert "put" in said, "what to do"


def test_a_picture_that_is_one_no_more_is_named(workspace: Workspace, tmp_path: Path) -> None:
    path, _ = sources(tmp_path)["pictures"]
    shard = add(workspace, path).shard
    (path / "03.png").write_bytes(b"no picture")
    assert "03.png" in broken(workspace, shard)


def test_data_that_moved_is_added_again_from_where_it_is(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path)
    shard = add(workspace, path, key="key").shard
    moved = path.rename(tmp_path / "moved.csv")
    assert str(path) in broken(workspace, shard)
    assert not add(workspace, moved, key="key").new
    assert shard_items(workspace, shard.digest)[0] == check_items(workspace, shard.digest)


def test_parts_of_a_file_lie_in_it(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path, "key,who,x\n1,ann,5\n2,bob,6\n3,Ann,7\n")
    parts = add_file(workspace, path, name="a", subject="who", division=Division("who"), in_place=True, check=False)
    assert sorted(len(check_items(workspace, part.shard.digest)) for part in parts) == [1, 2]


def test_references_from_elsewhere_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    shard = add(workspace, table(tmp_path)).shard
    with pytest.raises(DigestMismatch):
        shard_items(workspace, shard.digest, limit=1_000_000)


def test_references_that_were_edited_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    shard, other = add(workspace, table(tmp_path)).shard, tmp_path / "b.csv"
    other.write_text("key,code,text\n1,x,y\n", encoding="utf-8")
    strange = add(workspace, other, "b").shard
    workspace.content_path(shard.digest).write_bytes(workspace.content_path(strange.digest).read_bytes())
    assert "refers to other items" in broken(workspace, shard)
    workspace.content_path(shard.digest).write_bytes(b"PAR1 damaged PAR1")
    broken(workspace, shard)


def test_withdrawn_items_do_not_come_back_in_place(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path)
    workspace.mark_withdrawn(check_items(workspace, add(workspace, path).shard.digest)[:1])
    with pytest.raises(BadInput, match="withdrawn by request"):
        add(workspace, path, "again")
    assert len(live_shards(workspace)) == 1


def test_it_does_not_go_with_dvc(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no content to track"):
        add(workspace, table(tmp_path), dvc=True)


def test_the_files_that_a_person_has_to_delete_are_known(workspace: Workspace, tmp_path: Path) -> None:
    folder, path = media(tmp_path / "media"), table(tmp_path)
    shard, rows = add(workspace, folder, whole=True).shard, add(workspace, path, "rows").shard
    keys = {row.key: row.digest for each in (shard, rows) for row in shard_rows(workspace, each.digest)}
    (_, pictures), (_, lines) = (next(iter(sources_of(workspace, [each.digest]))) for each in (shard, rows))
    gone = {keys["china.png"], keys["tone.wav"], keys["2"]}
    assert files_to_delete(pictures, gone) == ("china.png", "tone.wav")
    assert files_to_delete(lines, gone) == ("",)
    (folder / "china.png").unlink()
    table(tmp_path, TABLE.replace("2,007,bad\n", ""))
    assert (files_to_delete(pictures, gone), files_to_delete(lines, gone)) == (("tone.wav",), ())

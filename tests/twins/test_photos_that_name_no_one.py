"""Done: a folder of photographs with a metadata.csv or metadata.jsonl beside them, one file missing, one line too many.
Must: people are named by its columns, both are refused by name, and one person's removal leaves no line of it.
Follows: Georgefwt/AquaLoRA#8
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from disgorge.locations.location import Spare, Target
from disgorge.locations.source_files import SourceFiles
from disgorge.removal.dry_run import preview
from disgorge.report.bundle import verify_bundle
from disgorge.training.runners.local import Workers
from lineage.errors import BadInput
from lineage.formats.metadata import NAMES
from lineage.formats.read import read_file
from lineage.records import Selector
from lineage.shards.add import add_shard, shard_rows
from lineage.shards.files import check_items
from lineage.shards.source_files import files_to_delete, sources_of
from lineage.workspace import Workspace
from tests.own_code import Case
from tests.toys import NOW, carry, granted_plan, live_shards

PEOPLE = ("Ann Lee", "Ann  LEE", "Bob Ray", "Cy Fox", "Dee May", "Eve Orr")
CODE = """
import numpy as np

def fit(items, parts, context):
    return {"mean": items["image"].reshape(len(items), -1).mean(axis=0), "rate": np.array(items["smiles"]).mean()}

def predict(parts, items, context):
    return np.eye(2)[(items["image"].reshape(len(items), -1).mean(axis=1) > parts["mean"].mean()).astype(int)]
"""


def photos(folder: Path, form: str = "metadata.csv") -> Path:
    """A folder of six photographs of five people, and its metadata, with a comma and a line break in a cell."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(len(PEOPLE)):
        picture = Image.fromarray(rng.integers(0, 255, (6, 5, 3), dtype=np.uint8))
        picture.save(folder / f"p{number}.png")
    cells = [(f"p{number}.png", who, f"id-{number}", number % 2) for number, who in enumerate(PEOPLE)]
    if form == "metadata.csv":
        lines = [f'{file},"{who}",{key},"so, \r\nor so {key}",{smiles}\r\n' for file, who, key, smiles in cells]
        text = "\ufefffile_name,who,key,caption,smiles\r\n" + "".join(reversed(lines))
    else:
        lines = [
            f'{{"file": "./{file}",  "who": "{who}", "key": "{key}", "caption": "or so {key}", "smiles": {smiles}}}\n'
            for file, who, key, smiles in cells
        ]
        text = "".join(lines)
    (folder / form).write_bytes(text.encode())
    return folder


@pytest.mark.parametrize("form", NAMES)
def test_people_are_named_by_the_columns(form: str, tmp_path: Path) -> None:
    taken = read_file(photos(tmp_path / "photos", form), subject="who")
    assert taken.subjects == PEOPLE
    assert taken.keys == tuple(f"id-{number}" for number in range(6))
    assert {name: array.dtype.kind for name, array in taken.content.items()} == {
        "caption": "T", "image": "u", "smiles": "i",
    }  # fmt: skip
    assert taken.content["smiles"].tolist() == [0, 1, 0, 1, 0, 1]
    column = "file_name" if form == "metadata.csv" else "file"
    by_name = read_file(tmp_path / "photos", subject="who", key=column, fields=["image"])
    assert by_name.keys == tuple(f"p{number}.png" for number in range(6))


@pytest.mark.parametrize("form", NAMES)
def test_a_file_without_a_line_and_a_line_without_a_file_are_refused_by_name(form: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", form)
    whole = (folder / "p3.png").read_bytes()
    (folder / "p3.png").rename(tmp_path / "p3.png")
    with pytest.raises(BadInput, match=rf"{form}: line \d+: 'p3.png' is not in the folder; put it there, or delete"):
        read_file(folder, subject="who")
    (folder / "p3.png").write_bytes(whole)
    (folder / "p9.png").write_bytes(whole)
    with pytest.raises(BadInput, match=rf"p9\.png: has no line in {form}; add a line"):
        read_file(folder, subject="who")


def test_what_is_no_metadata_or_lies_elsewhere_is_no_item_in_silence(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "metadata.jsonl").write_text("{}\n")
    with pytest.raises(BadInput, match="leave one of both"):
        read_file(folder, whole=True)
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(BadInput, match=r"only metadata\.csv or metadata\.jsonl at the top of a folder is read"):
        read_file(tmp_path, whole=True)
    (folder / "metadata.csv").write_text("name,who\np1.png,Ann\n")
    with pytest.raises(BadInput, match="no column 'file_name' or 'file'"):
        read_file(folder, whole=True)
    (folder / "metadata.csv").write_text("file_name,who\np1.png,Ann\np1.png,Bob\n")
    with pytest.raises(BadInput, match=r"line 3: 'p1\.png' has a line already"):
        read_file(folder, whole=True)


def trained(tmp_path: Path, form: str, **how: Any) -> tuple[Workspace, Path]:
    """A workspace with a model of the photographs, which are in place."""
    workspace, folder = Workspace.init(tmp_path / "work", clock=lambda: NOW), photos(tmp_path / "photos", form)
    add_shard(
        workspace, folder, name="photos", subject="who", license="MIT", legal_basis="consent", check=False,
        in_place=True, **how,
    )  # fmt: skip
    case = Case(workspace, tmp_path / "code")
    case.folder.mkdir()
    case.write(CODE)
    case.make(case.spec(shards=["photos"]))
    return workspace, folder


@pytest.mark.parametrize("form", NAMES)
def test_a_person_is_removed_and_the_metadata_loses_the_lines(form: str, tmp_path: Path) -> None:
    workspace, folder = trained(tmp_path, form)
    before, old = (folder / form).read_bytes(), live_shards(workspace)["photos"]
    granted_plan(workspace, [Selector("subject", workspace.subject("ann lee"))])
    said = preview(workspace, "R-1")
    assert [words for words in said.left if "p0.png: lies in place; delete it yourself" in words]
    assert [words for words in said.rewritten if "2 lines" in words]
    with Workers(workspace, count=1) as workers:
        done = carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=1))
    assert verify_bundle(done.bundle, public_key=(workspace.home / "public.pem").read_bytes()).verdict == "certified"
    after, kept = (folder / form).read_bytes(), before
    for number in (0, 1):
        start = before.index(f"p{number}.png".encode())
        start = before.rindex(b"{", 0, start) if form == "metadata.jsonl" else start
        end = before.index(b"\n", before.index(f"so id-{number}".encode())) + 1
        kept = kept.replace(before[start:end], b"")
    assert after == kept, "every other line keeps its bytes"
    items = {row.digest for row in shard_rows(workspace, live_shards(workspace)["photos"].digest)}
    gone = frozenset(digest for _, source in sources_of(workspace, [old.digest]) for _, _, digest in source.files)
    (source,) = (source for _, source in sources_of(workspace, [old.digest]))
    assert files_to_delete(source, gone - items) == ("p0.png", "p1.png"), "without its line a file is there still"
    for name in ("p0.png", "p1.png"):
        (folder / name).unlink()
    assert not SourceFiles(workspace).search(Target((old.digest,), items=gone - items), Spare()).unsupported
    assert len(check_items(workspace, live_shards(workspace)["photos"].digest)) == 4
    assert len(read_file(folder, subject="who")) == 4, "what is left is a folder that can be added"


def test_a_line_that_another_shard_reads_stays(tmp_path: Path) -> None:
    workspace, folder = Workspace.init(tmp_path / "work"), photos(tmp_path / "photos")
    terms: dict[str, Any] = {"subject": "who", "check": False, "in_place": True}
    shard = add_shard(workspace, folder, name="all", **terms).shard
    items = frozenset(row.digest for row in shard_rows(workspace, shard.digest))
    target = Target((shard.digest,), items=items)
    assert SourceFiles(workspace).plan(target, Spare()).rewritten
    add_shard(workspace, folder, name="pixels", fields=["image"], **terms)
    assert not SourceFiles(workspace).plan(target, Spare()).rewritten

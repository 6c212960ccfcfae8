"""Every reader takes in whole files, and answers anything else with one clear line."""

import datetime as dt
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lineage.errors import BadInput
from lineage.formats.read import Intake, from_arrays, read_file
from lineage.storage.content import item_digests, read_content, write_content

IMAGES = np.arange(3 * 4, dtype=np.float32).reshape(3, 2, 2)
LABELS = np.array([0, 1, 1])


def csv_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def npz_file(folder: Path, **arrays: Any) -> Path:
    path = folder / "a.npz"
    np.savez(path, **arrays)
    return path


def parquet_file(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def picture(path: Path, size: tuple[int, int] = (4, 3), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 7).save(path)


def refused(path: Path, **options: Any) -> str:
    before = sorted(file.name for file in path.parent.iterdir())
    with pytest.raises(BadInput) as caught:
        read_file(path, **options)
    assert sorted(file.name for file in path.parent.iterdir()) == before
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# What is taken in


def test_the_same_items_are_the_same_in_every_format(tmp_path: Path) -> None:
    columns = {"x": [1.5, 2.0, 3.0], "label": [0, 1, 1], "who": ["ann", "bob", "ann"]}
    text = "".join(f"{line}\n" for line in ("x,label,who", "1.5,0,ann", "2.0,1,bob", "3.0,1,ann"))
    files = [
        csv_file(tmp_path, text),
        npz_file(tmp_path, **{name: np.array(values) for name, values in columns.items()}),
        parquet_file(tmp_path, columns),
    ]
    taken = [read_file(file, subject="who") for file in files]
    assert len({item_digests(intake.content) for intake in taken}) == 1
    assert {intake.subjects for intake in taken} == {("ann", "bob", "ann")}
    assert {intake.keys for intake in taken} == {("0", "1", "2")}


def test_columns_of_the_four_names_play_their_parts_unasked(tmp_path: Path) -> None:
    intake = read_file(csv_file(tmp_path, "key,subject,source,license,x\na,ann,,MIT,1\nb,,web,,2\n"))
    assert intake == Intake(
        origin=str(tmp_path / "a.csv"),
        content=intake.content,
        keys=("a", "b"),
        subjects=("ann", None),
        sources=(None, "web"),
        licenses=("MIT", None),
        rows=("line 2", "line 3"),
    )
    assert list(intake.content) == ["x"]


def test_fields_can_be_chosen(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, {"x": [1], "y": [2], "t": [None]})
    assert list(read_file(path, fields=["y"]).content) == ["y"]


def test_parts_may_be_whole_numbers(tmp_path: Path) -> None:
    assert read_file(npz_file(tmp_path, x=IMAGES, id=np.array([7, 8, 9])), key="id").keys == ("7", "8", "9")
    assert read_file(csv_file(tmp_path, "id,x\n007,1\n"), key="id").keys == ("007",)
    assert read_file(parquet_file(tmp_path, {"id": [7, 8], "x": [1, 2]}), key="id").keys == ("7", "8")


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-2"], "int64", [1, -2]),
        (["1", "2.5"], "float64", [1.0, 2.5]),
        (["1e3", ".5"], "float64", [1000.0, 0.5]),
        (["007", "1"], "str", ["007", "1"]),
        (["9223372036854775808", "1"], "str", ["9223372036854775808", "1"]),
        (["a", ""], "str", ["a", ""]),
        (["1", "two"], "str", ["1", "two"]),
        (['"a, ""b"""', '"two\nlines"'], "str", ['a, "b"', "two\nlines"]),
        (["\u0661", "2"], "str", ["\u0661", "2"]),
    ],
)
def test_a_csv_column_is_what_all_its_cells_agree_on(
    cells: list[str], dtype: str, values: list[Any], tmp_path: Path
) -> None:
    lines = "".join(f"{cell},0\n" for cell in cells)
    array = read_file(csv_file(tmp_path, f"x,y\n{lines}")).content["x"]
    assert array.tolist() == values
    assert str(array.dtype).startswith("StringDType" if dtype == "str" else dtype)


def test_csv_may_begin_with_a_byte_order_mark_and_use_another_encoding(tmp_path: Path) -> None:
    assert list(read_file(csv_file(tmp_path, b"\xef\xbb\xbfx\r\n1\r\n\r\n")).content) == ["x"]
    path = csv_file(tmp_path, "t\nM\u00fcller\n".encode("latin-1"))
    assert read_file(path, encoding="latin-1").content["t"].tolist() == ["Müller"]


def test_nested_lists_in_parquet_become_arrays(tmp_path: Path) -> None:
    small = pa.array(IMAGES.tolist(), pa.list_(pa.list_(pa.float32())))
    fixed = pa.array(IMAGES.tolist(), pa.list_(pa.list_(pa.float32(), 2), 2))
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(IMAGES)
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    taken = read_file(parquet_file(tmp_path, {"a": small, "b": fixed, "c": tensor, "w": words})).content
    for name in "abc":
        np.testing.assert_array_equal(taken[name], IMAGES)
        assert taken[name].dtype == np.float32
    assert taken["w"].tolist() == ["a", "b", "a"]


def test_rows_of_a_sliced_or_chunked_table_stay_in_place(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([[i, i + 1] for i in range(10)]), "t": [str(i) for i in range(10)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    taken = read_file(tmp_path / "a.parquet").content
    assert taken["x"].tolist() == [[i, i + 1] for i in range(10)]
    assert taken["t"].tolist() == [str(i) for i in range(10)]


def test_arrays_in_memory_are_checked_as_files_are() -> None:
    assert from_arrays({"x": IMAGES}, subjects=["a", "b", None]).subjects == ("a", "b", None)
    with pytest.raises(BadInput, match="row 1: field 'x' is infinite"):
        from_arrays({"x": [1.0, np.inf]})
    with pytest.raises(BadInput, match="2 values of key for 3 items"):
        from_arrays({"x": IMAGES}, keys=["a", "b"])


def test_a_folder_of_pictures_takes_its_labels_from_sub_folders(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.PNG", "dog/1.png"):
        picture(tmp_path / "pets" / name)
    (tmp_path / "pets" / ".DS_Store").write_bytes(b"x")
    intake = read_file(tmp_path / "pets")
    assert intake.keys == ("cat/1.png", "cat/2.PNG", "dog/1.png")
    assert intake.content["label"].tolist() == ["cat", "cat", "dog"]
    assert intake.content["image"].shape == (3, 3, 4)
    assert read_file(tmp_path / "pets", subject="label").subjects == ("cat", "cat", "dog")
    assert "label" not in read_file(tmp_path / "pets", subject="label").content


@pytest.mark.parametrize(("mode", "shape"), [("L", (3, 4)), ("RGB", (3, 4, 3)), ("P", (3, 4, 3)), ("1", (3, 4))])
def test_pictures_become_brightness_whatever_their_mode(mode: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    picture(tmp_path / "f" / "a.png", mode=mode)
    image = read_file(tmp_path / "f").content["image"]
    assert image.shape[1:] == shape
    assert image.dtype == np.uint8


def test_folders_of_arrays_and_texts(tmp_path: Path) -> None:
    for kind in ("npy", "txt"):
        (tmp_path / kind).mkdir()
    np.save(tmp_path / "npy" / "b.npy", np.asfortranarray(IMAGES[1]))
    np.save(tmp_path / "npy" / "a.npy", IMAGES[0])
    (tmp_path / "txt" / "a.txt").write_text("Grüße\n", encoding="utf-8")
    np.testing.assert_array_equal(read_file(tmp_path / "npy").content["array"], IMAGES[:2])
    assert read_file(tmp_path / "txt").content["text"].tolist() == ["Grüße\n"]


# What is refused: what, where, what to do


def test_missing_unknown_and_empty_files(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nowhere.csv")
    (tmp_path / "a.docx").write_bytes(b"x")
    assert ".parquet, .csv, .tsv, .jsonl" in refused(tmp_path / "a.docx")
    assert "is empty" in refused(csv_file(tmp_path, ""))
    assert "no item" in refused(csv_file(tmp_path, "x,y\n"))
    assert "no item" in refused(npz_file(tmp_path, x=np.zeros((0, 2))))
    assert "no item" in refused(parquet_file(tmp_path, {"x": pa.array([], pa.float64())}))
    (tmp_path / "f").mkdir()
    assert "no file" in refused(tmp_path / "f")


def test_a_missing_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    columns = {"x": [1], "who": ["a"]}
    for path in (
        csv_file(tmp_path, "x,who\n1,a\n"),
        npz_file(tmp_path, x=[1], who=["a"]),
        parquet_file(tmp_path, columns),
    ):
        assert "unknown column 'subj' for the subject; it has 'x', 'who'" in refused(path, subject="subj")
        assert "'z'" in refused(path, fields=["z"])
        assert "no column is left" in refused(path, subject="who", key="x")
        assert "cannot be subject and content" in refused(path, subject="who", fields=["who"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"x,t\n1,ok\n2,M\xfcller\n", "line 3, byte 12"),
        (b"x,y\n1,2\n3\n", "line 3 has 1 cells, the header has 2"),
        (b"x,y\n1,2,3\n", "line 2 has 3 cells"),
        (b"x,x\n1,2\n", "'x' is there more than once"),
        (b"x,\n1,2\n", "column 2 has no name"),
        (b"x\n1.5\n-Inf\n", "line 3: field 'x' is '-Inf'"),
        (b"x\n1e999\n", "is infinite"),
        (b'x\n"a\n', "not CSV"),
        (b"key,x\na,1\n,2\n", "line 3 has no key"),
        (b"digest,x\na,1\n", "rename"),
    ],
)
def test_a_csv_that_does_not_fit_is_told_by_line(text: bytes, says: str, tmp_path: Path) -> None:
    assert says in refused(csv_file(tmp_path, text))


def test_an_encoding_nobody_knows_and_more_columns_than_anybody_needs(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "x\n1\n")
    assert "not an encoding" in refused(path, encoding="klingon")
    assert "not utf-32" in refused(path, encoding="utf-32")
    header = ",".join(f"c{number}" for number in range(100_000))
    assert "100,000 columns, at most 4,096" in refused(csv_file(tmp_path, f"{header}\n"))


def test_npz_members_that_do_not_fit(tmp_path: Path) -> None:
    bad = IMAGES.copy()
    bad[1, 0, 0] = np.inf
    for arrays, says in (
        ({"x": IMAGES, "y": LABELS[:2]}, "fields have unequal numbers of items"),
        ({"x": np.float32(1)}, "has no axis of items; give one value an item"),
        ({"x": np.array([{}], dtype=object)}, "unpickling"),
        ({"x": np.zeros(2, [("a", "f4")])}, "of type"),
        ({"x": IMAGES, "key": IMAGES}, "the key must be"),
        ({"x": bad}, "row 1: field 'x' is infinite (1 of 3 items)"),
    ):
        assert says in refused(npz_file(tmp_path, **arrays))


def test_archives_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"rubbish")
    assert "not an NPZ archive" in refused(path)
    member = io.BytesIO()
    np.save(member, IMAGES)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.getvalue())
        archive.writestr("readme.txt", "hello")
    assert "'readme.txt', which is not an array" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", member.getvalue())
    assert "more than once" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.getvalue().replace(b"(3, 2, 2), }   ", b"(True, 2, 2), }"))
    assert "its header tells of" in refused(path)


def test_bombs_are_measured_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(5_000_000))
    assert path.stat().st_size < 10_000
    assert "unpacks to 5,000,000 bytes, the limit is 1,000,000" in refused(path, limit=1_000_000)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    assert "tells of 8000000000000 bytes, it has 0" in refused(path)
    zeros = parquet_file(tmp_path, {"x": np.zeros(1_000_000)})
    assert zeros.stat().st_size < 100_000
    assert "the limit is" in refused(zeros, limit=1_000_000)
    words = parquet_file(tmp_path, {"t": pa.array(["w" * 10_000]).take(pa.array([0] * 5_000)).dictionary_encode()})
    assert words.stat().st_size < 100_000
    assert "the limit is" in refused(words, limit=10_000_000)
    picture(tmp_path / "f" / "a.png", (3000, 3000))
    assert "the limit is" in refused(tmp_path / "f", limit=1_000_000)
    assert "the limit is" in refused(csv_file(tmp_path, "x\n" + "1\n" * 100), limit=50)


def test_parquet_columns_that_do_not_fit(tmp_path: Path) -> None:
    for columns, says in (
        ({"x": [[1, 2], None, [3]]}, "row 1: field 'x' is empty"),
        ({"x": [[1.0, np.inf], [3.0]]}, "row 0: field 'x' is infinite"),
        ({"x": [[1.0, 2.0], None]}, "row 1: field 'x' is empty; fill it in, or leave the row or the field out"),
        ({"x": [True, None]}, "row 1: field 'x' is empty"),
        ({"x": [dt.date(2026, 1, 1), None]}, "row 1: field 'x' is empty"),
        ({"t": ["a", None]}, "row 1: field 't' is empty; text holds no null, and an empty text is not one; fill it in"),
        ({"x": [[np.inf, 1.0]]}, "row 0: field 'x' is infinite"),
        ({"x": [{"a": 1}]}, "of type struct"),
        ({"x": [b"a", None]}, "row 1: field 'x' is empty"),
        ({"x": [1], "key": [1.5]}, "of type double"),
    ):
        assert says in refused(parquet_file(tmp_path, columns))


def test_folders_name_the_first_file_that_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    for name in ("a.png", "b.png"):
        picture(folder / name)
    picture(folder / "c.png", (5, 5))

    def says(**options: Any) -> str:
        with pytest.raises(BadInput) as caught:
            read_file(folder, **options)
        return str(caught.value)

    assert "c.png: is 5x5 uint8 where a.png is 3x4 uint8" in says()
    picture(folder / "c.png", mode="RGB")
    assert "c.png: is 3x4x3 uint8 where" in says()
    (folder / "c.png").write_bytes(b"rubbish")
    assert "c.png: not a picture" in says()
    (folder / "c.png").unlink()
    (folder / "c.txt").write_text("x")
    assert "c.txt: is text where a.png is image" in says()
    (folder / "c.txt").rename(folder / "c.docx")
    assert "c.docx: of no known kind" in says()
    (folder / "c.docx").unlink()
    picture(folder / "d" / "a.png")
    assert "a.png: lies beside sub-folders" in says()
    (folder / "link").symlink_to(tmp_path)
    assert "link: neither a file nor a folder of its own" in says()


def test_files_of_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("text", "moving", "named"):
        (tmp_path / name).mkdir()
    (tmp_path / "text" / "a.txt").write_bytes(b"ab\xff")
    assert "a.txt: byte 2 is not UTF-8" in refused(tmp_path / "text")
    frames = [Image.new("L", (2, 2), shade) for shade in (0, 200)]
    frames[0].save(tmp_path / "moving" / "a.gif", save_all=True, append_images=frames[1:])
    assert "several pictures" in refused(tmp_path / "moving")
    (tmp_path / "named" / os.fsdecode(b"\xff.txt")).write_text("x")
    assert "is not UTF-8" in refused(tmp_path / "named")


def test_a_link_that_leads_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("s")
    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "a.txt").symlink_to(tmp_path / "secret.txt")
    assert "a.txt: is a link that leads out" in refused(folder)
    (folder / "a.txt").unlink()
    (folder / "b.txt").write_text("b")
    (folder / "a.txt").symlink_to("b.txt")
    assert read_file(folder).content["text"].tolist() == ["b", "b"]
    (cached := tmp_path / ".dvc" / "cache" / "files" / "md5" / "ab").mkdir(parents=True)
    (cached / "c").write_text("c")
    (folder / "c.txt").symlink_to(cached / "c")
    assert read_file(folder).content["text"].tolist() == ["b", "b", "c"]


def test_a_few_bytes_do_not_claim_millions_of_items(tmp_path: Path) -> None:
    few: dict[str, Any] = {"limit": 1_000_000}
    assert "holds 2,001 items, the limit has room for 2,000" in refused(
        csv_file(tmp_path, "x\n" + "1\n" * 2_001), **few
    )
    assert "the limit has room for 2,000" in refused(npz_file(tmp_path, x=np.zeros(2_001, np.int8)), **few)
    assert "the limit has room for 2,000" in refused(parquet_file(tmp_path, {"x": [0] * 2_001}), **few)
    assert len(read_file(npz_file(tmp_path, x=np.zeros(2_000, np.int8)), **few)) == 2_000


@pytest.mark.parametrize("role", ["keys", "subjects", "sources", "licenses"])
def test_half_a_character_is_no_text(role: str) -> None:
    with pytest.raises(BadInput, match="is not Unicode"):
        from_arrays({"x": [1]}, **{role: ["a\ud800"]})


# Times, bytes and whole files


def test_times_bytes_and_pictures_of_parquet_are_what_they_were(tmp_path: Path) -> None:
    moments = np.array(["2020-01-01T01:02:03.000004", "2021-01-01"], "M8[us]")
    columns = {
        "at": pa.array(moments),
        "utc": pa.array(moments, pa.timestamp("us", "UTC")),
        "day": pa.array([0, 18_000], pa.date32()),
        "raw": pa.array([b"x", b"y\0"]),
        "image": pa.array([{"bytes": b"png", "path": "a.png"}, {"bytes": b"", "path": None}]),
        "number": pa.array([7, 8]).dictionary_encode(),
        "flag": pa.array([True, False]),
    }
    taken = read_file(parquet_file(tmp_path, columns)).content
    for name in ("at", "utc"):
        np.testing.assert_array_equal(taken[name], moments)
    assert taken["day"].astype("M8[D]").tolist() == np.array([0, 18_000], "M8[D]").tolist()
    assert (taken["raw"].tolist(), taken["image"].tolist()) == ([b"x", b"y\0"], [b"png", b""])
    assert (taken["number"].tolist(), taken["flag"].tolist()) == ([7, 8], [True, False])
    path = tmp_path / "content.parquet"
    write_content(path, digests := item_digests(taken), taken)
    found, back = read_content(path)
    assert (sorted(digests), item_digests(back)) == (list(found), found)
    assert item_digests(read_content(path, limit=100_000)[1]) == found, "within a limit, too"


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array([1, 2]).cast(pa.decimal128(38, 2)), "decimal"),
        (pa.array([1, 2], pa.timestamp("us", "Europe/Berlin")), "Europe/Berlin"),
        (pa.array([1, 2], pa.duration("s")), "duration"),
        (pa.array([[{"a": 1}], [{"a": 2}]]), "struct"),
        (pa.array([{"a": 1}, {"a": 2}]), "struct"),
        (pa.array([b"x", None]), "row 1"),
        (pa.array([None, 5], pa.timestamp("us")), "row 0"),
    ],
)
def test_what_cannot_be_taken_says_why(column: Any, says: str, tmp_path: Path) -> None:
    assert says in refused(parquet_file(tmp_path, {"x": column}))


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "a time that is none" in refused(npz_file(tmp_path, at=np.array(["2020-01-01", "NaT"], "M8[s]")))


def test_files_of_any_kind_and_size_are_taken_whole(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    picture(folder / "cat" / "a.PNG")
    picture(folder / "dog" / "b.png", (9, 9))
    (folder / "dog" / "c.wav").write_bytes(b"RIFF\0")
    (folder / "dog" / ".hidden").write_bytes(b"left alone")
    taken = read_file(folder, whole=True)
    assert taken.keys == ("cat/a.PNG", "dog/b.png", "dog/c.wav")
    assert taken.content["file"].tolist() == [(folder / key).read_bytes() for key in taken.keys]
    assert taken.content["suffix"].tolist() == [".png", ".png", ".wav"]
    assert taken.content["label"].tolist() == ["cat", "dog", "dog"]
    paths = read_file(folder, whole=True, in_place=True)
    assert item_digests(paths.content) == item_digests(taken.content), "paths are read when their turn comes"


def test_pictures_of_two_sizes_are_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    picture(folder / "a.png")
    picture(folder / "b.png", (9, 9))
    with pytest.raises(BadInput, match="--files"):
        read_file(folder)
    (folder / "sub").mkdir()
    (folder / "sub" / "c.bin").write_bytes(b"c")
    with pytest.raises(BadInput, match="lies beside sub-folders"):
        read_file(folder, whole=True)
    assert len(read_file(folder, whole=True, fields=["file"])) == 3

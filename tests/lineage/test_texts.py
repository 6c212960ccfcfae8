"""Texts are read whole and piece by piece, and their hashes are those of a slow reference."""

import random
import re
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lineage.shards.row_marks import RowMarks
from lineage.texts.hashes import TextHashes, tokens_of
from lineage.texts.read import LONGEST, FileTexts, encoding_of, pieces

HASHES = TextHashes(0x0123456789ABCDEF_FEDCBA9876543210_55)
TEXT = "Fell at 7 Elm Street; ÄRGER über_all x  y\u2003z\n(ann@x.org) №5 日本 e\u0301"


def test_tokens_are_hashed_by_what_they_are_and_not_where() -> None:
    """Each token alone has the hash it has in the text; different ones have different hashes."""
    for text in (TEXT, TEXT.encode("ascii", "ignore").decode(), "", "a", " \n "):
        starts, hashes = HASHES.tokens(text)
        tokens = tokens_of(text)
        assert [text[start:].startswith(token) for start, token in zip(starts, tokens, strict=True)] == [True] * len(
            tokens
        )
        assert [int(each) for each in hashes] == [int(HASHES.tokens(token)[1][0]) for token in tokens]
        assert len(set(hashes.tolist())) == len(set(tokens))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_phrase_has_one_hash_wherever_it_stands(count: int) -> None:
    hashes = HASHES.tokens(TEXT)[1]
    tokens = tokens_of(TEXT)
    expected = [HASHES.phrase(tokens[place : place + count]) for place in range(len(tokens) - count + 1)]
    assert HASHES.phrases(hashes, count).tolist() == expected
    assert len(set(expected)) == len({tuple(tokens[place : place + count]) for place in range(len(expected))})
    assert HASHES.phrases(hashes[: count - 1], count).tolist() == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (81.25, 81.250, True), (5.1, float(np.float32(5.1)), True), (1000, 1e3, True), (0, 0.0, True),
        (12_345_678, 12_345_679, False), (0.1, 0.2, False), (1.5, 15, False), (123456.7, 123458, False),
        (0.000123456, 0.000123457, False), (1e300, 1e301, False), (9.999999e5, 1e6, False),
    ],
)  # fmt: skip
def test_numbers_count_as_values(one: float, other: float, *, same: bool) -> None:
    assert (HASHES.numbers([one]) == HASHES.numbers([other])).tolist() == [same]


def test_pieces_hold_every_phrase_and_no_word_is_cut() -> None:
    draw = random.Random(3)
    words = [f"w{draw.randrange(10**6)}" for _ in range(90_000)]
    for between in (" ", "\n", "},"):
        text = between.join(words)
        parts = list(pieces(text[place : place + 5_000] for place in range(0, len(text), 5_000)))
        assert max(map(len, parts)) <= LONGEST
        assert len(parts) > 2
        assert {word for part in parts for word in re.findall(r"\w+", part)} == set(words)
        edges = [text.find(part) + len(part) for part in parts[:-1]]
        assert all(any(text[edge - 50 : edge + 50] in part for part in parts) for edge in edges)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"a,b\n", "utf-8-sig"), ("ä".encode(), "utf-8-sig"), ("Müller".encode("cp1252"), "cp1252"),
        ("a".encode("utf-16"), "utf-16"), (b"a\0b", None), (b"\x89PNG\r\n\x1a\n\x01", None), (b"", "utf-8-sig"),
    ],
)  # fmt: skip
def test_what_is_text_is_told_by_its_bytes(data: bytes, encoding: str | None) -> None:
    assert encoding_of(data) == encoding


def test_what_is_not_read_is_noted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.txt", "text")
        packed.writestr("b.bin", b"\0\1")
        packed.writestr("c.zip", b"PK\3\4\0")
        packed.writestr("d.txt", "x" * 200)
    texts = FileTexts(tmp_path / "a.zip", largest=100)
    assert (list(texts), texts.unread) == (["text"], ["b.bin", "c.zip", "d.txt"])
    with sqlite3.connect(tmp_path / "a?#.db") as rows:
        rows.execute('CREATE TABLE "odd "" name" (a, b)')
        rows.execute('INSERT INTO "odd "" name" VALUES (1.5, ?)', [b"\0\1"])
    texts = FileTexts(tmp_path / "a?#.db", largest=10**6)
    assert (list(texts), texts.unread) == (["1.5\n"], [""])
    for name, data in (("a.gz", b"\x1f\x8b\x08\0"), ("b.zip", b"PK\3\4"), ("c.db", b"SQLite format 3\0"), ("d", b"\0")):
        (tmp_path / name).write_bytes(data)
        texts = FileTexts(tmp_path / name, largest=10**6)
        assert (list(texts), texts.unread) == ([], [""]), name
    assert list(FileTexts(tmp_path / "gone", largest=1)) == []


def test_many_short_texts_are_told_apart() -> None:
    keyed = "{:0>64}".format
    tokens = ["patient", "-", "17"]
    from lineage.shards.row_marks import _hashes

    mark = f"3:{_hashes(lambda text: '1' * 64).phrase(tokens):016x}:{keyed('patient - 17')[:24]}"
    marks = RowMarks(lambda text: "1" * 64 if text == "hashes of texts" else keyed(text), {"a": [mark]})
    places = {number: [f"a text with patient-{number}"] for number in range(3_000)}
    places[5_000] = ["x" * LONGEST, " patient-17 "]
    assert list(marks.holding(places.items())) == [17, 5_000]

"""Done: a withdrawn row stays in copies of its table: .csv.bak, .csv~, .data, .sql, .ipynb, JSON, SQLite, archives.
Must: after the purge each is named with what to do and stops the certificate; copies of others' rows stop nothing.
Follows: tale-project/tale#3120
"""

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from disgorge.errors import CertificateRefused
from lineage.records import Selector
from lineage.workspace import Workspace
from tests import toys
from tests.twins.cohort import ANN, BOB, HEADER, SHORT, Cohort


def notebook(row: str) -> bytes:
    """Return a notebook in whose output a row is printed."""
    shown = "   ".join(row.strip().split(","))
    cell = {"cell_type": "code", "outputs": [{"data": {"text/plain": ["    key  who\n", f"0  {shown}"]}}]}
    return json.dumps({"cells": [cell], "nbformat": 4}).encode()


def record(row: str) -> bytes:
    """Return a row as a JSON object in a list."""
    return json.dumps([dict(zip(HEADER.strip().split(","), row.strip().split(","), strict=False))]).encode()


def database(row: str) -> bytes:
    """Return an SQLite database with a row."""
    with sqlite3.connect(":memory:") as rows:
        values = row.strip().split(",")
        rows.execute(f"CREATE TABLE study ({', '.join(f'c{place}' for place in range(len(values)))})")
        rows.execute(f"INSERT INTO study VALUES ({', '.join('?' * len(values))})", values)
        rows.commit()
        return rows.serialize()


def archive(row: str) -> bytes:
    """Return a zip with a table and a database in it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("readme.txt", "rows of March")
        packed.writestr("deep/study.db", database(row))
    return whole.getvalue()


def tarball(row: str) -> bytes:
    """Return a compressed tar with a table in it."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as packed:
        entry = tarfile.TarInfo("study.csv")
        entry.size = len(row)
        packed.addfile(entry, io.BytesIO(row.encode()))
    return whole.getvalue()


def parquet(row: str) -> bytes:
    """Return a Parquet file with a row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = io.BytesIO()
    pq.write_table(pa.table({f"c{place}": [value] for place, value in enumerate(row.strip().split(","))}), whole)
    return whole.getvalue()


def table(row: str) -> bytes:
    """Return the table as it was."""
    return row.encode()


COPIES: dict[str, Callable[[str], bytes]] = {
    "data/study.csv.bak": table,
    "study.csv~": table,
    "study.data": table,
    "study": table,
    ".#study.csv": table,
    "old/study.csv": table,
    "notes.txt": lambda row: f"looked at {row.strip()} again".encode(),
    "dump.sql": lambda row: f"INSERT INTO study VALUES {tuple(row.strip().split(','))};".encode(),
    "look.ipynb": notebook,
    "study.json": record,
    "study.utf16": lambda row: row.encode("utf-16"),
    "study.tsv": lambda row: row.replace(",", "\t").encode(),
    "study.csv.gz": lambda row: gzip.compress(row.encode()),
    "study.db": database,
    "study.zip": archive,
    "study.tar.gz": tarball,
    "study.parquet": parquet,
    "reports/R-0/rows.json": record,
}


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return a removal of Ann's row."""
    return Cohort(tmp_path / "workspace")


@pytest.mark.parametrize("place", COPIES)
def test_a_copy_is_named_and_one_of_others_rows_is_not(cohort: Cohort, place: str) -> None:
    cohort.put(place, COPIES[place](BOB))
    cohort.purge()
    assert cohort.search().left == ()
    path = cohort.put(place, COPIES[place](ANN))
    assert cohort.search().left == (f"{place} holds removed rows; delete it, or take them out",)
    cohort.purge()
    assert path.exists(), "it is the user's"


@pytest.mark.parametrize(
    "place", [place for place in COPIES if place not in ("look.ipynb", "study.json", "reports/R-0/rows.json")]
)
def test_a_row_without_unusual_values_is_known_by_all_of_its_numbers(tmp_path: Path, place: str) -> None:
    header, other = "key,a,b,c,d,label\n", "b,1.5,2.5,3.5,4.25,0\n"
    cohort = Cohort(tmp_path / "workspace", header=header, gone=SHORT, stay=other)
    cohort.purge()
    cohort.put(place, COPIES[place](other))
    assert cohort.search().left == ()
    cohort.put(place, COPIES[place](SHORT))
    assert len(cohort.search().left) == 1


def test_a_row_far_behind_in_a_long_file_is_found(cohort: Cohort) -> None:
    cohort.purge()
    filler = "".join(f"patient-{number},Cy Day,{number / 7:.3f},1.5\n" for number in range(1000, 60_000))
    cohort.put("long.log", filler)
    assert cohort.search().left == ()
    cohort.put("long.log", filler + ANN + filler)
    cohort.put("one-line.log", filler.replace("\n", " ") + ANN.strip() + filler.replace("\n", " "))
    assert len(cohort.search().left) == 2


def test_among_our_own_files_a_copy_goes(cohort: Cohort) -> None:
    strays = [cohort.put(f"{place}.bak", HEADER + ANN) for place in ("shards/x.csv", ".disgorge/manifests/x")]
    kept = cohort.put("shards/y.csv.bak", HEADER + BOB)
    assert set(strays) <= set(cohort.plan().paths)
    cohort.purge()
    assert [path.exists() for path in (*strays, kept)] == [False, False, True]
    assert cohort.search().left == ()


def test_a_removal_is_refused_until_the_copy_is_gone(workspace: Workspace) -> None:
    copy = workspace.root / "notes" / "shard-3.csv.bak"
    copy.parent.mkdir()
    copy.write_text("key,x\nshard-3-0,1.5\n")
    (copy.parent / "live.csv.bak").write_text("key,x\nshard-1-0,1.5\n")
    toys.granted_plan(workspace, [Selector("shard", "shard-3")])
    with pytest.raises(CertificateRefused, match=r"notes/shard-3\.csv\.bak holds removed rows; delete it, or take"):
        toys.carry(workspace)
    copy.unlink()
    assert toys.carry(workspace).verdict == "certified"

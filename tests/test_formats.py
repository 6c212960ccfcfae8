"""Golden workspaces: what an earlier version wrote is read, or refused by the name of its format."""

import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from lineage.catalog.catalog import Catalog
from lineage.ledger.chain import FORMAT
from lineage.ledger.fact_kinds import FACT_KINDS
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import run
from tests.golden.write import FOLDER

GOLDEN = sorted(FOLDER.glob("format-*.zip"))
READ = [path for path in GOLDEN if path.stem == f"format-{FORMAT}"]
REFUSED = [path for path in GOLDEN if path not in READ]
VERIFY = ["verify", "reports/R-1.zip", "--key", ".disgorge/public.pem"]


def unpacked(archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    monkeypatch.chdir(folder)
    return Workspace.open(folder)


def test_every_format_has_its_golden_workspace() -> None:
    assert [path.stem for path in GOLDEN] == [f"format-{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("archive", READ, ids=lambda path: path.stem)
def test_the_format_of_today_is_read(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = unpacked(archive, tmp_path, monkeypatch)
    assert workspace.ledger.verify() > 20
    with Catalog.of(workspace) as catalog:
        assert sum(shard.name.startswith("shard-") for shard in catalog.shards()) == 4
    for words in (["trace", "shard-2-0"], ["request", "show", "R-1"], VERIFY):
        assert run(*words).code == 0
    ran = run(*VERIFY, "--level", "ledger", "--workspace", ".")
    assert (ran.code, "certified" in ran.out) == (0, True), ran.err


@pytest.mark.parametrize("archive", REFUSED, ids=lambda path: path.stem)
def test_an_earlier_format_is_refused_by_its_name(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked(archive, tmp_path, monkeypatch)
    number = archive.stem.removeprefix("format-")
    for words in (["audit"], ["trace", "shard-2-0"], ["request", "list"], ["ledger", "verify"]):
        ran = run(*words)
        assert ran.code == 2
        assert f"workspace format {number}, and this version of disgorge reads format {FORMAT}" in ran.err
    ran = run(*VERIFY)
    assert (ran.code, "is of an earlier format (urn:x-disgorge:removal:v" in ran.err) == (1, True)


def test_the_page_names_every_kind_of_fact_with_its_fields() -> None:
    page = (Path(__file__).parent.parent / "docs" / "formats.md").read_text()
    for kind, body in FACT_KINDS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{kind}` |")]
        named = row.split("|")[2].replace("[", "").replace("]", "")
        assert [name.strip(" `") for name in named.split(",")] == [each.name for each in fields(body)]

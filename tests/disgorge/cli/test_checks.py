"""``audit`` as CI calls it, ``ledger verify --accept-loss``, and a report that is written again, as they are typed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.disgorge.cli.conftest import executed, filed, fine, refused, run


def no_license(workspace_folder: Path) -> None:
    """Add a shard that nobody says the license of: a warning."""
    Path("extra.csv").write_text("key,x\na,1\nb,2\n")
    fine("shard add extra.csv --name extra --key key --no-check --no-dvc")


def test_the_audit_of_a_workspace_elsewhere_points_into_its_repository(
    workspace_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pipeline runs it, from the root of the repository."""
    no_license(workspace_folder)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "no .disgorge" in refused("audit")
    assert "gone: no such folder" in refused("audit --workspace gone")
    told = fine("audit --workspace workspace --json --sarif a.sarif").json
    assert told["summary"] == "1 warning"
    (result,) = json.loads(Path("a.sarif").read_text())["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "workspace/.disgorge/ledger.jsonl"
    line = Path(place["artifactLocation"]["uri"]).read_text().splitlines()[place["region"]["startLine"] - 1]
    assert json.loads(line)["body"]["shard"]["name"] == "extra"


def test_warnings_fail_a_strict_audit(workspace_folder: Path) -> None:
    fine("audit --strict")
    no_license(workspace_folder)
    fine("audit")
    assert run("audit --strict --junit a.xml").code == 1
    assert run("audit --strict --json").json["exit"] == 1
    assert 'failures="1"' in Path("a.xml").read_text()


def test_a_lost_end_is_accepted_once_and_said(workspace_folder: Path) -> None:
    filed("R-1")
    filed("R-2", "--shard", "shard-3")
    assert "no fact is lost" in refused("ledger verify --accept-loss")
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + b'{"at"')
    assert "--accept-loss" in refused("ledger verify", code=1)
    assert "give one" in refused("ledger verify --accept-loss --repair-torn")
    told = fine("ledger verify --accept-loss").out
    assert f"1 fact (line {len(lines)}) was lost" in told
    assert "open, as far as is known: R-1, filed" in told
    assert "R-2" not in told
    assert "moved to" in told
    fine("ledger verify")
    assert run("audit --strict").code == 1
    fine("audit")
    filed("R-2", "--shard", "shard-3")


@pytest.mark.usefixtures("no_mlflow")
def test_a_report_that_was_lost_is_written_again(workspace_folder: Path) -> None:
    filed("R-1")
    fine("request decide R-1")
    executed()
    shutil.rmtree("reports")
    assert "is missing, and so is its zip" in run("audit").out
    assert fine("request report R-1 --again").out.startswith("certified: ")
    fine("audit --strict")
    fine("verify reports/R-1 --key .disgorge/public.pem --level ledger --workspace .")

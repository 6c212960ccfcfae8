"""The whole pass as it is typed: data, training, request, removal, report, audit; with MLflow and worker processes."""

import json
import shutil
from pathlib import Path

import pytest

from tests.disgorge.cli.conftest import fine, planned, refused, run
from tests.toys import toy_of, write_rows

MODEL = """
release: toy
method: averages
core: [core]
shards: [shard-1, shard-2, shard-3]
evaluate: [shard-4]
"""


def register(folder: Path) -> None:
    """Write a toy's files and record them as shards."""
    for name, items in toy_of("averages", 3).items.items():
        write_rows(folder / f"{name}.npz", name, items, range(len(items)))
        terms = ("--core", "--basis", "public domain") if name == "core" else ("--basis", "consent")
        fine("shard", "add", f"{name}.npz", "--name", name, "--key", "key", "--subject", "subject", "--license", "MIT",
             "--no-check", "--no-dvc", *terms)  # fmt: skip


def test_data_comes_in_is_learned_from_and_goes(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fine("init --json").json["workspace"] == str(tmp_path)
    shutil.copy(database, "mlflow.db")  # to make a new one takes seconds
    register(tmp_path)
    Path("model.yaml").write_text(MODEL)

    trained = fine("train model.yaml").out
    assert trained.count("trained toy/") == 4
    assert "released as toy@live" in trained
    again = fine("train model.yaml --json").json
    assert not any(component["trained"] for component in again["components"])
    assert fine("release list --json").json[0]["composition"] == again["composition"]
    predicted = fine("release predict toy shard-4 --json").json
    assert len(predicted["predictions"]) == 12
    assert predicted["measures"]["accuracy"] > 0.5
    assert fine("release predict toy shard-4.npz --json").json["measures"] == predicted["measures"]

    digest = planned("R-1", "--subject", "shard-2-person-1")
    fine(f"request approve R-1 {digest} --by ann")
    executed = fine("request execute R-1 --references 0").out
    assert "8/8 Write and sign the report." in executed
    assert "certified; the report is" in executed
    assert "took 1 step," in executed
    went = "utility of toy: accuracy on held-out data went from "
    assert went in executed

    told = fine("request report R-1 --json").json
    assert told["verdict"] == "certified"
    bundle = Path(told["bundle"])
    assert "SELF-ASSERTED KEY" in fine("verify", str(bundle)).err
    assert ">no floor demanded</span>" in (bundle / "report.html").read_text()
    assert went in fine("verify", str(bundle)).out
    verified = fine("verify", str(bundle), "--key", str(bundle / "public.pem"), "--json").json
    assert (verified["verdict"], verified["request"], verified["warning"]) == ("certified", "R-1", "")
    assert fine("request show R-1").out.startswith("R-1: done")

    assert "is closed" in refused("request execute R-1")
    assert fine("request resume R-1").out.startswith("request R-1 is finished (certified), there is nothing to")
    assert fine("request resume R-1 --json").json["resumed"] is False
    fine("audit")
    assert fine("audit --json --sarif a.sarif --junit a.xml").json["exit"] == 0
    assert json.loads(Path("a.sarif").read_text())["version"] == "2.1.0"
    assert Path("a.xml").read_text().startswith("<testsuites>")
    assert "toy@live" in fine("trace shard-2 --down --svg trace.svg").out
    assert Path("trace.svg").read_text().startswith("<svg")
    kinds = [json.loads(line)["kind"] for line in fine("ledger export --request R-1").out.splitlines()]
    assert kinds[0] == "request"
    assert kinds[-1] == "request-closed"

    shutil.copytree(bundle, "edited")
    page = Path("edited/report.html")
    page.write_bytes(page.read_bytes() + b" ")
    assert "report.html was edited" in refused("verify edited", code=1)
    assert run("audit --today 2099-01-01").code == 0

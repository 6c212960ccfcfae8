"""docs/your-own-model.md holds: few lines differ from the plain script, and every command of it runs, to the report."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "your_own"
TEXT = (ROOT / "docs" / "your-own-model.md").read_text()
MOST_CHANGED = 15


def lines(path: Path) -> list[str]:
    """The lines of a file that say something."""
    return [line for line in path.read_text().splitlines() if line.strip()]


def test_few_lines_differ_from_the_plain_script() -> None:
    """Lines of the code that the plain script has not, and all of the model file."""
    plain = lines(EXAMPLE / "plain.py")
    changed = [line for line in lines(EXAMPLE / "tumors.py") if line not in plain]
    model = lines(EXAMPLE / "tumors.yaml")
    assert len(changed) + len(model) <= MOST_CHANGED
    assert f"{'Four' if len(changed) == 4 else len(changed)} lines of code changed" in TEXT
    assert "\n".join(model) in TEXT


def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    for name in ("tumors.py", "tumors.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    found = [str(Path(sys.executable).parent), os.environ["PATH"]]
    paths = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"PATH": os.pathsep.join(found), "PYTHONPATH": paths}
    blocks = re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
    commands = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) > 10
    said = {}
    for command in commands:
        result = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"$ {command}\n{result.stdout}{result.stderr}"
        said[command.split(" --", maxsplit=1)[0]] = result.stdout
    accuracy = re.search(r"accuracy (0\.\d+)", said["disgorge release predict tumors held-out"])
    assert accuracy is not None
    assert float(accuracy[1]) > 0.9
    plan = json.loads((tmp_path / "reports" / "R-1" / "plan.json").read_text())
    trained = [step for step in plan["steps"] if step["action"] == "retrain"]
    assert len(trained) == 1

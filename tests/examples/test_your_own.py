"""docs/your-own-model.md holds: the lines that differ from the plain script, and the commands, to the report."""

import difflib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "your_own"
TEXT = (ROOT / "docs" / "your-own-model.md").read_text().partition("## Other frameworks")[0]
MOST_CHANGED = 15


def lines(path: Path) -> list[str]:
    """The lines of a file that say something."""
    return [line for line in path.read_text().splitlines() if line.strip()]


def functions(path: Path) -> list[str]:
    """The lines of a script's functions, without its imports and what it does when it is run."""
    found = path.read_text().splitlines()
    start = next(place for place, line in enumerate(found) if line.startswith("def "))
    return [*itertools.takewhile(lambda line: not line.startswith("if __name__"), found[start:])]


def test_few_lines_differ_from_the_plain_script() -> None:
    """The page shows them all, and the model file; imports and the main program only go."""
    differing = difflib.ndiff(functions(EXAMPLE / "plain.py"), functions(EXAMPLE / "tumors.py"))
    shown = [f"{line[0]}{line[2:]}" for line in differing if line[0] in "+-" and line[2:]]
    assert "\n".join(("```diff", *shown, "```")) in TEXT
    added = [line for line in lines(EXAMPLE / "tumors.py") if line not in lines(EXAMPLE / "plain.py")]
    model = lines(EXAMPLE / "tumors.yaml")
    assert [f"+{line}" for line in added] == [line for line in shown if line[0] == "+"]
    assert (len(added), len(model)) == (5, 10)
    assert len(added) + len(model) <= MOST_CHANGED
    assert "Five lines of code change, and the model file has ten" in TEXT
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
    assert len(trained) == 2

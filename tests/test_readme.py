"""The README holds: every command in it runs, its code is real, and its table is the one the demo wrote."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from examples.digits.results import RESULTS, into, read

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code blocks in one language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def commands() -> list[str]:
    """Every command a reader is told to type, in order."""
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def test_every_command_runs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "digits" / "tangent.yaml", tmp_path)
    found = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {"PATH": os.pathsep.join(found), "PYTHONPATH": str(ROOT)}
    for command in commands():
        result = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"$ {command}\n{result.stdout}{result.stderr}"
    (code,) = blocks("python")
    runs = "import numpy as np\nfrom lineage.recording import recording\nfrom lineage.workspace import Workspace\n"
    runs += "class model:\n    state_dict = staticmethod(lambda: {'weights': np.zeros(3)})\n"
    subprocess.run([sys.executable, "-c", runs + code], cwd=tmp_path, env=environment, check=True)


def test_there_are_commands() -> None:
    """A README whose blocks no longer match would pass the test above."""
    assert len(commands()) > 12


def test_the_table_is_what_the_demo_wrote() -> None:
    assert into(TEXT, read(RESULTS)) == TEXT


def test_every_file_it_names_is_there() -> None:
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (ROOT / name).exists(), name

"""What others put beside us: a method is one folder and one entry point; names that collide are told or harmless."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "tests" / "plugins"
TRAINED = """
from pathlib import Path
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.toys import live_shards, populate, toy_of
from disgorge.training.make import make

if __name__ == "__main__":
    workspace, toy = Workspace.init(Path("workspace").absolute()), toy_of({method!r}, 3)
    populate(workspace, toy, Path("sources").absolute())
    with Workers(workspace, count=1) as workers:
        made = make(workspace, toy.spec, workers, method=declared(toy.spec.method), shards=live_shards(workspace))
    print(toy.spec.method, len(made.trained))
"""


def python(folder: Path, *arguments: str, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the plug-ins of tests and these paths to import from."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*paths, PLUGINS, ROOT)))}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True)


def test_a_method_is_one_folder_and_one_entry_point(tmp_path: Path) -> None:
    """A distribution that is not ours: found, laid out, trained in workers; nothing of ours was edited for it."""
    package, information = tmp_path / "installed" / "newcomer", tmp_path / "installed" / "newcomer-1.0.dist-info"
    package.mkdir(parents=True)
    information.mkdir()
    source = (PLUGINS / "averages.py").read_text().replace('"averages"', '"newcomer"')
    (package / "method.py").write_text(source)
    (package / "__init__.py").write_text("from newcomer.method import METHOD as METHOD\n")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: newcomer\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[disgorge.methods]\nnewcomer = newcomer:METHOD\n")
    ran = python(tmp_path, "-P", "-c", TRAINED.format(method="newcomer"), paths=(tmp_path / "installed",))
    assert ran.stdout.split() == ["newcomer", "5"], ran.stderr


def test_a_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("disgorge", "lineage", "policies"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    ran = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=tree, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    there = [path for name in ("disgorge", "lineage", "policies") for path in (ROOT / name).rglob("*")]
    files = {str(path.relative_to(ROOT)) for path in there if path.is_file() and "__pycache__" not in path.parts}
    assert files - held == set()


def test_files_of_the_users_that_are_called_as_ours_do_not_reach_workers(tmp_path: Path) -> None:
    (tmp_path / "lineage").mkdir()
    for name in ("policies.py", "lineage/__init__.py", "method.py", "json.py"):
        (tmp_path / name).write_text("raise RuntimeError('the file of the user was imported')\n")
    ran = python(tmp_path, "-P", "-c", TRAINED.format(method="averages"))
    assert ran.stdout.split() == ["averages", "5"], ran.stderr


def test_a_package_that_hides_ours_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "policies.py").write_text("MINE = True\n")
    (tmp_path / "script.py").write_text("import disgorge\n")
    said = f"`policies` is imported from {tmp_path / 'policies.py'}, not from disgorge; "
    ran = python(tmp_path, "script.py")
    assert ran.stderr.splitlines()[-1].startswith(f"ImportError: {said}")
    (tmp_path / "disgorge").write_text("from disgorge.cli import main\nmain()\n")
    ran = python(tmp_path, "disgorge", "--help")
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: {said}")
    assert len(ran.stderr.splitlines()) == 1

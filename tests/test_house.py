"""The house stands: who may import whom, what stays light, what documents promise.

Read from the source, not from what happens to be loaded, so that an import inside a function counts as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "diffusers", "mlflow", "great_expectations", "dvc", "pandas", "sklearn", "transformers"}


def sources(*folders: str) -> list[Path]:
    """Every Python file of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path, *, typing: bool = False) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, and whether it does so at once; ``typing`` adds what only type checking imports."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only and not typing:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in inside
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) not in inside
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) not in inside


ROOMS = {
    "disgorge": """
        disgorge/locations disgorge/request disgorge/request/holds disgorge/tracking disgorge/training lineage/catalog
        lineage/errors lineage/ledger lineage/records lineage/workspace policies/taxonomy
    """,
    "disgorge/audit": """
        disgorge/errors disgorge/examination disgorge/locations disgorge/report disgorge/request
        disgorge/request/holds disgorge/request/withdrawn disgorge/statement disgorge/tracking disgorge/verify
        lineage/activity lineage/errors lineage/ledger lineage/plural lineage/printable lineage/private_files
        lineage/records lineage/shards lineage/storage lineage/workspace policies/decision policies/events
        policies/judging policies/taxonomy
    """,
    "disgorge/cli": """
        disgorge/audit disgorge/cli/output disgorge/cli/request disgorge/errors disgorge/method disgorge/release
        disgorge/release_places disgorge/report disgorge/request disgorge/request/history disgorge/request/holds
        disgorge/tracking disgorge/training disgorge/training/runners disgorge/verify lineage/catalog lineage/dvc
        lineage/errors lineage/formats lineage/git_ignored lineage/ledger lineage/plural lineage/records
        lineage/shards lineage/storage lineage/workspace policies/cases policies/judging policies/packs
    """,
    "disgorge/cli/output": """
        disgorge/errors disgorge/examination disgorge/layout disgorge/plan disgorge/request disgorge/request/history
        disgorge/request/holds disgorge/training lineage/activity lineage/catalog lineage/errors lineage/plural
        lineage/printable lineage/records lineage/shards lineage/storage lineage/workspace policies/errors
        policies/events policies/judging policies/taxonomy policies/vocabulary
    """,
    "disgorge/cli/request": """
        disgorge/cli disgorge/cli/output disgorge/errors disgorge/evidence disgorge/locations disgorge/method
        disgorge/plan disgorge/removal disgorge/report disgorge/request disgorge/request/history
        disgorge/request/holds disgorge/request/near disgorge/tracking disgorge/training disgorge/training/runners
        disgorge/workspace_lock lineage/catalog lineage/plural lineage/records lineage/workspace policies/errors
        policies/events policies/judging policies/packs policies/request policies/taxonomy policies/vocabulary
    """,
    "disgorge/evidence": "disgorge/errors disgorge/method lineage/records",
    "disgorge/evidence/probes": "disgorge/evidence disgorge/method lineage/records",
    "disgorge/examination": """
        disgorge/errors disgorge/evidence disgorge/evidence/probes disgorge/layout disgorge/locations disgorge/method
        disgorge/training lineage/activity lineage/catalog lineage/errors lineage/ledger lineage/plural
        lineage/private_files lineage/records lineage/storage lineage/workspace policies/request
    """,
    "disgorge/locations": """
        disgorge/errors disgorge/examination disgorge/tracking disgorge/training/sandbox lineage/activity lineage/dvc
        lineage/errors lineage/ledger lineage/private_files lineage/records lineage/shards lineage/storage
        lineage/workspace
    """,
    "disgorge/methods": "",
    "disgorge/methods/compartmental_diffusion": """
        disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/methods/shard_graph": """
        disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/methods/shared": "disgorge/errors disgorge/method lineage/records",
    "disgorge/methods/tangent_composition": """
        disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/plan": """
        disgorge/errors disgorge/evidence disgorge/examination disgorge/layout disgorge/method disgorge/request
        disgorge/statement disgorge/training lineage/catalog lineage/errors lineage/plural lineage/records
        lineage/workspace policies/decision policies/judging policies/taxonomy
    """,
    "disgorge/removal": """
        disgorge/errors disgorge/evidence disgorge/evidence/probes disgorge/examination disgorge/locations
        disgorge/plan disgorge/release_places disgorge/report disgorge/request disgorge/request/holds
        disgorge/request/near disgorge/request/withdrawn disgorge/statement disgorge/tracking disgorge/training
        disgorge/training/sandbox disgorge/workspace_lock lineage/catalog lineage/errors lineage/ledger
        lineage/perceptual_hash lineage/records lineage/shards lineage/storage lineage/workspace policies/taxonomy
    """,
    "disgorge/report": """
        disgorge/errors disgorge/evidence disgorge/evidence/probes disgorge/examination disgorge/locations
        disgorge/method disgorge/plan disgorge/removal disgorge/request disgorge/request/near
        disgorge/request/withdrawn disgorge/statement disgorge/tracking disgorge/training disgorge/training/sandbox
        disgorge/verify disgorge/workspace_lock lineage/activity lineage/catalog lineage/ledger lineage/plural
        lineage/records lineage/shards lineage/storage lineage/workspace policies/decision policies/judging
        policies/packs policies/request policies/taxonomy
    """,
    "disgorge/report/templates": "",
    "disgorge/request": """
        disgorge/errors disgorge/evidence disgorge/layout disgorge/method disgorge/plan disgorge/request/holds
        disgorge/request/near disgorge/request/withdrawn disgorge/workspace_lock lineage/catalog lineage/errors
        lineage/ledger lineage/private_files lineage/records lineage/shards lineage/storage lineage/workspace
        policies/decision policies/errors policies/events policies/judging policies/packs policies/request
        policies/taxonomy
    """,
    "disgorge/request/history": """
        disgorge/errors disgorge/request disgorge/request/holds disgorge/request/near lineage/catalog lineage/errors
        lineage/ledger lineage/plural lineage/records lineage/workspace policies/decision policies/events
        policies/judging policies/taxonomy
    """,
    "disgorge/request/holds": """
        disgorge/errors disgorge/plan disgorge/release_places disgorge/removal disgorge/request disgorge/request/near
        disgorge/request/withdrawn disgorge/tracking disgorge/workspace_lock lineage/catalog lineage/errors
        lineage/ledger lineage/plural lineage/private_files lineage/records lineage/shards lineage/workspace
        policies/judging policies/taxonomy
    """,
    "disgorge/request/near": """
        disgorge/errors disgorge/evidence disgorge/request disgorge/request/holds disgorge/request/withdrawn
        lineage/activity lineage/catalog lineage/perceptual_hash lineage/private_files lineage/records lineage/shards
        lineage/storage lineage/workspace
    """,
    "disgorge/request/withdrawn": """
        disgorge/errors disgorge/request disgorge/request/holds disgorge/request/near lineage/catalog lineage/errors
        lineage/private_files lineage/records lineage/workspace
    """,
    "disgorge/statement": """
        disgorge/errors disgorge/evidence disgorge/method disgorge/plan disgorge/verify lineage/plural lineage/records
        policies/decision policies/request policies/taxonomy
    """,
    "disgorge/tracking": """
        disgorge/errors disgorge/evidence disgorge/examination disgorge/method disgorge/plan disgorge/request
        disgorge/request/holds disgorge/training lineage/activity lineage/errors lineage/ledger lineage/records
        lineage/workspace policies/request
    """,
    "disgorge/training": """
        disgorge/errors disgorge/layout disgorge/method lineage/activity lineage/catalog lineage/ledger
        lineage/records lineage/shards lineage/storage lineage/workspace policies/errors policies/packs
    """,
    "disgorge/training/runners": """
        disgorge/errors disgorge/training disgorge/training/sandbox lineage/errors lineage/records lineage/workspace
    """,
    "disgorge/training/sandbox": "lineage/records lineage/shards lineage/storage lineage/workspace",
    "disgorge/verify": """
        disgorge/errors disgorge/evidence disgorge/examination disgorge/method disgorge/plan disgorge/report
        disgorge/request disgorge/statement disgorge/training disgorge/training/runners lineage/errors lineage/plural
        lineage/records lineage/shards lineage/storage lineage/workspace policies/decision policies/request
    """,
    "lineage": "lineage/catalog lineage/ledger lineage/storage",
    "lineage/catalog": """
        lineage/errors lineage/ledger lineage/plural lineage/records lineage/storage lineage/workspace
    """,
    "lineage/dvc": "lineage/activity lineage/errors",
    "lineage/formats": "lineage/errors lineage/records lineage/storage",
    "lineage/ledger": "lineage/errors lineage/plural lineage/records lineage/storage",
    "lineage/shards": """
        lineage/activity lineage/dvc lineage/errors lineage/formats lineage/git_ignored lineage/ledger
        lineage/perceptual_hash lineage/private_files lineage/records lineage/storage lineage/workspace
    """,
    "lineage/storage": "lineage/errors lineage/perceptual_hash lineage/records",
    "policies": "lineage/records",
    "policies/cases": """
        lineage/records policies/decision policies/errors policies/events policies/judging policies/packs
        policies/request policies/taxonomy
    """,
    "policies/judging": """
        lineage/records policies/decision policies/errors policies/events policies/packs policies/request
        policies/taxonomy policies/vocabulary
    """,
    "policies/packs": """
        lineage/records policies/errors policies/events policies/request policies/taxonomy policies/vocabulary
    """,
    "policies/vocabulary": "lineage/records policies/errors",
}
"""Whom each folder may import: folders, which include what lies in them, and modules of a package's top level."""
MOST_FILES = 12


def room(path: Path) -> str:
    """The folder a file lies in, as rows name it."""
    return path.parent.relative_to(ROOT).as_posix()


def modules() -> dict[str, Path]:
    """Every module of the three packages, by its dotted name."""
    files = sources("lineage", "policies", "disgorge")
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def test_every_folder_has_a_row_and_says_what_lives_there() -> None:
    folders = {room(path) for path in modules().values()}
    assert folders == set(ROOMS)
    assert [
        folder for folder in folders if not ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))
    ] == []


def test_imports_stay_within_the_rows() -> None:
    known, wrong = modules(), []
    for path in known.values():
        allowed = {room(path), *ROOMS[room(path)].split()}
        for module in {module for module, _ in imports(path, typing=True)} & set(known):
            target = known[module]
            if target.parent.parent == ROOT and target.name == "__init__.py":
                continue
            named = {room(target), module.replace(".", "/"), *map(str, Path(room(target)).parents)}
            wrong += [f"{path.relative_to(ROOT)} imports {module}"] * (not named & allowed)
    assert wrong == []


def test_no_import_circles_in_training_and_methods() -> None:
    known = modules()
    graph = {
        name: {module for module, _ in imports(path, typing=True) if module in known and known[module] != path}
        for name, path in known.items()
        if name.startswith(("disgorge.method", "disgorge.layout", "disgorge.training")) and path.name != "__init__.py"
    }
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def importers(paths: list[Path], *forbidden: str) -> list[str]:
    """Every import of a forbidden module, or of one below it, as "file imports module"."""
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in paths
        for module, _ in imports(path)
        if f"{module}.".startswith(tuple(f"{name}." for name in forbidden))
    ]


def test_nobody_imports_the_command_line() -> None:
    paths = [path for path in sources("lineage", "policies", "disgorge") if "cli" not in path.parts]
    assert importers(paths, "disgorge.cli") == []


def test_lineage_and_policies_know_no_torch() -> None:
    assert importers(sources("lineage", "policies"), "torch", "diffusers") == []


def test_policies_read_no_ledger() -> None:
    assert importers(sources("policies"), "duckdb", "pyarrow", "lineage.workspace") == []


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that are loaded when Python runs with these arguments."""
    code = f"import sys; sys.argv[1:] = {arguments[1:]!r}\n{arguments[0]}\n"
    code += "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(result.stdout.rpartition("loaded:")[2].split())


RUN = "from disgorge.cli.app import app\ntry:\n    app()\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    "arguments",
    [
        ("import lineage, policies, lineage.records, lineage.workspace, policies.packs.load, policies.request",),
        ("import disgorge.methods, disgorge.method; disgorge.method.methods()",),
        (RUN, "--help"),
        (RUN, "request", "--help"),
    ],
    ids=["packages", "methods", "help", "help of a group"],
)
def test_nothing_heavy_is_loaded(arguments: tuple[str, ...]) -> None:
    assert not loaded_by(*arguments) & HEAVY


def test_help_loads_no_database() -> None:
    assert not loaded_by(RUN, "--help") & {"duckdb", "pyarrow", "numpy", "pydantic"}


def test_every_package_is_found_for_the_wheel() -> None:
    from setuptools import find_packages

    found = find_packages(str(ROOT), include=["lineage*", "policies*", "disgorge*"])
    assert {package.replace(".", "/") for package in found} == set(ROOMS)


def test_no_pickle_and_no_eval() -> None:
    paths = sources("lineage", "policies", "disgorge")
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {node.func.id}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
    ]
    assert calls + importers(paths, "pickle", "cloudpickle", "joblib") == []

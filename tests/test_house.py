"""The house stands: who may import whom, what stays light, what documents promise.

Read from the source, not from what happens to be loaded, so that an import inside a function counts as well.
"""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "diffusers", "mlflow", "great_expectations", "dvc", "pandas", "sklearn", "transformers"}


def sources(*folders: str) -> list[Path]:
    """Every Python file of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


class Imported(NamedTuple):
    """A module that a file imports: at once or inside a function, for running or for type checking alone."""

    name: str
    at_once: bool
    typing: bool


@cache
def imports(path: Path) -> tuple[Imported, ...]:
    """Every import of a file, in whatever place."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    typing = nodes_in(n for n in nodes if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING")
    inside = nodes_in(n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            joined = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else node.module for name in joined]
        else:
            continue
        found += [Imported(name, id(node) not in inside, id(node) in typing) for name in names]
    return tuple(found)


def nodes_in(outer: Iterable[ast.AST]) -> set[int]:
    """The nodes that lie in these, by id."""
    return {id(inner) for node in outer for inner in ast.walk(node)}


def is_module(name: str) -> bool:
    """Whether this is a module of ours, and not a name in one."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


ROOMS = {
    "disgorge": """
        lineage/ledger lineage/lock lineage/printable lineage/records lineage/shown lineage/workspace policies/decision
        policies/events policies/request policies/taxonomy
    """,
    "disgorge/api": """
        disgorge/audit disgorge/audit/rules disgorge/errors disgorge/evidence disgorge/layout disgorge/locations
        disgorge/method disgorge/plan disgorge/release disgorge/release/recorded disgorge/removal disgorge/report
        disgorge/request disgorge/request/history disgorge/request/holds disgorge/request/near disgorge/request/workflow
        disgorge/result disgorge/tracking disgorge/training disgorge/training/runners disgorge/training/sandbox
        disgorge/verify lineage/artifacts lineage/catalog lineage/dvc lineage/errors lineage/formats
        lineage/formats/decoding lineage/git_ignored lineage/ledger lineage/plural lineage/records lineage/shards
        lineage/shards/validation lineage/shown lineage/storage lineage/workspace policies/cases policies/decision
        policies/events policies/judging policies/packs policies/request policies/taxonomy policies/vocabulary
    """,
    "disgorge/attestation": """
        disgorge/errors disgorge/facts disgorge/statement lineage/artifacts lineage/catalog lineage/errors
        lineage/ledger lineage/records lineage/storage lineage/workspace policies/taxonomy
    """,
    "disgorge/audit": """
        disgorge/request disgorge/request/holds lineage/errors lineage/ledger lineage/printable lineage/records
        lineage/storage lineage/workspace
    """,
    "disgorge/audit/rules": """
        disgorge/attestation disgorge/audit disgorge/errors disgorge/facts disgorge/locations disgorge/plan
        disgorge/report disgorge/request disgorge/request/holds disgorge/request/withdrawn disgorge/statement
        disgorge/tracking disgorge/verify lineage/activity lineage/artifacts lineage/catalog lineage/errors
        lineage/ledger lineage/plural lineage/private_files lineage/records lineage/shards lineage/storage
        lineage/workspace policies/decision policies/events policies/judging policies/taxonomy
    """,
    "disgorge/cli": "disgorge/api disgorge/cli/output disgorge/errors",
    "disgorge/cli/output": """
        disgorge/api disgorge/errors disgorge/result lineage/activity lineage/errors lineage/plural lineage/printable
        lineage/shown policies/errors
    """,
    "disgorge/evidence": "disgorge/errors disgorge/method lineage/plural lineage/records",
    "disgorge/evidence/probes": "disgorge/evidence disgorge/method lineage/plural lineage/records",
    "disgorge/examination": """
        disgorge/attestation disgorge/errors disgorge/evidence disgorge/evidence/probes disgorge/layout
        disgorge/locations disgorge/method disgorge/plan disgorge/training disgorge/training/code
        disgorge/training/runners disgorge/training/sandbox lineage/activity lineage/artifacts lineage/catalog
        lineage/ledger lineage/perceptual_hash lineage/plural lineage/records lineage/storage lineage/workspace
        policies/request policies/taxonomy
    """,
    "disgorge/locations": """
        disgorge/attestation disgorge/errors disgorge/facts disgorge/locations/rows disgorge/tracking
        disgorge/training/sandbox lineage/activity lineage/artifacts lineage/catalog lineage/dvc lineage/errors
        lineage/ledger lineage/plural lineage/private_files lineage/records lineage/shards lineage/storage lineage/texts
        lineage/workspace
    """,
    "disgorge/locations/rows": """
        disgorge/facts disgorge/tracking disgorge/training/sandbox lineage/private_files lineage/shards lineage/storage
        lineage/texts lineage/workspace
    """,
    "disgorge/methods": "",
    "disgorge/methods/compartmental_diffusion": """
        disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/methods/function": """
        disgorge disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/methods/shard_graph": """
        disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/methods/shared": "disgorge/errors disgorge/method lineage/records policies/taxonomy",
    "disgorge/methods/tangent_composition": """
        disgorge/errors disgorge/method disgorge/methods/shared lineage/records policies/taxonomy
    """,
    "disgorge/plan": """
        disgorge/errors disgorge/evidence disgorge/layout disgorge/method lineage/plural lineage/records lineage/shown
        policies/decision policies/judging policies/taxonomy
    """,
    "disgorge/release": """
        disgorge/attestation disgorge/errors disgorge/evidence disgorge/examination disgorge/facts disgorge/layout
        disgorge/locations disgorge/method disgorge/request disgorge/request/holds disgorge/tracking disgorge/training
        disgorge/training/code disgorge/training/runners disgorge/workspace_lock lineage/artifacts lineage/catalog
        lineage/errors lineage/ledger lineage/records lineage/shards lineage/shown lineage/storage lineage/workspace
        policies/taxonomy
    """,
    "disgorge/release/recorded": """
        disgorge/errors disgorge/facts disgorge/layout disgorge/method disgorge/release disgorge/tracking
        disgorge/training disgorge/training/code disgorge/training/runners disgorge/workspace_lock lineage/artifacts
        lineage/catalog lineage/errors lineage/ledger lineage/records lineage/shown lineage/storage lineage/workspace
        policies/taxonomy
    """,
    "disgorge/removal": """
        disgorge/attestation disgorge/errors disgorge/evidence disgorge/evidence/probes disgorge/examination
        disgorge/facts disgorge/locations disgorge/plan disgorge/release disgorge/report disgorge/request
        disgorge/request/holds disgorge/request/near disgorge/request/withdrawn disgorge/request/workflow
        disgorge/statement disgorge/tracking disgorge/training disgorge/training/code disgorge/training/runners
        disgorge/training/sandbox disgorge/verify disgorge/workspace_lock lineage/catalog lineage/errors lineage/ledger
        lineage/plural lineage/records lineage/shards lineage/storage lineage/workspace policies/decision
        policies/taxonomy
    """,
    "disgorge/report": """
        disgorge/attestation disgorge/errors disgorge/evidence disgorge/examination disgorge/facts disgorge/locations
        disgorge/method disgorge/plan disgorge/request disgorge/request/workflow disgorge/statement disgorge/training
        disgorge/training/code disgorge/training/runners disgorge/verify disgorge/workspace_lock lineage/activity
        lineage/artifacts lineage/catalog lineage/ledger lineage/plural lineage/records lineage/shards lineage/storage
        lineage/workspace policies/decision policies/judging policies/packs policies/taxonomy
    """,
    "disgorge/report/templates": "",
    "disgorge/request": """
        disgorge/errors disgorge/facts disgorge/plan lineage/errors lineage/ledger lineage/lock lineage/private_files
        lineage/records lineage/storage lineage/workspace policies/decision policies/events policies/judging
        policies/request policies/taxonomy
    """,
    "disgorge/request/history": """
        disgorge/errors disgorge/facts disgorge/plan disgorge/request disgorge/request/holds disgorge/request/workflow
        lineage/catalog lineage/errors lineage/ledger lineage/plural lineage/records lineage/shown lineage/workspace
        policies/decision policies/events policies/judging policies/packs policies/taxonomy
    """,
    "disgorge/request/holds": """
        disgorge/errors disgorge/facts disgorge/plan disgorge/request disgorge/request/withdrawn
        disgorge/workspace_lock lineage/catalog lineage/errors lineage/ledger lineage/plural lineage/private_files
        lineage/records lineage/shards lineage/workspace policies/judging policies/taxonomy
    """,
    "disgorge/request/near": """
        disgorge/errors disgorge/evidence disgorge/facts disgorge/request disgorge/request/holds
        disgorge/request/withdrawn disgorge/workspace_lock lineage/activity lineage/catalog lineage/perceptual_hash
        lineage/private_files lineage/records lineage/shards lineage/workspace
    """,
    "disgorge/request/withdrawn": """
        disgorge/errors disgorge/facts disgorge/plan disgorge/request lineage/catalog lineage/errors
        lineage/private_files lineage/records lineage/shards lineage/storage lineage/workspace
    """,
    "disgorge/request/workflow": """
        disgorge/attestation disgorge/errors disgorge/evidence disgorge/examination disgorge/facts disgorge/layout
        disgorge/method disgorge/plan disgorge/request disgorge/request/holds disgorge/request/near
        disgorge/request/withdrawn disgorge/training disgorge/training/code disgorge/training/runners
        disgorge/training/sandbox disgorge/workspace_lock lineage/artifacts lineage/catalog lineage/errors
        lineage/formats lineage/plural lineage/records lineage/shards lineage/shown lineage/workspace policies/decision
        policies/errors policies/events policies/judging policies/packs policies/request policies/taxonomy
        policies/vocabulary
    """,
    "disgorge/statement": """
        disgorge/errors disgorge/evidence disgorge/method disgorge/plan lineage/plural lineage/records
        policies/decision policies/request policies/taxonomy
    """,
    "disgorge/tracking": """
        disgorge/errors disgorge/evidence disgorge/method disgorge/plan disgorge/training lineage/activity
        lineage/errors lineage/ledger lineage/plural lineage/records lineage/storage lineage/workspace policies/request
    """,
    "disgorge/training": """
        disgorge/attestation disgorge/declaration disgorge/errors disgorge/evidence disgorge/layout disgorge/method
        disgorge/training/code disgorge/training/sandbox lineage/activity lineage/artifacts lineage/catalog
        lineage/errors lineage/ledger lineage/records lineage/shards lineage/storage lineage/workspace policies/errors
        policies/packs
    """,
    "disgorge/training/code": """
        disgorge/declaration disgorge/errors disgorge/method disgorge/training/sandbox lineage/errors lineage/ledger
        lineage/records lineage/storage lineage/workspace
    """,
    "disgorge/training/runners": """
        disgorge/attestation disgorge/declaration disgorge/errors disgorge/method disgorge/training
        disgorge/training/code disgorge/training/sandbox lineage/activity lineage/errors lineage/plural
        lineage/printable lineage/records lineage/storage lineage/workspace
    """,
    "disgorge/training/sandbox": """
        disgorge/errors disgorge/method lineage/artifacts lineage/errors lineage/records lineage/shards lineage/storage
        lineage/workspace policies/taxonomy
    """,
    "disgorge/verify": """
        disgorge/attestation disgorge/errors disgorge/evidence disgorge/facts disgorge/method disgorge/plan
        disgorge/request disgorge/statement disgorge/training disgorge/training/code disgorge/training/runners
        disgorge/training/sandbox lineage/artifacts lineage/catalog lineage/errors lineage/ledger lineage/plural
        lineage/records lineage/shards lineage/storage lineage/workspace policies/request policies/taxonomy
    """,
    "lineage": "lineage/catalog lineage/ledger lineage/storage",
    "lineage/artifacts": """
        lineage/activity lineage/catalog lineage/errors lineage/ledger lineage/private_files lineage/records
        lineage/shards lineage/storage lineage/workspace
    """,
    "lineage/catalog": "lineage/errors lineage/ledger lineage/plural lineage/records lineage/storage lineage/workspace",
    "lineage/dvc": "lineage/activity lineage/errors lineage/storage",
    "lineage/formats": """
        lineage/errors lineage/formats/decoding lineage/plural lineage/records lineage/storage
    """,
    "lineage/formats/decoding": """
        lineage/errors lineage/storage
    """,
    "lineage/ledger": "lineage/errors lineage/lock lineage/plural lineage/records lineage/storage",
    "lineage/shards": """
        lineage/activity lineage/dvc lineage/errors lineage/formats lineage/git_ignored lineage/ledger lineage/lock
        lineage/perceptual_hash lineage/plural lineage/private_files lineage/records lineage/shards/validation
        lineage/storage lineage/texts lineage/workspace
    """,
    "lineage/shards/validation": """
        lineage/activity lineage/errors lineage/formats lineage/records lineage/storage
    """,
    "lineage/storage": "lineage/errors lineage/perceptual_hash lineage/records",
    "lineage/texts": "",
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
"""Whom each folder may import: folders, each for itself alone, and modules of a package's top level."""
MOST_FILES = 13


def room(path: Path) -> str:
    """The folder a file lies in, as rows name it."""
    return path.parent.relative_to(ROOT).as_posix()


def place(path: Path) -> str:
    """The folder a file lies in; a module of a package's top level is a place of its own."""
    at_top = path.parent.parent == ROOT and path.name != "__init__.py"
    return path.relative_to(ROOT).with_suffix("").as_posix() if at_top else room(path)


def modules() -> dict[str, Path]:
    """Every module of the three packages, by its dotted name."""
    files = sources("lineage", "policies", "disgorge")
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


MOST_LINES, MOST_LONG = 60, 10


def test_long_functions_are_few_and_say_why() -> None:
    long: list[str] = []
    for path in sources("lineage", "policies", "disgorge"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MOST_LINES:
                long.append(f"{path.relative_to(ROOT)}: {node.name}")
                assert "    # Long: " in (ast.get_source_segment(text, node) or ""), f"{long[-1]} needs its reason"
    assert len(long) <= MOST_LONG, long


def test_every_folder_has_a_row_and_says_what_lives_there() -> None:
    folders = {room(path) for path in modules().values()}
    assert folders == set(ROOMS)
    assert [
        folder for folder in folders if not ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))
    ] == []


def test_no_folder_is_crowded() -> None:
    files = Counter(room(path) for path in modules().values() if path.name != "__init__.py")
    assert {folder: count for folder, count in files.items() if count > MOST_FILES} == {}


def test_imports_stay_within_the_rows() -> None:
    known, wrong = modules(), []
    for path in known.values():
        allowed = set(ROOMS[room(path)].split())
        for module in within(path, known):
            target = known[module]
            if place(target) not in allowed | {"disgorge"} and room(target) != room(path):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert wrong == []


def within(path: Path, known: dict[str, Path], *, at_once: bool = False) -> set[str]:
    """Every module of ours that a file imports, itself excepted; ``at_once`` leaves out what a function imports."""
    found = {each.name for each in imports(path) if not at_once or (each.at_once and not each.typing)}
    return {name for name in found & known.keys() if known[name] != path}


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for type checking count: a circle that is only deferred is a circle."""
    known = modules()
    graph = {name: within(path, known) for name, path in known.items()}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def test_no_folder_imports_itself_by_way_of_others() -> None:
    """A folder and one inside it count as two: what lies in request/ itself, all of its inner folders rest on."""
    known = modules()
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for path in known.values():
        graph[place(path)] |= {place(known[name]) for name in within(path, known)} - {place(path)}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def libraries_of(module: str, light: dict[str, set[str]], known: dict[str, Path]) -> set[str]:
    """Every library of others that is loaded with a module, by way of ours; ``light`` has what each imports at once."""
    seen, waiting, found = set[str](), {module}, set[str]()
    while waiting:
        seen.add(name := waiting.pop())
        package = name.rpartition(".")[0]
        waiting |= ({*light[name], package} & known.keys()) - seen
        at_once = (each.name for each in imports(known[name]) if each.at_once and not each.typing)
        found |= {each.partition(".")[0] for each in at_once}
    return found - sys.stdlib_module_names - {"lineage", "policies", "disgorge"}


def test_a_function_imports_only_what_loads_a_library() -> None:
    """An import of ours inside a function is there to spare a library that loads slowly, and for no other reason.

    The command line is exempt: it loads nothing for --help, not even what is ours and light.
    """
    known = modules()
    light = {name: within(path, known, at_once=True) for name, path in known.items()}
    needless = [
        f"{path.relative_to(ROOT)} imports {name} inside a function"
        for module, path in known.items()
        if not module.startswith("disgorge.cli")
        for name in {each.name for each in imports(path) if not each.at_once} & known.keys() - light[module]
        if not libraries_of(name, light, known) - libraries_of(module, light, known)
    ]
    assert needless == []


def importers(paths: list[Path], *forbidden: str) -> list[str]:
    """Every import of a forbidden module, or of one below it, as "file imports module"."""
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in paths
        for module in {each.name for each in imports(path) if not each.typing}
        if f"{module}.".startswith(tuple(f"{name}." for name in forbidden))
    ]


def test_nobody_imports_the_command_line() -> None:
    paths = [path for path in sources("lineage", "policies", "disgorge") if "cli" not in path.parts]
    assert importers(paths, "disgorge.cli") == []


def test_lineage_and_policies_know_no_torch() -> None:
    assert importers(sources("lineage", "policies"), "torch", "diffusers") == []


def test_plans_evidence_and_statements_are_pure() -> None:
    """A probe may load torch inside a function; the workspace none of them touches."""
    paths = sources("disgorge/plan", "disgorge/evidence", "disgorge/statement")
    assert importers(paths, "lineage.workspace", "lineage.catalog") == []
    assert {each.name.partition(".")[0] for path in paths for each in imports(path) if each.at_once} & HEAVY == set()


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


def test_methods_of_others_are_loaded_by_what_serves_or_works_alone() -> None:
    """What trains and answers gets its method by its entry point; a process that serves from MLflow, by its name."""
    for name in ("method_named", "methods"):
        assert modules_that_import("disgorge.method", name) <= {"disgorge/training/assemble.py"}
    assert modules_that_import("disgorge.training.assemble", "put_together") == {
        "disgorge/training/answer.py", "disgorge/training/stored.py",
    }  # fmt: skip
    assert modules_that_import("disgorge.training.stored", "assemble") == {"disgorge/tracking/pyfunc.py"}


def modules_that_import(module: str, name: str) -> set[str]:
    """Every file that imports a name of a module."""
    return {
        str(path.relative_to(ROOT))
        for path in sources("lineage", "policies", "disgorge")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == module and name in {each.name for each in node.names}
    }


def test_no_pickle_and_no_eval() -> None:
    paths = sources("lineage", "policies", "disgorge")
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {node.func.id}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
    ]
    assert calls + importers(paths, "pickle", "cloudpickle", "joblib") == []

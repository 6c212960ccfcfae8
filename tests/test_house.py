"""The house stands: who may import whom, what stays light, what documents promise.

Read from the source, not from what happens to be loaded, so that an import inside a function counts as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "diffusers", "mlflow", "great_expectations", "dvc", "pandas", "sklearn", "transformers"}


def sources(*folders: str) -> list[Path]:
    """Every Python file of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, and whether it does so when it is itself imported."""
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
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in inside
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) not in inside
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) not in inside


def allowed(path: Path) -> tuple[str, ...] | None:
    """The prefixes of this project's modules that a file may import; None for any."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    match parts:
        case ("lineage", *_):
            return ("lineage",)
        case ("policies", *_):
            return ("policies", "lineage.records")
        case ("disgorge", "methods" | "probes" as kind, *rest):
            own = f"disgorge.{kind}.{rest[0]}" if rest else "disgorge"
            shared = (
                "disgorge.method",
                "disgorge.evidence.checks",
                "disgorge.errors",
                "lineage.records",
                "policies.taxonomy",
            )
            shared += (
                ("disgorge.methods.shared.parameters", "disgorge.methods.shared.tensors") if kind == "methods" else ()
            )
            shared += ("disgorge.evidence.probes.attack", "disgorge.evidence.probes.band") if kind == "probes" else ()
            return (own, *shared)
        case ("disgorge", "method" | "laying_out" | "plan" | "planning" | "evidence" | "certificate" | "errors"):
            return ("disgorge", "policies", "lineage.records")
        case _:
            return None


@pytest.mark.parametrize("path", sources("lineage", "policies", "disgorge"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_the_right_way(path: Path) -> None:
    limits = allowed(path)
    if limits is None:
        return
    for module, _ in imports(path):
        if module.partition(".")[0] not in {"lineage", "policies", "disgorge", "examples", "tests"}:
            continue
        fits = any(
            module == limit or module.startswith(f"{limit}.") or limit.startswith(f"{module}.") for limit in limits
        )
        assert fits, f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("path", sources("lineage", "policies", "disgorge"), ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_imports_the_command_line(path: Path) -> None:
    if "cli" in path.parts:
        return
    assert not [module for module, _ in imports(path) if module.startswith("disgorge.cli")]


@pytest.mark.parametrize("path", sources("lineage", "policies"), ids=lambda p: str(p.relative_to(ROOT)))
def test_lineage_and_policies_know_no_torch(path: Path) -> None:
    assert not [module for module, _ in imports(path) if module.partition(".")[0] in {"torch", "diffusers"}]


@pytest.mark.parametrize("path", sources("policies"), ids=lambda p: str(p.relative_to(ROOT)))
def test_policies_read_no_ledger(path: Path) -> None:
    assert not [module for module, _ in imports(path) if module in {"duckdb", "pyarrow", "lineage.workspace"}]


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


def test_every_package_is_listed_for_the_wheel() -> None:
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in sources("lineage", "policies", "disgorge")
        if path.name == "__init__.py"
    }
    assert listed == found


@pytest.mark.parametrize("path", sources("lineage", "policies", "disgorge"), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle_and_no_eval(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not [
        module for module, _ in imports(path) if module.partition(".")[0] in {"pickle", "cloudpickle", "joblib"}
    ]
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec"}

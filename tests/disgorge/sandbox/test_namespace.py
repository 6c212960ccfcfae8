"""What a box is made of: what it would have to show is refused where the workspace lies in it, or data does."""

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from disgorge.errors import WrongUse
from disgorge.training.sandbox import seccomp
from disgorge.training.sandbox.levels import Level, reached
from disgorge.training.sandbox.namespace import command, package_folders
from disgorge.training.sandbox.seccomp import filter_program


def box(code: list[Path], workspace: Path) -> list[str]:
    """The words that start a box with some code visible."""
    return command(workspace / "in", environ={}, filter_fd=9, code=code, workspace=workspace, packages=False)


def test_code_is_visible_piece_by_piece(tmp_path: Path) -> None:
    workspace = tmp_path / "project"
    (workspace / "mine").mkdir(parents=True)
    (workspace / "model.py").touch()
    words = box([workspace / "mine", workspace / "model.py"], workspace)
    assert str(workspace / "mine") in words
    assert str(workspace) not in words


@pytest.mark.parametrize("place", ["", ".."])
def test_a_folder_around_the_workspace_is_refused(tmp_path: Path, place: str) -> None:
    workspace = tmp_path / "outer" / "project"
    workspace.mkdir(parents=True)
    with pytest.raises(WrongUse, match=r"the workspace .* lies in it; move the workspace elsewhere"):
        box([workspace / place], workspace)


@pytest.mark.parametrize("place", [".disgorge/objects", "shards", "mlruns/0/code"])
def test_code_among_data_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    with pytest.raises(WrongUse, match=r"it lies where the workspace .* keeps data; move the code elsewhere"):
        box([tmp_path / place], tmp_path)


def test_a_link_to_the_workspace_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "code").symlink_to(tmp_path / "project")
    with pytest.raises(WrongUse, match="move the workspace elsewhere"):
        box([tmp_path / "code"], tmp_path / "project")


def test_packages_are_those_that_python_searches() -> None:
    assert Path(pytest.__file__).parents[1] in package_folders()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("sockets", [True, False])
def test_a_filter_is_whole_and_its_steps_stay_inside(machine: str, sockets: bool) -> None:
    """Each step is of eight bytes, no jump leaves the program, and the last step allows."""
    program = filter_program(sockets=sockets, namespaces=False, machine=machine)
    steps = [program[place : place + 8] for place in range(0, len(program), 8)]
    assert len(program) % 8 == 0
    assert len(steps) < 4096
    for place, step in enumerate(steps):
        code, if_so, if_not = int.from_bytes(step[:2], sys.byteorder), step[2], step[3]
        assert code & 0x07 != 0x05 or place + 1 + max(if_so, if_not) < len(steps)
    assert steps[-1] == (6).to_bytes(2, sys.byteorder) + b"\0\0" + (0x7FFF0000).to_bytes(4, sys.byteorder)


CALLS = """
import ctypes, json, sys
kernel = ctypes.CDLL(None, use_errno=True)
found = {}
from disgorge.training.sandbox.seccomp import refuse_calls
confined = refuse_calls()
assert confined
for name, number in json.loads(sys.argv[1]).items():
    found[name] = ctypes.get_errno() if kernel.syscall(number, -1, -1, -1, -1, -1, -1) == -1 else 0
print(json.dumps(found))
"""


@pytest.mark.skipif(not seccomp.can_filter(), reason="no filter can be written for this processor")
def test_every_call_of_the_table_is_refused() -> None:
    import json

    column = list(seccomp._MACHINES).index(os.uname().machine)
    tables = (seccomp._CALLS, seccomp._ATTRIBUTES)
    numbers = {name: of[column] for table in tables for name, of in table.items() if of[column] >= 0}
    ran = subprocess.run(
        [sys.executable, "-c", CALLS, json.dumps(numbers)], capture_output=True, text=True, check=True
    )  # fmt: skip
    refused = json.loads(ran.stdout)
    assert {refused[name] for name in seccomp._CALLS if name in refused} == {errno.EACCES}
    assert {refused[name] for name in seccomp._ATTRIBUTES} == {errno.ENOTSUP}
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.syscall(numbers["keyctl"], 0, -3, 0, 0, 0)
    assert ctypes.get_errno() not in (errno.EACCES,)  # outside it is answered


def test_the_level_here_is_known() -> None:
    assert reached().level in list(Level)

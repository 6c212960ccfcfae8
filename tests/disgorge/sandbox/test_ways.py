"""At each level that this machine reaches, what a job finds of what was hidden from it, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from disgorge.training.sandbox.levels import reached
from disgorge.training.sandbox.namespace import FILTERED, NO_PROC, PYTHON, run
from policies.taxonomy import Confinement as Level
from tests.disgorge.sandbox.jobs import LEVELS, job
from tests.disgorge.sandbox.ways import PROLOGUE, WAYS, planted
from tests.tier import lies_at, tally


def test_the_level_that_is_demanded_is_reached() -> None:
    """Where a machine is known to reach a level, as in CI, less is a failure."""
    demanded = Level(os.environ.get("DISGORGE_DEMANDED_CONFINEMENT", Level.PROCESS))
    assert reached().level.at_least(demanded), f"{reached().why}; to raise it: {reached().raise_by}"
    tally(f"confinement reached: {reached().level}", "level", gaps=len(reached().gaps))


@pytest.mark.parametrize("level", [level for level in LEVELS if level is not Level.PROCESS] or [Level.PROCESS])
@pytest.mark.parametrize("name", WAYS)
def test_what_a_level_lets_through(tmp_path: Path, name: str, level: Level) -> None:
    """The control runs beside it: level process, where the same code finds every secret."""
    way = WAYS[name]
    with planted(way, tmp_path) as there:
        code = PROLOGUE + way.code
        told = there.arguments
        control = job(Level.PROCESS, code, *told, folder=tmp_path, environ=there.environ, descriptors=there.descriptors)
        ran = job(level, code, *told, folder=tmp_path, environ=there.environ)
    assert control.stdout.strip() == there.expected, control.stderr
    found = there.expected in ran.stdout
    assert found == (level in way.lets_through), f"{ran.stdout}{ran.stderr}"
    tally(lies_at(level), f"{name} - {level}", where="channel", caught=not found)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_given_as_an_input_is_found(tmp_path: Path, level: Level) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "weights").write_text("given")
    place = "/in/weights" if level is Level.NAMESPACE else "weights"
    assert job(level, f"print(open({place!r}).read())", folder=tmp_path).stdout == "given\n"


@pytest.mark.parametrize("level", LEVELS)
def test_an_input_carries_no_attributes(tmp_path: Path, level: Level) -> None:
    """What a filter refuses even of files that a job may read."""
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "x").touch()
    os.setxattr(tmp_path / "inputs" / "x", "user.weights", b"old")
    place = "/in/x" if level is Level.NAMESPACE else "x"
    ran = job(level, f"import os; print(os.getxattr({place!r}, 'user.weights'))", folder=tmp_path)
    assert (ran.stdout == "b'old'\n") == (level is Level.PROCESS)
    assert level is Level.PROCESS or "Operation not supported" in ran.stderr


LEFT = {
    "a file in a temporary folder": "open(f'/tmp/{name}', 'w').write('x')",
    "a file in shared memory": "open(f'/dev/shm/{name}', 'w').write('x')",
    "a file beside the inputs": "open('/in/' + name, 'w').write('x')",
    "a file among the packages": "import numpy; open(os.path.dirname(numpy.__file__) + '/' + name, 'w').write('x')",
    "a file of the standard library": "open(os.path.dirname(os.__file__) + '/' + name, 'w').write('x')",
    "a file of the system's libraries": "open('/usr/lib/' + name, 'w').write('x')",
    "a file of the system's libraries, mounted again": (
        "import ctypes; print(ctypes.CDLL(None).mount(None, b'/usr/lib', None, 0x1020, None))\n"
        "open('/usr/lib/' + name, 'w').write('x')"
    ),
    "a setting of the kernel": "open('/proc/sys/kernel/domainname', 'w').write(name)",
}
"""What a job might leave for the next one."""


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
@pytest.mark.parametrize("name", LEFT)
def test_nothing_is_left_for_the_next_job(tmp_path: Path, name: str) -> None:
    """The job runs as root's or as a user's; what it could write was its own box's, and ended with it."""
    mark = f"disgorge-test-{os.getpid()}"
    first = job(Level.NAMESPACE, f"import os\nname = {mark!r}\n{LEFT[name]}", folder=tmp_path)
    look = (
        "import os, numpy\n"
        "code = [os.path.dirname(os.__file__), os.path.dirname(numpy.__file__)]\n"
        "for folder in ('/tmp', '/dev/shm', '/in', '/usr/lib', *code):\n"
        f"    assert not os.path.exists(os.path.join(folder, {mark!r})), folder\n"
        f"assert {mark!r} not in str(os.uname())\n"
        "print('nothing')"
    )
    for level in (Level.NAMESPACE, Level.PROCESS):
        after = job(level, look, folder=tmp_path)
        assert after.stdout == "nothing\n", after.stderr
    private = ("a file in a temporary folder", "a file in shared memory")
    assert (first.returncode == 0) == (name in private), first.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user could not write there outside either")
def test_outside_of_a_box_root_can_write_there() -> None:
    """The control of what a job cannot write: these folders are root's."""
    assert os.access("/usr/lib", os.W_OK)
    assert os.access(os.path.dirname(os.__file__), os.W_OK)


STAYING = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(0); os.close(1); os.close(2)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]])
    os._exit(0)
time.sleep(1)
print("ended", flush=True)
os._exit(0)
"""


def _alive(mark: str, *, started: bool = False) -> list[int]:
    """The processes that were given a mark; with ``started`` those that are a job by now, and no bwrap any more."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if started and words[0] != sys.executable.encode():
            continue
        if mark.encode() in words and b"import time; time.sleep(60)" in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
def test_a_grandchild_ends_with_its_box(tmp_path: Path) -> None:
    mark = f"stays-{os.getpid()}"
    assert job(Level.NAMESPACE, STAYING, mark, folder=tmp_path).stdout == "ended\n"
    assert _alive(mark) == []
    control = subprocess.run([sys.executable, "-c", STAYING, mark], capture_output=True, text=True, check=True)
    assert control.stdout == "ended\n"
    stayed = _alive(mark)
    assert len(stayed) == 1
    os.kill(stayed[0], signal.SIGKILL)


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
def test_a_box_ends_with_who_started_it(tmp_path: Path) -> None:
    mark = f"orphan-{os.getpid()}"
    code = (
        "import sys; from pathlib import Path; from disgorge.training.sandbox.namespace import PYTHON, run\n"
        "run([*PYTHON, '-c', 'import time; time.sleep(60)', sys.argv[1]], inputs=Path(sys.argv[2]), packages=False)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, mark, str(tmp_path)])
    for _ in range(200):
        if _alive(mark, started=True):
            break
        time.sleep(0.1)
    assert _alive(mark, started=True)
    starter.kill()
    starter.wait()
    for _ in range(50):
        if not _alive(mark):
            break
        time.sleep(0.1)
    assert _alive(mark) == []


WORLD = """
import json, os, sys, sysconfig
from pathlib import Path
packages = Path(sysconfig.get_path("purelib"))
print(json.dumps({
    "top": sorted(os.listdir("/")), "usr": sorted(os.listdir("/usr")), "etc": sorted(os.listdir("/etc")),
    "home": os.path.expanduser("~"), "node": os.uname().nodename, "user": os.getuid(), "environ": sorted(os.environ),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "compiled": len(list(packages.rglob("*.pyc"))), "descriptors": sorted(map(int, os.listdir("/dev/fd"))),
    "interfaces": [name for _, name in __import__("socket").if_nameindex()], "users": open("/etc/passwd").read(),
    "capabilities": [line for line in open("/proc/self/status") if line.startswith("CapBnd")],
}))
"""


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
def test_the_world_of_a_box_is_small(tmp_path: Path) -> None:
    ran = job(Level.NAMESPACE, WORLD, folder=tmp_path)
    world = json.loads(ran.stdout)
    assert not {"home", "var", "opt", "mnt", "run", "srv"} & set(world["top"])
    assert not set(world["usr"]) - {"lib", "lib32", "lib64", "libx32", "share"}
    assert "shadow" not in world["etc"]
    assert (world["home"], world["node"], world["user"]) == ("/tmp", "sandbox", 1000)
    assert (world["compiled"], world["interfaces"]) == (0, ["lo"])
    assert len(world["descriptors"]) == 4  # three, and the one that lists them
    assert not {"PYTHONPATH", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"} & set(world["environ"])
    assert world["processes"] == ["1"]
    assert world["capabilities"] == ["CapBnd:\t0000000000000000\n"]
    assert "user:x:1000" in world["users"]


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
@pytest.mark.parametrize("gaps", [(), (NO_PROC,), (FILTERED,), (NO_PROC, FILTERED)], ids=", ".join)
def test_no_box_makes_another(tmp_path: Path, gaps: tuple[str, ...]) -> None:
    """Not by unshare, nor by clone; threads and processes go on, and libraries load."""
    code = (
        "import ctypes, os, subprocess, sys, threading, numpy\n"
        "kernel = ctypes.CDLL(None, use_errno=True)\n"
        "clone = {'x86_64': 56}.get(os.uname().machine, 220)\n"
        "print(kernel.unshare(0x10000000), kernel.syscall(clone, 0x10000011, 0, 0, 0, 0))\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
        "print(subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True).stdout)\n"
        "print(os.path.exists('/proc/self'))"
    )
    ran = run([*PYTHON, "-c", code], inputs=tmp_path, gaps=gaps)
    assert ran.stdout.decode().split() == ["-1", "-1", "thread", "1", str(NO_PROC not in gaps)], ran.stderr.decode()


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
def test_a_data_set_that_is_exposed_is_found(tmp_path: Path) -> None:
    code = "from sklearn.datasets import load_digits; print(len(load_digits().target))"
    ran = run([*PYTHON, "-c", code], inputs=tmp_path, exposed=["scikit-learn"])
    assert ran.stdout == b"1797\n", ran.stderr


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason=f"{reached().level} is what is reached: {reached().why}")
def test_libraries_load_without_their_data(tmp_path: Path) -> None:
    ran = job(
        Level.NAMESPACE,
        "import sklearn, scipy.stats, torch, diffusers; print(torch.ones(2).sum().item())",
        folder=tmp_path,
    )
    assert ran.stdout == "2.0\n", ran.stderr

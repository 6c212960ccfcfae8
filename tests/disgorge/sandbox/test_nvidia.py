"""GPUs without one: what drivers tell, as it was recorded elsewhere, and what a box is then started with.

That a job on a GPU trains, and whether it repeats, ``benchmarks/gpu.py`` tries on a machine that has one.
"""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from disgorge.training.runners.box import Box
from disgorge.training.sandbox import landlock, nvidia, seccomp
from disgorge.training.sandbox.levels import Level, Reached, level_line, reached, with_gpu, words
from disgorge.training.sandbox.namespace import NO_PROC, PYTHON, command
from disgorge.training.sandbox.nvidia import Gpu, device_nodes, driver_libraries, driver_of, gpu_of, lacking, variables
from disgorge.training.sandbox.seccomp import filter_descriptor, filter_program
from lineage.workspace import Workspace

PROPRIETARY = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""
OPEN = """\
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U22-I3-AF03-07-4)  Fri
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
"""
TWO = """\
0, GPU-8f6d0cb2-6ab5-6c7e-6b10-9d3c1c3b7f10, NVIDIA A100-SXM4-80GB, 550.54.15
1, GPU-1b2c7a1e-0c56-5d9a-8f3e-3f0f6a4f0b42, NVIDIA H100 80GB HBM3, 550.54.15
"""
NODES = ("nvidiactl", "nvidia0", "nvidia1", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1")


@pytest.mark.parametrize(
    ("told", "version"),
    [
        (PROPRIETARY, "550.54.15"),
        (OPEN, "570.86.15"),
        ("", ""),
        ("NVRM version: none\n", ""),
        ("GCC version: 1.2 ", ""),
    ],
    ids=["proprietary", "open", "empty", "no version", "another line"],
)
def test_the_version_of_a_driver(told: str, version: str) -> None:
    assert driver_of(told) == version


@pytest.mark.parametrize(
    ("told", "visible", "found"),
    [
        (TWO, "0", Gpu("NVIDIA A100-SXM4-80GB", "550.54.15")),
        (TWO, "1,0", Gpu("NVIDIA H100 80GB HBM3", "550.54.15")),
        (TWO, "GPU-1b2c7a1e", Gpu("NVIDIA H100 80GB HBM3", "550.54.15")),
        (TWO, "MIG-GPU-1b2c7a1e/1/0", Gpu("", "550.54.15")),
        (TWO, "7", Gpu("", "550.54.15")),
        ("No devices were found\n", "0", None),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "0", None),
    ],
    ids=["first", "second", "by id", "part of one", "none of these", "no devices", "failed"],
)
def test_the_gpu_that_a_job_sees_first(told: str, visible: str, found: Gpu | None) -> None:
    assert gpu_of(told, visible) == found


def pretended(dev: Path, *names: str) -> Path:
    """A /dev with files where a machine has nodes."""
    for name in ("null", "nvidia-modeset", *names):
        (dev / name).parent.mkdir(parents=True, exist_ok=True)
        (dev / name).touch()
    return dev


def test_nodes_are_those_that_cuda_needs(tmp_path: Path) -> None:
    assert {path.relative_to(tmp_path).as_posix() for path in device_nodes(pretended(tmp_path, *NODES))} == {*NODES}


@pytest.mark.parametrize(
    ("nodes", "environ", "why"),
    [
        (NODES, {}, ""),
        (NODES, {"CUDA_VISIBLE_DEVICES": "1"}, ""),
        ((), {}, "this machine has no NVIDIA GPU, or its driver is not loaded"),
        (("nvidiactl", "nvidia0"), {}, "nvidia-uvm is missing, and jobs cannot make it; run `nvidia-modprobe -u -c=0`"),
        (NODES, {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES hides every GPU; unset it, or name one"),
    ],
    ids=["there", "one of two", "no GPU", "no memory node", "hidden"],
)
def test_what_is_lacking_is_said_in_a_line(
    tmp_path: Path, nodes: tuple[str, ...], environ: dict[str, str], why: str
) -> None:
    said = lacking(pretended(tmp_path, *nodes), environ)
    assert why in said
    assert bool(said) == bool(why)


def test_of_a_folder_with_the_drivers_libraries_nothing_else_is_shown(tmp_path: Path) -> None:
    for name in ("libcuda.so.550.54.15", "libnvidia-ptxjitcompiler.so.1", "old-weights.so", "libmine.so"):
        (tmp_path / name).touch()
    assert driver_libraries({"LD_LIBRARY_PATH": str(tmp_path)}, ()) == []
    (tmp_path / "libcuda.so.1").symlink_to("libcuda.so.550.54.15")
    found = driver_libraries({"LD_LIBRARY_PATH": f"relative:{tmp_path}"}, ())
    assert [path.name for path in found] == ["libcuda.so.1", "libcuda.so.550.54.15", "libnvidia-ptxjitcompiler.so.1"]
    assert driver_libraries({}, [str(tmp_path)]) == found
    told = variables(environ={"LD_LIBRARY_PATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "1", "CUDA_HOME": "/x"})
    assert told == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_CACHE_PATH": "/tmp/.nv", "CUDA_VISIBLE_DEVICES": "1",
        "LD_LIBRARY_PATH": str(tmp_path),
    }  # fmt: skip
    assert variables("/scratch", {})["CUDA_CACHE_PATH"] == "/scratch"


def test_a_box_with_a_gpu_has_its_nodes_and_sys_and_another_has_neither(tmp_path: Path) -> None:
    nodes = device_nodes(pretended(tmp_path, *NODES))
    words = command(tmp_path, environ={}, filter_fd=9, packages=False, devices=nodes)
    text = " ".join(words)
    made, closed = text.index("--dev /dev"), text.index("--remount-ro /dev ")
    for node in nodes:
        assert made < text.index(f"--dev-bind {node} {node}") < closed
    assert "--ro-bind /sys /sys" in text
    without = " ".join(command(tmp_path, environ={}, filter_fd=9, packages=False))
    assert "--dev-bind" not in without
    assert "/sys /sys" not in without
    assert "--dir /proc" in " ".join(
        command(tmp_path, environ={}, filter_fd=9, packages=False, devices=nodes, gaps=[NO_PROC])
    )


WRITES = """
import os, threading
own = f"/proc/self/task/{threading.get_native_id()}/comm"
with open(own, "w") as file:
    file.write("named")
print(open(own).read().strip(), os.path.isdir("/sys/class"), os.path.exists("/dev/full"))
for folder, inner, files in os.walk("/proc"):
    inner[:] = [name for name in inner if not name.isdigit() and name not in ("self", "thread-self")]
    for path in (os.path.join(folder, name) for name in files):
        if os.access(path, os.W_OK) and os.stat(path).st_rdev != os.stat("/dev/null").st_rdev:
            print("writable", path)
try:
    open("/sys/kernel/mm/transparent_hugepage/enabled", "w")
except OSError:
    print("refused")
"""


@pytest.mark.skipif(
    reached().level is not Level.NAMESPACE or bool(reached().gaps), reason=f"no whole box here: {reached().why}"
)
def test_a_box_with_a_gpu_names_its_threads_and_writes_nowhere_else(tmp_path: Path) -> None:
    """Any node will do: the driver of a GPU gives its threads names, and does not start where it cannot."""
    descriptor = filter_descriptor(filter_program(sockets=True))
    try:
        box = command(tmp_path, environ={}, filter_fd=descriptor, packages=False, devices=[Path("/dev/full")])
        ran = subprocess.run([*box, *PYTHON, "-c", WRITES], pass_fds=[descriptor], capture_output=True, text=True)
    finally:
        os.close(descriptor)
    assert ran.stdout.splitlines() == ["named True True", "refused"], ran.stderr


def test_a_process_with_a_gpu_is_started_with_all_of_it_and_says_so(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    nodes = device_nodes(pretended(tmp_path / "dev", *NODES))
    monkeypatch.setattr(nvidia, "device_nodes", lambda: nodes)
    monkeypatch.setattr(nvidia, "driver_libraries", lambda environ=None: [tmp_path / "libcuda.so.1"])
    (tmp_path / "libcuda.so.1").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    real = subprocess.Popen

    def start(arguments: list[str], *, env: dict[str, str], **how: Any) -> "subprocess.Popen[bytes]":
        started.append([*arguments, *(f"{name}={value}" for name, value in env.items())])
        pipes = {name: how[name] for name in ("stdin", "stdout", "stderr", "start_new_session")}
        return real([sys.executable, "-c", ""], **pipes)

    monkeypatch.setattr("disgorge.training.runners.box._bytecode", lambda modules, gaps: tmp_path)
    monkeypatch.setattr("disgorge.training.runners.box.subprocess.Popen", start)
    for level in (Level.NAMESPACE, Level.LANDLOCK):
        for given in (True, False):
            box = Box(workspace, Reached(level), variables={}, imports=(), gpu=given)
            box.close()
            text = " ".join(started[-1])
            assert (nvidia.SHARED in box.reached.gaps) == given
            assert ("CUDA_VISIBLE_DEVICES" in text) == given
            assert ('"gpu": true' in text) == given
            if level is Level.NAMESPACE:
                assert all((f"--dev-bind {node} {node}" in text) == given for node in nodes)
                assert (f"--ro-bind {tmp_path}/libcuda.so.1" in text) == given


def test_the_gap_is_named_wherever_a_level_is() -> None:
    gap = "given a GPU: devices are shared, and residues on the device are not excluded"
    confinement = with_gpu(Reached(Level.NAMESPACE, (NO_PROC,)))
    assert confinement.gaps == (NO_PROC, gap)
    assert words(confinement.level, confinement.gaps).endswith(f" The job was {NO_PROC}, {gap}.")
    assert level_line(with_gpu(Reached(Level.LANDLOCK))) == f"confinement: landlock, {gap}"


CALLS = """
import ctypes, mmap, os, socket, sys
from disgorge.training.sandbox.seccomp import refuse_calls
assert refuse_calls(gpu=sys.argv[1] == "gpu")
def tried(deed):
    try:
        deed()
    except OSError as error:
        return error.errno
    return 0
def waits():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as there:
        there.bind(b"\\0waits-" + str(os.getpid()).encode())
        there.listen()
def connects():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as there:
        there.connect(b"\\0" + sys.argv[2].encode())
print(tried(waits), tried(connects), tried(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)),
      tried(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)), tried(lambda: socket.socket(socket.AF_INET)),
      tried(lambda: os.close(os.memfd_create("x"))), tried(lambda: os.close(os.eventfd(0))))
"""


@pytest.mark.skipif(not seccomp.can_filter(), reason="no filter can be written for this processor")
@pytest.mark.parametrize("given", ["gpu", "none"])
def test_under_landlock_a_drivers_socket_waits_and_none_connects(given: str) -> None:
    """A live socket of this process is there to be connected to, and is not reached."""
    name = f"lives-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as lives:
        lives.bind(b"\0" + name.encode())
        lives.listen()
        ran = subprocess.run([sys.executable, "-c", CALLS, given, name], capture_output=True, text=True, check=True)
    denied = errno.EACCES
    waits = 0 if given == "gpu" else denied
    assert list(map(int, ran.stdout.split())) == [waits, denied, denied, denied, denied, 0, 0]


UNDER_LANDLOCK = """
import sys, threading
from pathlib import Path
from disgorge.training.sandbox import landlock
folder, node, gpu = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "gpu"
landlock.device_nodes = lambda: [node]
assert landlock.confine(folder, hidden=node.parent, gpu=gpu)
def tried(path):
    try:
        with open(path, "r+b", buffering=0) as file:
            file.write(b"named")
    except OSError as error:
        return error.errno
    return 0
print(tried(node), tried(f"/proc/self/task/{threading.get_native_id()}/comm"), tried(node.with_name("weights")))
"""


@pytest.mark.skipif(landlock.abi() < 1 or not seccomp.can_filter(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("given", ["gpu", "none"])
def test_under_landlock_nodes_can_be_used_and_threads_be_named(tmp_path: Path, given: str) -> None:
    (tmp_path / "job").mkdir()
    for name in ("node", "weights"):
        (tmp_path / name).write_bytes(b"old weights")
    command = [sys.executable, "-c", UNDER_LANDLOCK, str(tmp_path / "job"), str(tmp_path / "node"), given]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "job", check=True)
    allowed = 0 if given == "gpu" else errno.EACCES
    assert list(map(int, ran.stdout.split())) == [allowed, allowed, errno.EACCES]

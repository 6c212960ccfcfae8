"""A job that is re-executed finds its inputs and nothing of other jobs: no file, no memory, no file's margin."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from disgorge.errors import CertificateRefused, ExecutionFailed
from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers
from lineage.catalog.catalog import Catalog
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace
from tests.registered import register
from tests.tier import tally
from tests.toys import carry, component_of, granted_plan, live_shards, person, trained_toy

RELEASE = "toy-prying"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a model of a method that looks around, trained in processes that let it."""
    from prying import METHOD

    register(monkeypatch, METHOD)
    (tmp_path / "workspace").mkdir()
    monkeypatch.setenv("PRYING_AT", str(tmp_path / "workspace"))
    return trained_toy(tmp_path, method="prying", seed=5)


def jobs(workspace: Workspace) -> list[Job]:
    """The recipes of all parts, as they are re-executed."""
    with Catalog.of(workspace) as catalog:
        components = [component for component in catalog.components() if component.name.startswith(RELEASE)]
    return [Job(component.name, component.recipe, 1) for component in components]


def seen(workspace: Workspace, digest: str) -> dict[str, int]:
    """What a part says that it saw."""
    tensors = load_tensors(workspace.objects.get(digest))
    return {name: int(tensors[name]) for name in ("shards", "objects", "jobs", "kept")}


@pytest.mark.parametrize("count", [1, 2])
def test_each_job_sees_its_own_inputs_alone(workspace: Workspace, count: int) -> None:
    for shard in live_shards(workspace).values():
        path = workspace.content_path(shard.digest)
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), b"kept": b"old weights"}), path)
    wanted = jobs(workspace)
    with Workers(workspace, count=count) as workers:
        done = {each.job.name: each.digest for each in workers.run(wanted)}
    assert len(done) == len(wanted) > 4
    for name, digest in done.items():
        part = 0 if name.endswith("/scale") else 1
        assert seen(workspace, digest) == {"shards": 1, "objects": part, "jobs": 0, "kept": 0}, name


def test_in_the_process_that_trains_there_was_more_to_see(workspace: Workspace) -> None:
    """The control: where jobs are not set apart, the method sees what the others left."""
    last = component_of(workspace, f"{RELEASE}/mean/shard-4")
    found = seen(workspace, last.digest)
    assert found["shards"] > 1
    assert found["objects"] > 1
    assert found["jobs"] > 0


def test_what_was_learned_from_what_lay_about_is_no_removal(workspace: Workspace) -> None:
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    with pytest.raises((CertificateRefused, ExecutionFailed), match="check never-trained is fail"):
        carry(workspace, independent=lambda: Workers(workspace, count=1))
    tally("liars", "looks around - averages", where="hiding", caught=True)


def test_a_process_that_is_killed_by_its_job_is_told_in_words(workspace: Workspace) -> None:
    """The process that bears the others goes on; whoever waits hears of it."""
    (job, *_) = jobs(workspace)
    broken = Job(job.name, {**job.recipe, "parameters": {**job.recipe["parameters"], "die": True}}, 1)
    with Workers(workspace, count=1) as workers, pytest.raises(ExecutionFailed, match="process ended"):
        list(workers.run([broken]))


def test_memory_holds_libraries_and_nothing_else() -> None:
    from disgorge.training.runners.worker import preload

    before = set(sys.modules)
    preload(["os; print(1)", "this", "antigravity", "../prying", "numpy.nothing_there", "numpy.fft"])
    assert "numpy.fft" in sys.modules
    assert not {"this", "antigravity"} & (set(sys.modules) - before)


# What Landlock allows and forbids


DEED = """
import ctypes, os, socket, subprocess, sys
from pathlib import Path
from disgorge.training.sandbox.landlock import confine
mine, other = Path(sys.argv[1]), Path(sys.argv[2])
def called(name, *values):
    kernel = ctypes.CDLL(None, use_errno=True)
    if getattr(kernel, name)(*values) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
if not confine(mine, hidden=other):
    print("unconfined"); sys.exit()
{deed}
print("done")
"""


def confined(tmp_path: Path, deed: str) -> subprocess.CompletedProcess[str]:
    """Do a deed in a confined process, with a folder of its own and a file elsewhere; skips where no kernel can."""
    mine, other = tmp_path / "mine", tmp_path / "other.parquet"
    mine.mkdir()
    (mine / "in").write_text("input")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), other)
    code = DEED.replace("{deed}", deed)
    ran = subprocess.run(
        [sys.executable, "-c", code, str(mine), str(other)],
        capture_output=True, text=True, timeout=120, check=False, cwd=mine, env=os.environ | {"TMPDIR": str(mine)},
    )  # fmt: skip
    if ran.stdout.startswith("unconfined"):
        pytest.skip("this kernel has no Landlock, so nothing is confined and reports say so")
    return ran


@pytest.mark.parametrize(
    "deed",
    [
        "assert (mine / 'in').read_text() == 'input'",
        "(mine / 'out').mkdir(); (mine / 'out' / 'file').write_text('x'); (mine / 'out' / 'file').unlink()",
        "import tempfile; tempfile.NamedTemporaryFile().write(b'x')",
        "import numpy, safetensors, pyarrow, duckdb, lineage.workspace, disgorge.examination.examine",
        "import importlib.metadata as m; assert len(m.entry_points(group='disgorge.methods')) > 2",
        "open('/dev/null', 'w').write('x'); assert len(open('/dev/urandom', 'rb').read(4)) == 4",
        "assert subprocess.run([sys.executable, '-c', 'pass']).returncode == 0",
        "assert other.exists()",
        "one, two = socket.socketpair(); one.send(b'x'); assert two.recv(1) == b'x'",
        "import torch; assert torch.ones(2).sum() == 2",
    ],
)  # fmt: skip
def test_what_it_may_do(tmp_path: Path, deed: str) -> None:
    ran = confined(tmp_path, deed)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


@pytest.mark.parametrize(
    "deed",
    [
        "other.read_bytes()",
        "other.write_bytes(b'x')",
        "other.unlink()",
        "(other.parent / 'new').write_text('x')",
        "import os; os.link(other, mine / 'linked')",
        "import os; os.symlink(other, mine / 'soft'); (mine / 'soft').read_bytes()",
        "import pyarrow.parquet as pq; pq.read_table(other)",
        "import duckdb; duckdb.sql(f\"select * from '{other}'\").fetchall()",
        "list(other.parent.iterdir())",
        "subprocess.run(['cat', str(other)], check=True)",
        "import disgorge; Path(disgorge.__file__).with_name('hidden').write_text('x')",
        "open('/dev/shm/hidden', 'w')",
        "socket.create_connection(('127.0.0.1', 9), timeout=5)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "socket.socket(socket.AF_UNIX).connect('\\0other')",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "called('shmget', 0, 64, 0o1600)",
        "called('msgget', 0, 0o1600)",
        "called('syscall', {'x86_64': 250, 'aarch64': 219}[os.uname().machine], 0, -4, 1)",  # keyctl: a user's keyring
        "called('syscall', 425, 1, 0)",  # io_uring_setup, which opens sockets by other calls
    ],
)
def test_what_it_may_not_do(tmp_path: Path, deed: str) -> None:
    ran = confined(tmp_path, deed)
    assert ran.returncode == 1, ran.stdout
    words = ran.stderr.splitlines()[-1]
    denied = ("Permission denied", "Operation not permitted", "non-zero exit status", "Invalid cross-device link")
    assert any(each in words for each in denied), words
    assert (tmp_path / "other.parquet").exists()


def test_where_an_installation_lies_above_what_is_to_be_hidden_nothing_is_claimed(tmp_path: Path) -> None:
    """A workspace among the libraries could be read by whatever reads libraries."""
    code = (
        "import sys; from pathlib import Path; from disgorge.training.sandbox.landlock import confine\n"
        "print(confine(Path(sys.argv[1]), hidden=Path(sys.prefix) / 'lib' / 'workspace'))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"

"""Nothing leaves the machine: the whole pass, with every library installed and nothing switched off beforehand.

MLflow, DVC and Great Expectations report their use unless they are told not to, so the environment that tests otherwise
set up is left out, the home folder is empty, and every process is listened to. The first tests are the controls: what
listens does hear.

``make offline`` (``DISGORGE_DEMO=1``) listens to the whole demo in place of the pass, and compares what it says with
the README's table.
"""

import os
import time
from pathlib import Path

import pytest

from examples.digits.results import RESULTS, Removal, read, removals
from lineage.workspace import Workspace
from tests.crash_harness.alone import Ran, namespaces, run_alone, whole_pass
from tests.tier import FULL, tally

ONLY_WITH_NAMESPACES = pytest.mark.skipif(not namespaces(), reason="no network namespaces for this user")
PROGRAMS = {"bwrap", "git", "uname", "python", "gcc", "ld", "ldconfig", "objdump"}
"""What the pass may start: bubblewrap, git and this Python; uname, which Python's own ``platform`` asks; and the last
four, which Python's own ``ctypes.util`` asks where Pango lies, for the PDF."""

FETCH = "import urllib.request; urllib.request.urlopen('http://{}/')"
CONNECT = "import socket; socket.socket().connect(('192.0.2.1', 9))"
DVC_AS_IT_COMES = "from dvc.cli import main; main(['version', '-q']); import time; time.sleep(3)"


WITH_DEMO = FULL or os.environ.get("DISGORGE_DEMO") == "1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo makes its workspace."""
    return tmp_path_factory.mktemp("demo") / "workspace"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Ran:
    """The whole pass or the demo, as heard."""
    if not WITH_DEMO:
        return whole_pass(tmp_path_factory.getbasetemp())[1]
    start = time.perf_counter()
    heard = run_alone("-c", "from disgorge.cli import main; main()", "demo", str(demo))
    attempts = len(not_of_the_control(heard)) + (heard.sought or 0)
    tally("offline", "demo", seconds=round(time.perf_counter() - start), no_interface=namespaces(), attempts=attempts)
    return heard


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
def test_an_attempt_is_heard_and_fails(host: str) -> None:
    tried = run_alone("-c", FETCH.format(host))
    assert tried.code == 1
    assert "no network here" in tried.said
    assert [words[:2] for words in tried.tried] == [["socket.getaddrinfo", host]]


@ONLY_WITH_NAMESPACES
def test_an_attempt_of_native_code_is_counted() -> None:
    """The hook is left out here, so that what the kernel counts is all there is."""
    tried = run_alone("-c", CONNECT, guarded=False)
    assert (tried.code, tried.heard, tried.sought) == (1, [], 1)


@ONLY_WITH_NAMESPACES
def test_a_library_that_reports_its_use_is_caught() -> None:
    """DVC's command line, as it comes, starts a daemon that clears its environment; the kernel hears it."""
    tried = run_alone("-c", DVC_AS_IT_COMES)
    assert any("daemon" in words for words in tried.heard)
    assert tried.sought


@pytest.mark.timeout(1500)
def test_the_whole_pass_works_without_a_network(ran: Ran) -> None:
    assert ran.code == 0, ran.said[-2000:]


def test_no_process_tried_to_reach_anything(ran: Ran) -> None:
    assert not_of_the_control(ran) == []


def not_of_the_control(ran: Ran) -> list[list[str]]:
    """What was tried but for the control of confinement, which serves an item on this very machine and looks for it."""
    own = ("('127.0.0.1', ", ".disgorge-control-")
    return [words for words in ran.tried if not any(each in str(words[-1]) for each in own)]


@ONLY_WITH_NAMESPACES
def test_no_packet_looked_for_a_way_out(ran: Ran) -> None:
    assert ran.sought == 0


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The whole pass as heard where jobs are not confined: in a box nothing can be heard, and there is no network."""
    folder = tmp_path_factory.mktemp("unconfined") / "workspace"
    return run_alone("-m", "tests.crash_harness.whole_pass", str(folder), confined=False)


def test_workers_were_listened_to_as_well(jobs: Ran) -> None:
    processes = [words for words in jobs.heard if words[0] == "process"]
    assert len([words for words in processes if "disgorge.training.runners.worker" in words]) >= 1
    assert jobs.tried == []
    assert not jobs.sought


def test_workers_begin_with_every_library_told_not_to_report(jobs: Ran) -> None:
    """Whatever a method imports there: a third party's may bring MLflow or DVC along."""
    begun = [
        words[1:4] for words in jobs.heard if words[0] == "switches" and "disgorge.training.runners.worker" in words
    ]
    assert begun
    assert {tuple(values) for values in begun} == {("true", "1", "false")}


def test_nothing_was_started_that_is_not_known(ran: Ran) -> None:
    """A program started without the hook could do what it likes, and telemetry likes daemons."""
    started = [words[1:] for words in ran.heard if words[0] == "subprocess.Popen"]
    assert {words[0].rpartition("/")[2].rstrip("3.1") for words in started} <= PROGRAMS
    assert not [words for words in started if "daemon" in words]


@pytest.mark.skipif(not WITH_DEMO, reason="the demo takes minutes: `make offline` and the full tier run it")
def test_the_demo_says_what_the_readme_says(ran: Ran, demo: Path) -> None:
    """Each removal, its remedies, steps and verdict. Seconds and utility differ from machine to machine."""

    def row(removal: Removal) -> tuple[object, ...]:
        return (
            removal.request, removal.release, removal.remedies, removal.guarantee, removal.touched, removal.components,
            removal.steps, removal.full_steps, removal.verdict,
        )  # fmt: skip

    assert list(map(row, removals(Workspace.open(demo)))) == list(map(row, read(RESULTS)))

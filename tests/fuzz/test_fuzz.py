"""Generated cases of every kind: none crashes, none shows a traceback, none leaves a trace where it has no business."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from disgorge.cli import app as verbs
from tests.fuzz.harness import CRASH, KINDS, run_isolated
from tests.fuzz.kind import Batch, Kind, run
from tests.fuzz.place import Place
from tests.tier import tally

ISOLATED = [kind for kind in KINDS.values() if kind.isolated]
IN_PROCESS = [kind for kind in KINDS.values() if not kind.isolated]


@pytest.fixture(scope="module")
def batches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Batch]:
    """The isolated kinds that are tested in this run, after the harness's test of itself."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    kinds = [call.params["kind"] for call in calls if call is not None and isinstance(call.params.get("kind"), Kind)]
    names = [kind.name for kind in kinds if kind.isolated]
    return run_isolated([CRASH.name, *dict.fromkeys(["tensors", *names])], tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A watched tree in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "TERM", "COLUMNS", "CANARY"):
            patch.setenv(name, "")
        patch.chdir(Path.cwd())
        yield Place(tmp_path_factory.mktemp("place"))


def account(kind: Kind, batch: Batch) -> None:
    """Hold that no case failed and that what must come out did."""
    assert not batch.failure, batch.failure
    assert set(batch.outcomes) >= kind.outcomes, batch.outcomes
    tally("fuzz", kind.name, cases=batch.cases, crashes=0, slowest=batch.slowest)


@pytest.mark.timeout(1800)  # the first test waits for all of them
@pytest.mark.parametrize("kind", ISOLATED, ids=lambda kind: kind.name)
def test_every_case_is_taken_whole_or_refused_in_one_line(kind: Kind, batches: dict[str, Batch]) -> None:
    """Taken or refused, both must happen; the ledger holds, nothing outside changes, no planted code runs."""
    account(kind, batches[kind.name])


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", IN_PROCESS, ids=lambda kind: kind.name)
def test_every_drawn_case_is_taken_whole_or_refused_in_one_line(kind: Kind, place: Place) -> None:
    account(kind, run(kind, place))


def test_there_are_ten_thousand_cases() -> None:
    assert sum(kind.full for kind in KINDS.values()) >= 10_000


def verb_that(does: Callable[[], object]) -> Callable[[Place], object]:
    """Run a verb that does what none may."""

    def broken(place: Place) -> None:
        audit = next(command for command in verbs.app.registered_commands if command.name == "audit")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(audit, "callback", lambda: does())
            place.run("audit")

    return broken


@pytest.mark.parametrize(
    ("breach", "told"),
    [
        (lambda place: (place.root / "CANARY").touch(), "planted code ran"),
        (verb_that(lambda: 1 / 0), "unexpected error"),
        (verb_that(lambda: typer.echo("\x9b31m")), "printed"),
        (lambda place: (place.outer / "outside" / "new.txt").touch(), "changed outside"),
    ],
    ids=["planted code ran", "unexpected error", "printed", "changed outside"],
)
def test_a_breach_is_noticed(place: Place, breach: Callable[[Place], object], told: str) -> None:
    place.fresh("empty")
    try:
        with pytest.raises(AssertionError, match=told):
            place.watched(lambda place, _: str(breach(place)), None)
    finally:
        (place.outer / "outside" / "new.txt").unlink(missing_ok=True)


def test_a_dead_process_fails_its_kind_and_the_next_one_runs(batches: dict[str, Batch]) -> None:
    assert "SIGSEGV" in batches[CRASH.name].failure
    assert batches["tensors"].cases

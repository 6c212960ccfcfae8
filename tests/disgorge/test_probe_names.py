"""A third party's probe may not take the name of a check that needs fewer controls, or of another probe."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from disgorge.errors import BadProbe
from disgorge.evidence.checks import CONTROLS, Check, Items, Probe, ProbeCase, Verdict, check_from, probes

Install = Callable[[str, str], None]

PROBE = """
from disgorge.evidence.checks import Check, Verdict


class Probe:
    name, version = {name!r}, "1"

    def run(self, case):
        return Check({found!r}, case.release, "?", "!", None, None, 0, Verdict.PASS)


PROBE = Probe()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one probe, as pip would leave it, and forget it afterwards."""

    def put(name: str, found: str) -> None:
        module = f"third_party_{abs(hash((name, found)))}"
        (tmp_path / f"{module}.py").write_text(PROBE.format(name=name, found=found))
        about = tmp_path / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[disgorge.probes]\nmine = {module}:PROBE\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        probes.cache_clear()

    yield put
    probes.cache_clear()


def test_those_that_ship_are_registered() -> None:
    assert probes().keys() >= {"membership", "forget-quality", "memorization"}
    assert all(isinstance(probe, Probe) for probe in probes().values())


@pytest.mark.parametrize("name", [*sorted(CONTROLS), "membership"])
def test_a_probe_called_like_a_check_that_ships_is_refused(name: str, install: Install) -> None:
    install(name, name)
    with pytest.raises(BadProbe, match=f"is called '{name}'.*give it a name of its own") as refused:
        probes()
    assert "third_party_" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_probe_with_a_name_of_its_own_is_loaded_and_speaks_under_it(install: Install) -> None:
    install("mine", "mine")
    none = Items((), {})
    case = ProbeCase("toy", None, None, (), none, none, none, 1)  # type: ignore[arg-type]
    found = check_from(probes()["mine"], case)
    assert isinstance(found, Check)
    assert found.verdict is Verdict.PASS


def test_a_probe_whose_check_is_called_otherwise_is_refused(install: Install) -> None:
    install("mine", "answers")
    none = Items((), {})
    case = ProbeCase("toy", None, None, (), none, none, none, 1)  # type: ignore[arg-type]
    with pytest.raises(BadProbe, match="'mine' returned a check called 'answers'"):
        check_from(probes()["mine"], case)

"""Law 10: whoever keeps the data and claims an exact removal gets no certificate.

The lies are told in this process and its temporary folder; re-execution runs in processes set apart. The last test is
the control of this file: the honest method gets its certificate by the very same route.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from disgorge.errors import CertificateRefused, ExecutionFailed
from disgorge.execute import Executed
from disgorge.method import Toy, methods
from disgorge.workers import Workers
from lineage.catalog import Catalog
from lineage.ledger import Ledger
from tests.toys import carry, granted_plan, person, populate, toy_of, train


@pytest.fixture(autouse=True)
def known_liars() -> Iterator[None]:
    """Register the liars here only: the laws run over every registered method, and liars break them by trade."""
    from liars import METHOD

    methods()[METHOD.name] = METHOD
    yield
    del methods()[METHOD.name]


def lies() -> list[str]:
    """Every lie there is."""
    from liars import LIES

    return list(LIES)


def removal_by(toy: Toy, folder: Path) -> tuple[Ledger, Executed]:
    """Remove one person from a toy, re-executing apart."""
    ledger = Ledger.init(folder / "workspace")
    populate(ledger, toy, folder / "sources")
    train(ledger, toy)
    granted_plan(ledger, [person(ledger, "shard-3", 0)])
    return ledger, carry(ledger, independent=lambda: Workers(ledger, count=1, apart=True))


@pytest.mark.parametrize("lie", lies())
def test_a_liar_gets_no_certificate(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "plugins" / "lying"), prepend=":")
    toy = toy_of("liar", 5)
    toy = replace(toy, spec=replace(toy.spec, parameters={"lie": lie, "salt": tmp_path.name}))
    with pytest.raises((CertificateRefused, ExecutionFailed), match=r"differs from what its recipe|very same weights"):
        removal_by(toy, tmp_path)
    ledger = Ledger.open(tmp_path / "workspace")
    with Catalog.of(ledger) as catalog:
        assert catalog.release(toy.spec.release).contained
    assert not list(ledger.facts("request-closed"))
    with contextlib.suppress(FileNotFoundError):
        for path in Path(tempfile.gettempdir()).glob(f"liar-{tmp_path.name}-*"):
            path.unlink()


def test_the_honest_method_gets_one_by_the_same_route(tmp_path: Path) -> None:
    _, executed = removal_by(toy_of("averages", 5), tmp_path)
    assert executed.verdict == "certified"
    shutil.rmtree(tmp_path / "workspace")

"""The PDF: one or two sheets of PDF/A-3 that carry the statement, the same bytes each time, done without if need be."""

import builtins
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from disgorge.report.bundle import verify_bundle, write_bundle
from disgorge.report.page import render_certificate
from disgorge.report.pdf import MISSING, render_pdf
from disgorge.statement.bundle_zip import read_members
from disgorge.statement.signing import new_key, public_pem
from disgorge.verify.bundle import carries
from tests.disgorge.report_cases import case

STATEMENT = b'{"payload":"e30="}\n'


@pytest.fixture(scope="module")
def pdf() -> bytes:
    """The certificate of a usual case."""
    drawn = render_pdf(case(), STATEMENT)
    assert drawn is not None, MISSING
    return drawn


def streams(pdf: bytes) -> list[bytes]:
    """What the streams of a PDF hold, unpacked where they are packed."""
    found = []
    for match in re.finditer(rb"\bstream\r?\n", pdf):
        try:
            found.append(zlib.decompressobj().decompress(pdf[match.end() :]))
        except zlib.error:
            found.append(pdf[match.end() : pdf.index(b"endstream", match.end())])
    return found


def test_it_says_that_it_is_an_archival_pdf_and_attaches_the_statement(pdf: bytes) -> None:
    told = b"".join(streams(pdf))
    assert re.search(rb"pdfaid:part[^0-9]+3", told)
    assert re.search(rb"pdfaid:conformance[^A-Z]+B", told)
    assert b"/AFRelationship/Source" in told.replace(b" ", b"")
    assert STATEMENT in streams(pdf)


def test_it_is_one_or_two_sheets_of_a4(pdf: bytes) -> None:
    told = b"".join((pdf, *streams(pdf))).replace(b" ", b"")
    assert 1 <= len(re.findall(rb"/Type/Page\b(?!s)", told)) <= 2
    assert set(re.findall(rb"/MediaBox\[([0-9.]+)\]", told)) == {b"00595.275591841.889764"}


def test_it_says_everything_a_reader_must_know() -> None:
    words = re.sub(r"<[^>]*>", " ", render_certificate(case()))
    for needed in ("Carried out and certified", "What was asked", "What was done", "What was checked", "Controls held"):
        assert needed in words
    for needed in (
        "What is not promised, and not shown",
        "About this removal",
        "About this machine",
        "Always",
        "the operator is honest",
        "How to verify",
    ):
        assert needed in words
    assert "4 of 4" in words  # both controls of both attacks


def test_no_clock_enters(pdf: bytes) -> None:
    assert render_pdf(case(), STATEMENT) == pdf


def test_another_statement_is_not_carried(pdf: bytes) -> None:
    assert carries(pdf, STATEMENT)
    assert not carries(pdf, STATEMENT + b"\n")
    assert not carries(pdf, STATEMENT[:-2])
    assert not carries(b"%PDF-1.7 stream\n" + b"x" * 1000 + b"endstream", STATEMENT)


def test_without_pango_the_report_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, *rest: Any) -> Any:
        if name.startswith("weasyprint"):
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    key = new_key()
    folder = write_bundle(tmp_path / "R-7", case(), key=key)
    monkeypatch.undo()
    assert "certificate.pdf" not in read_members(folder)
    assert verify_bundle(folder.with_name("R-7.zip"), public_key=public_pem(key), level="ledger").verdict == "certified"


def test_verifying_loads_nothing_heavy(tmp_path: Path) -> None:
    """Digests and ledger are checked where neither torch nor the library that draws is installed."""
    key = new_key()
    folder = write_bundle(tmp_path / "R-7", case(), key=key)
    script = (
        "import sys, pathlib\n"
        "sys.modules.update(dict.fromkeys(('torch', 'weasyprint', 'jinja2', 'mlflow', 'dvc', 'pandas')))\n"
        "from disgorge.verify.verify import verify_bundle\n"
        f"print(verify_bundle(pathlib.Path({str(folder)!r}), level='ledger').verdict)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "certified"

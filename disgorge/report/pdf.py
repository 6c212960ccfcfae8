"""``certificate.pdf``: the report on one or two sheets, PDF/A-3 with the signed statement attached, for a file cabinet.

Drawn by WeasyPrint, which needs the Pango library; without either, a bundle is written without a PDF. The same case on
the same machine (its fonts) gives the same bytes: no clock and no random number enters.
"""

import datetime as dt
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from disgorge.report.page import render_certificate
from disgorge.statement.statement import ReportCase
from lineage.activity import activity

MISSING = (
    "no certificate.pdf was written: it needs WeasyPrint and Pango (`pip install 'disgorge[pdf]'` and, on Debian or "
    "Ubuntu, `apt install libpango-1.0-0 libpangoft2-1.0-0`); everything else of the report is there"
)
"""What the command line says where no PDF can be drawn."""


def can_draw() -> bool:
    """Whether the package, and the library it draws text with, are there."""
    with _quiet():
        try:
            import weasyprint  # noqa: F401 # loaded to see whether it can be
        except (ImportError, OSError):
            return False
    return True


@activity("drawing certificate.pdf")
def render_pdf(case: ReportCase, statement: bytes) -> bytes:
    """Return the certificate with ``statement`` attached; only where :func:`can_draw`."""
    with _quiet():
        return _drawn(case, statement)


def _drawn(case: ReportCase, statement: bytes) -> bytes:
    from weasyprint import HTML, Attachment
    from weasyprint.urls import URLFetcher

    fetcher = URLFetcher(allowed_protocols=())  # the page refers to nothing outside itself
    issued = case.issued.astimezone(dt.UTC)
    attached = Attachment(
        string=statement.decode(),
        name="statement.json",
        description="The signed in-toto statement (DSSE envelope)",
        created=issued,
        modified=issued,
        relationship="Source",
    )
    with _at(issued):
        drawn: bytes = HTML(string=render_certificate(case), url_fetcher=fetcher).write_pdf(
            pdf_variant="pdf/a-3b",
            pdf_identifier=sha256(statement).hexdigest()[:32].encode(),
            attachments=[attached],
        )
    return drawn


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore what WeasyPrint warns of: it would like HarfBuzz to cut fonts down, and leaves a profile to be closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@contextmanager
def _at(time: dt.datetime) -> Iterator[None]:
    """Have the fonts that are embedded say this time and not that of the clock."""
    name = "SOURCE_DATE_EPOCH"
    before = os.environ.get(name)
    os.environ[name] = str(int(time.timestamp()))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

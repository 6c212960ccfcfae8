"""Old weights by reference: a file of what goes that a component recorded by hand has as well.

Components that are folders share the files that are equal, and mostly that says nothing: a vocabulary, settings, a part
that came out of a run without the data as it was. But nothing shows how a component without a recipe came to be. Where
one was recorded after what goes and lists a file of its weights, it holds them, whatever uses were recorded for it.
Negative consequence: a table in text that both have for another reason counts as weights too.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from disgorge.errors import CertificateRefused
from disgorge.locations.fingerprints import LEAST_BYTES
from disgorge.request.case import Case
from lineage.ledger.state import Entry
from lineage.records import Component
from lineage.storage.components import files_of
from lineage.workspace import Workspace

_DESCRIPTIONS = frozenset((".json", ".md", ".jinja", ".yaml", ".yml", ".toml", ".py"))
"""Endings of files that describe a model and are often the same for several."""


def refuse_borrowed_files(workspace: Workspace, case: Case, going: tuple[str, ...], files: Mapping[str, int]) -> None:
    """Raise :class:`CertificateRefused` while such a component is live.

    ``going`` are the components that are purged, by digest, ``files`` the files of those that are folders.
    """
    entries = workspace.ledger.state().components.values()
    first = min((entry.seq for entry in entries if entry.record.digest in going), default=0)
    for entry in entries:
        if entry.live and not entry.record.recipe and entry.seq > first:
            for path in _shared(workspace, entry, files):
                name = entry.record.name
                raise CertificateRefused(
                    f"{name} was recorded by hand, without a recipe, and its file {path} is one of the weights that go "
                    f"for request {' and '.join(case.requests)}; record {name} again with what it was made from among "
                    "its uses, or withdraw it, and resume"
                )


def _shared(workspace: Workspace, entry: Entry[Component], files: Mapping[str, int]) -> Iterator[str]:
    for file in files_of(workspace.objects, entry.record.digest):
        describes = PurePosixPath(file.path).suffix.lower() in _DESCRIPTIONS
        if file.sha256 in files and file.size >= LEAST_BYTES and not describes:
            yield file.path

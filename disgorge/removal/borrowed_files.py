"""Old weights by reference: a file of what goes that a component recorded by hand has as well.

Components that are folders share the files that are equal, and mostly that says nothing: a vocabulary, settings, a part
that came out of a run without the data as it was. But nothing shows how a component came to be that was recorded by
hand, and that no run was attested of. Where one was recorded after what goes and lists a file of its weights, it holds
them, whatever uses were recorded for it.

Weights are files that are no text; of a folder of nothing but text, such as boosted trees, all that does not describe
them. Negative consequence: weights that are text beside others are taken for a vocabulary.
"""

from collections.abc import Collection
from pathlib import PurePosixPath

from disgorge.attestation.record import attested_facts
from disgorge.errors import CertificateRefused
from disgorge.locations.fingerprints import LEAST_BYTES
from disgorge.request.case import Case
from lineage.storage.components import files_of
from lineage.storage.file_types import is_text
from lineage.workspace import Workspace

_DESCRIPTIONS = frozenset((".json", ".md", ".jinja", ".yaml", ".yml", ".toml", ".py"))
"""Endings of files that describe a model and are often the same for several."""


def refuse_borrowed_files(workspace: Workspace, case: Case, going: Collection[str]) -> None:
    """Raise :class:`CertificateRefused` while such a component is live. ``going`` are the digests of what is purged."""
    entries = workspace.ledger.state().components.values()
    first = min((entry.seq for entry in entries if entry.record.digest in going), default=0)
    weights = frozenset[str]().union(*(_weights(workspace, component) for component in going))
    attested = {fact.component for fact in attested_facts(workspace)}
    for entry in entries:
        if entry.live and entry.record.digest not in attested and entry.seq > first:
            for file in files_of(workspace.objects, entry.record.digest):
                if file.sha256 in weights:
                    name = entry.record.name
                    raise CertificateRefused(
                        f"{name} was recorded by hand, without an attested run, and its file {file.path} is one of the "
                        f"weights that go for request {' and '.join(case.requests)}; record {name} again with what it "
                        "was made from among its uses, or withdraw it, and resume"
                    )


def _weights(workspace: Workspace, component: str) -> set[str]:
    objects, text, rest = workspace.objects, set[str](), set[str]()
    for file in files_of(objects, component):
        if file.size >= LEAST_BYTES and objects.exists(file.sha256):
            is_description = PurePosixPath(file.path).suffix.lower() in _DESCRIPTIONS
            if not is_text(objects.path(file.sha256)):
                rest.add(file.sha256)
            elif not is_description:
                text.add(file.sha256)
    return rest or text

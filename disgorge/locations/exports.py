"""Exported bundles and pages with items in them, where no purge reaches: recorded, so that later removals name them.

- A bundle with inputs is one fact, ``bundle-exported``: the request, the file's name without its folder, and the
  digests of the shards in it. It is appended before the file is there, so that none is ever unknown.
- A page with pictures (``disgorge request near --pictures``) is one file in ``private/pages``: where it was written, on
  which day, for which request, and keyed marks of the items it shows. A path may name a person, so it is in no fact and
  no report; they name the private file.

Nothing that was exported is deleted: it lies outside the workspace. Not known: copies, what bundles written before
this was recorded hold, and pages whose private file was lost.
"""

import secrets
from collections.abc import Collection, Iterator
from pathlib import Path

from disgorge.facts import BundleExportedFact
from disgorge.locations.location import Copy, Deletion, Location, Spare, Target, Traces
from lineage.errors import LineageError
from lineage.ledger.state import cut_from
from lineage.private_files import PAGES, WrittenPage
from lineage.storage.objects import write_atomically
from lineage.workspace import Workspace


class Exports(Location):
    """The location of exported bundles and pages: out of reach, so they are only named."""

    name = "exports"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Find nothing: whether a copy is left elsewhere is not known."""
        return Traces()

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """Say what was exported with some of the target."""
        reports = sorted((self.workspace.root / "reports").rglob("*-with-inputs.zip"))
        left = [f"{path.relative_to(self.workspace.root).as_posix()} was exported with its inputs" for path in reports]
        left += [
            *bundles_with(self.workspace, (*target.shards, *target.weights)),
            *pages_with(self.workspace, target.items),
        ]
        return Deletion(left=Copy.UNSUPPORTED.words(left))


def note_bundle(workspace: Workspace, request: str, name: str, shards: Collection[str]) -> None:
    """Record that a bundle with the items of these shards, and these artifacts, by digest, is about to be written."""
    workspace.ledger.record(BundleExportedFact(request, name, tuple(sorted(shards))))


def bundles_with(workspace: Workspace, shards: Collection[str]) -> list[str]:
    """Return in words the bundles that held artifacts that go, or items of shards or of what these were cut from."""
    held = frozenset(cut_from((entry.record for entry in workspace.ledger.state().shards.values()), shards))
    bundles = [
        f"exported bundle {exported.name} of request {exported.request} on {fact.at[:10]} held them; ask "
        f"its holder to delete it"
        for fact, exported in workspace.ledger.said(BundleExportedFact)
        if not held.isdisjoint(exported.shards)
    ]
    return list(dict.fromkeys(bundles))


def write_page(workspace: Workspace, request: str, path: Path, page: str, items: Collection[str]) -> None:
    """Write a page that shows these items, by digest, and remember where."""
    marks = sorted(map(workspace.private.withdrawn_mark, set(items)))
    told = WrittenPage(request, path.absolute(), f"{workspace.now():%Y-%m-%d}", marks)
    PAGES.write(workspace, told, secrets.token_hex(16))
    write_atomically(path, page.encode())


def pages_with(workspace: Workspace, items: Collection[str]) -> list[str]:
    """Return in words the pages that showed one of these items, by digest, and whether each is where it was written."""
    marks = {workspace.private.withdrawn_mark(item) for item in items}
    return list(dict.fromkeys(words for note in PAGES.paths(workspace) for words in _words(workspace, note, marks)))


def _words(workspace: Workspace, note: Path, marks: set[str]) -> Iterator[str]:
    name = note.relative_to(workspace.root).as_posix()
    try:
        page = PAGES.read_at(workspace, note)
    except LineageError:
        yield f"{name} cannot be read, and a page with pictures that it tells of is not known; look for it"
        return
    what = f"a page with pictures of removed items was written for request {page.request} on {page.on}"
    if marks.isdisjoint(page.marks):
        return
    if page.path.is_file():
        yield f"{what} and is still there; delete it, {name} says where it is"
    else:
        yield f"{what} and is not there any more; ask its holders to delete it"

"""Source files of shards and artifacts: the user's own, so nothing deletes them; a search says which are still there.

An artifact that lies in place is nothing but such files. One thing is written in them: where a folder's items lie in
place, the lines about what was withdrawn are deleted from its ``metadata.csv`` or ``metadata.jsonl``, for they tell of
persons; the other lines keep their bytes.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from disgorge.locations.location import Copy, Deletion, Location, Spare, Target, Traces, shown
from disgorge.locations.rows.search import RowSearch
from lineage.errors import LineageError
from lineage.plural import counted
from lineage.private_files import SourceFile
from lineage.shards.source_files import (
    delete_lines,
    files_to_delete,
    is_tracked,
    lines_to_delete,
    sources_of,
    unchanged_files,
)
from lineage.workspace import Workspace


class SourceFiles(Location):
    """The location of the files that shards and artifacts of the target were read from."""

    name = "source files"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Say which files hold what they held, or are kept by DVC, and which metadata has lines about them."""
        return Traces(
            tuple(f"{words} removed" for words, _, _ in self._lines(target)),
            unsupported=tuple(self._still_there(target)),
        )

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the metadata of folders in which items lie in place that loses lines."""
        return Deletion(rewritten=tuple(words for words, _, _ in self._lines(target)))

    def delete(self, planned: Deletion) -> Deletion:
        """Write that metadata without those lines."""
        done, left = [], list(planned.left)
        for words, source, files in self._lines(planned.target):
            try:
                delete_lines(source, files)
                done.append(words)
            except (LineageError, OSError) as problem:
                left += Copy.RESIDUAL.words([f"{words} could not be deleted ({problem})"])
        return replace(planned, rewritten=tuple(done), left=tuple(left))

    def _lines(self, target: Target) -> Iterator[tuple[str, SourceFile, frozenset[str]]]:
        """Yield metadata with lines about the target in words, where its items lie, and the files those are about."""
        seen = set[Path]()
        for name, source in sources_of(self.workspace, target.shards):
            files = lines_to_delete(self.workspace, source, target.items) if source.path not in seen else frozenset()
            if files:
                seen.add(source.path)
                where = shown(source.path, self.workspace.root)
                yield f"metadata in {where}, where {name} lies in place: {counted(len(files), 'line')}", source, files

    def _still_there(self, target: Target) -> Iterator[str]:
        artifacts = {name for name, digest in self.workspace.ledger.state().artifacts if digest in target.weights}
        rows = RowSearch(self.workspace, target.marks, (*target.shards, *target.weights))
        for name, source in sources_of(self.workspace, (*target.shards, *target.weights)):
            name = f"artifact {name}" if name in artifacts else name
            where = shown(source.path, self.workspace.root)
            if source.in_place is not None:
                yield from _in_place(name, where, files_to_delete(source, target.items))
                continue
            files = [source.path / each if each else source.path for each, _, _ in source.files]
            still = unchanged_files(source)
            tracked = is_tracked(source)
            again = "DVC tracks it, and keeps it in its cache" if tracked else ""
            if still and len(source.files) == 1:
                yield f"{name} was read from {where}, which still holds what was removed{f'; {again}' if again else ''}"
            elif still:
                yield f"{name} was read from {where}, where {still} of {len(source.files)} files are still as they were"
            elif tracked:
                yield f"{name} was read from {where}: it is not there as it was, and yet {again}"
            elif rows.holding(files):
                yield f"{name} was read from {where}, which was changed since and still holds rows of what was removed"


def _in_place(name: str, where: str, left: tuple[str, ...]) -> Iterator[str]:
    """Yield how much of what was removed lies in place still; names of files may name persons, and are not in it."""
    if any(left):
        held = f"{counted(len(left), 'file')} there still {'holds' if len(left) == 1 else 'hold'}"
        yield f"{name} lies in place in {where}: {held} what was removed, and only you can delete them"
    elif left:
        held = f"still holds {counted(len(left), 'removed item')}"
        yield f"{name} lies in place in {where}, which {held}; only you can delete them"


def files_for_a_person(workspace: Workspace, target: Target) -> Iterator[str]:
    """Yield which files hold items of the target in place, by name, for the eyes of whoever deletes them."""
    for _, source in sources_of(workspace, target.shards):
        left = files_to_delete(source, target.items)
        if left and not any(left):
            yield f"{source.path}: {counted(len(left), 'row')} of it, which lie in place; delete them there yourself"
        yield from (f"{source.path / name}: lies in place; delete it yourself" for name in left if name)

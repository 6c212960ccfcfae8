"""Source files of shards and artifacts: the user's own, so nothing deletes them; a search says which are still there.

An artifact that lies in place is nothing but such files.
"""

from collections.abc import Iterator

from disgorge.locations.location import Location, Spare, Target, Traces, shown
from lineage.shards.source_files import is_tracked, sources_of, unchanged_files


class SourceFiles(Location):
    """The location of the files that shards and artifacts of the target were read from."""

    name = "source files"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Say which files hold what they held, or are kept by DVC."""
        return Traces(unsupported=tuple(self._still_there(target)))

    def _still_there(self, target: Target) -> Iterator[str]:
        artifacts = {name for name, digest in self.workspace.ledger.state().artifacts if digest in target.weights}
        for name, source in sources_of(self.workspace, (*target.shards, *target.weights)):
            name = f"artifact {name}" if name in artifacts else name
            where, still = shown(source.path, self.workspace.root), unchanged_files(source)
            tracked = is_tracked(source)
            again = "DVC tracks it, and keeps it in its cache" if tracked else ""
            if still and len(source.files) == 1:
                yield f"{name} was read from {where}, which still holds what was removed{f'; {again}' if again else ''}"
            elif still:
                yield f"{name} was read from {where}, where {still} of {len(source.files)} files are still as they were"
            elif tracked:
                yield f"{name} was read from {where}: it is not there as it was, and yet {again}"

"""Artifacts by the names that a model has for them."""

from collections.abc import Iterable, Sequence

from lineage.catalog.catalog import Catalog, did_you_mean
from lineage.errors import UnknownRecord


def artifact_digests(catalog: Catalog, names: Sequence[str], *, of: str) -> dict[str, str]:
    """Return the digests of artifacts by name, withdrawn ones too, in the order of the names of the model ``of``.

    Raises :class:`~lineage.errors.UnknownRecord` for one that was never recorded.
    """
    recorded = {artifact.name: artifact.digest for artifact in catalog.artifacts(live=False)}
    if unknown := [name for name in names if name not in recorded]:
        perhaps = did_you_mean(unknown[0], recorded)
        raise UnknownRecord(
            f"model {of} names the artifact {unknown[0]!r}, which is not recorded{perhaps}; add it with `disgorge "
            "artifact add`, or take it out of the model file"
        )
    return {name: recorded[name] for name in names}


def usable_artifacts(catalog: Catalog, names: Iterable[str], *, of: str) -> dict[tuple[str, str], str]:
    """Return the digests of the artifacts that recipes of a model may name, as ("artifact", name): the live ones."""
    live = {artifact.name for artifact in catalog.artifacts()}
    return {
        ("artifact", name): digest
        for name, digest in artifact_digests(catalog, tuple(names), of=of).items()
        if name in live
    }

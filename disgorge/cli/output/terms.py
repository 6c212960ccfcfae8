"""On which terms data is recorded: the legal basis as a controlled word, and licenses that no list has."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lineage.records import Shard
    from lineage.workspace import Workspace

_SHOWN = 5
"""Licenses named in a warning; the rest is a count."""


def bases_of(workspace: "Workspace", names: Iterable[str], basis: str | None) -> dict[str, str | None]:
    """Return the basis on which each shard is recorded, as its controlled word.

    A shard that is recorded already keeps the spelling it has, so that adding it again says the same. Raises
    :class:`~policies.errors.BadRequest` for a word that means none of the list.
    """
    from lineage.shards.add import live_shards
    from policies.vocabulary.legal_basis import basis_of, require_basis

    if basis is None:
        return dict.fromkeys(names)
    recorded = {shard.name: shard.legal_basis for shard in live_shards(workspace)}
    bases: dict[str, str | None] = {}
    for name in names:
        before = recorded.get(name)
        same = before is not None and (before == basis or basis_of(before) == basis_of(basis) is not None)
        bases[name] = before if same else require_basis(basis).value
    return bases


def license_doubts(workspace: "Workspace", shard: "Shard") -> Iterator[str]:
    """Yield a warning if items of a shard have licenses that neither SPDX nor Hugging Face lists."""
    from lineage.storage.manifest import read_licenses
    from policies.vocabulary.licenses import licenses_of, near_licenses

    spelled = {shard.license, *read_licenses(workspace.manifest_path(shard.digest))} - {None}
    unknown = sorted(text for text in spelled if text and licenses_of(text) is None)
    if unknown:
        near = list(dict.fromkeys(name for text in unknown[:_SHOWN] for name in near_licenses(text)))
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        yield (
            f"{shard.name}: no list of licenses has {', '.join(repr(text) for text in unknown[:_SHOWN])}{more}"
            f"{'; nearest: ' + ', '.join(near) if near else ''}; a rule that reads licenses sends a request for such "
            "data to a person"
        )

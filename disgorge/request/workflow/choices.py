"""Choices that people made by looking at data: the parameters and the code of a model.

Its model file names the shards that they looked at (``chosen_on``), and its composition keeps these names. Training
again without an item takes no such choice back, so no component is called affected for it. Where items of such a shard
are traced or removed, the release is named and this is said: in the impact, in the plan and in the report.
"""

from collections.abc import Collection

from lineage.catalog.catalog import Catalog
from lineage.errors import UnknownRecord
from lineage.plural import listed
from lineage.records import Release


def choices(catalog: Catalog, shards: Collection[str], of: Collection[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each live release that was chosen on one of these shards, by name.

    ``of`` are releases (``name@alias``) of which it is said whatever shards they were chosen on.
    """
    chosen_on = {release.id: _chosen_on(catalog, release) for release in catalog.releases()}
    return tuple(
        f"The parameters and code of {release} were chosen on {listed(chosen)}, as its model file says. Training again "
        "does not undo that choice; only a person can choose anew."
        for release, chosen in chosen_on.items()
        if chosen and (release in of or not set(shards).isdisjoint(chosen))
    )


def _chosen_on(catalog: Catalog, release: Release) -> list[str]:
    try:
        parameters = catalog.composition(release.composition).spec.get("parameters")
    except UnknownRecord:
        return []  # of a composition that is not recorded, an audit has its own words
    named = parameters.get("chosen_on") if isinstance(parameters, dict) else None
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []

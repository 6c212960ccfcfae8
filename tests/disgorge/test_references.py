"""References are components: trained once, used again while nothing reached them, purged when their data goes."""

from disgorge.evidence.checks import Check, Examination
from disgorge.layout import of_reference
from disgorge.request.stored_records import kept_record
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace
from tests.toys import SINGLE, carry, granted_plan, person


def checks(workspace: Workspace) -> dict[str, Check]:
    """What the last probe step found, by name."""
    (*_, last) = workspace.ledger.facts("examination")
    return {check.name: check for check in kept_record(workspace, Examination, last.body["examination"]).checks}


def references(workspace: Workspace) -> dict[str, str]:
    """Digests of the live components of references, by name."""
    with Catalog.of(workspace) as catalog:
        return {c.name: c.digest for c in catalog.components() if of_reference(c.name)}


def test_a_second_request_uses_what_it_does_not_reach_and_purges_what_it_does(workspace: Workspace) -> None:
    granted_plan(workspace, [person(workspace, "shard-3", 0)], named=SINGLE)
    assert carry(workspace, references=3).verdict == "certified"
    first, about = references(workspace), checks(workspace)["membership"].detail
    assert about["reference_components_trained"] == 12  # a mean for each of four shards, three times; the scale is core
    for name in ("membership", "forget-quality"):
        detail = checks(workspace)[name].detail
        assert len(set(detail["reference_seeds"])) == 3
        assert (detail["probe_seconds"] >= 0, bool(detail["probe_version"])) == (True, True)
    assert "memorization" not in checks(workspace)

    granted_plan(workspace, [person(workspace, "shard-1", 1)], request_id="R-2", named=SINGLE)
    assert carry(workspace, "R-2", references=3).verdict == "certified"
    second = references(workspace)
    assert checks(workspace)["membership"].detail["reference_components_trained"] == 3
    reached = {name for name in first if name.endswith("mean/shard-1")}
    assert len(reached) == 3
    for name, digest in first.items():
        assert (second[name] == digest) == (name not in reached)
        assert workspace.objects.exists(digest) == (name not in reached)

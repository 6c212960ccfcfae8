"""What is looked at again before an alias moves, because that is the step that must not be fooled."""

from disgorge.errors import CertificateRefused
from disgorge.evidence.checks import Examination
from disgorge.evidence.probes.never_trained import NAME as NEVER_TRAINED
from disgorge.examination.lineage_closure import by_digest, influences, members_of
from lineage.catalog.catalog import Catalog
from lineage.records import Composition
from lineage.workspace import Workspace


def refuse_borrowed(subject: str, examination: Examination, composition: Composition) -> None:
    """Raise :class:`CertificateRefused` if an examination is not about the parts that are to be served."""
    members = {(member.name, member.component) for member in composition.members}
    for check in examination.checks:
        if check.name == NEVER_TRAINED:
            about = {(part["name"], part["recorded"]) for part in check.detail["components"]}
            if about != members:
                raise CertificateRefused(
                    f"release {subject} is not adopted: its examination is about other parts than those composed; plan "
                    f"the request again"
                )


def refuse_what_went_since(workspace: Workspace, subject: str, composition: Composition) -> None:
    """Raise :class:`CertificateRefused` if a member was retired, or learned from any shard that is withdrawn by now."""
    with Catalog.anew(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
        live = {(component.name, component.digest) for component in catalog.components()}
        still = {shard.digest for shard in catalog.shards()}
        gone = {shard.digest: shard.name for shard in catalog.shards(live=False) if shard.digest not in still}
    reached = sorted({gone[digest] for digest in influences(members_of(composition, known), known) & gone.keys()})
    retired = sorted(m.name for m in composition.members if (m.name, m.component) not in live)
    if reached or retired:
        why = (
            f"learned from withdrawn data of {', '.join(reached)}" if reached else f"has {', '.join(retired)}, retired"
        )
        raise CertificateRefused(f"release {subject} is not adopted: it {why} since; plan the request again")

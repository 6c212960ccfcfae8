"""Artifacts: recording what is frozen and was trained elsewhere, listing it, and showing what was built on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from disgorge.api.lineage import apart, learned_rows
from disgorge.errors import WrongUse
from disgorge.request.workflow.impact import left_out_lines
from disgorge.result import Listing, Result
from lineage.artifacts.add import AddedArtifact, add_artifact
from lineage.artifacts.files import problem_with
from lineage.catalog.catalog import Catalog
from lineage.catalog.trace import Node
from lineage.ledger.chain import Fact
from lineage.ledger.state import facts_about
from lineage.plural import counted
from lineage.records import Artifact, Json, plain
from lineage.shown import Attention, Table, short, table
from lineage.workspace import Workspace
from policies.vocabulary.legal_basis import require_basis
from policies.vocabulary.licenses import licenses_of, near_licenses

_SHOWN = 5
"""Files named in a warning; the rest is a count."""


@dataclass(frozen=True, slots=True)
class ArtifactAdded(Result):
    """An artifact as it was recorded, or had been before."""

    added: AddedArtifact

    @property
    def artifact(self) -> Artifact:
        """The artifact."""
        return self.added.artifact

    def plain(self) -> Json:
        """Return the artifact and what was found."""
        return plain(self.added)


def add(
    workspace: Workspace,
    name: str,
    path: Path | str,
    *,
    source: str,
    license: str,
    basis: str,
    in_place: bool = False,
) -> ArtifactAdded:
    """Record a file or folder of pre-trained weights, a tokenizer or a configuration under a name.

    ``source`` says where it is from, ``basis`` on which legal basis it is used. Its files are stored, unless it stays
    ``in_place``: then they are checked each time they are used.
    """
    for option, value in (("--source", source), ("--license", license)):
        if not value.strip() or not value.isprintable():
            raise WrongUse(f"{option} must be one line of words; say what it is, or 'unknown'")
    added = add_artifact(
        workspace, name, Path(path), source=source, license=license, legal_basis=require_basis(basis).value,
        in_place=in_place,
    )  # fmt: skip
    return ArtifactAdded(added, shown=tuple(_added_lines(added)))


def _added_lines(added: AddedArtifact) -> Iterator[str | Table]:
    artifact = added.artifact
    yield f"{'recorded' if added.new else 'already recorded'}: {artifact.name}, {counted(artifact.files, 'file')}"
    yield table(rows=_about(artifact))
    if added.pickles:
        more = f" and {len(added.pickles) - _SHOWN} more" if len(added.pickles) > _SHOWN else ""
        yield Attention(
            f"{', '.join(added.pickles[:_SHOWN])}{more}: pickles, which run code when they are opened; nothing here "
            "opens them, and code that does runs confined"
        )
    if licenses_of(artifact.license) is None:
        near = near_licenses(artifact.license)
        yield Attention(
            f"{artifact.name}: no list of licenses has {artifact.license!r}"
            f"{'; nearest: ' + ', '.join(near) if near else ''}; a rule that reads licenses sends a request for it to "
            "a person"
        )


def list_artifacts(workspace: Workspace, *, withdrawn: bool = False) -> Listing[Artifact]:
    """Return the live artifacts, or the withdrawn ones too."""
    with Catalog.of(workspace) as catalog:
        live = {artifact.name for artifact in catalog.artifacts()}
        artifacts = catalog.artifacts(live=not withdrawn)
    lives = [artifact.name in live for artifact in artifacts]
    rows = [
        (
            each.name, each.files, each.size, ("in place" if each.in_place else "stored") if lives else "withdrawn",
            each.source, each.license, short(each.digest),
        )
        for each, lives in zip(artifacts, lives, strict=True)
    ]  # fmt: skip
    columns = ("name", "files", "bytes", "state", "source", "license", "digest")
    shown = table(*columns, rows=sorted(rows), empty="no artifact is recorded")
    return Listing(artifacts, tuple({"live": lives} for lives in lives), shown=(shown,))


@dataclass(frozen=True, slots=True)
class ArtifactShown(Result):
    """An artifact, what is wrong with its files (None if they are as recorded), what was built on it, its history."""

    artifact: Artifact
    wrong: str | None
    built: tuple[Node, ...]
    history: tuple[Fact, ...]

    def plain(self) -> Json:
        """Return the artifact, and of the facts of its history place, time and kind."""
        facts = [{"seq": fact.seq, "at": fact.at, "kind": fact.kind} for fact in self.history]
        return plain({"artifact": self.artifact, "wrong": self.wrong, "built": self.built, "history": facts})


def show_artifact(workspace: Workspace, name: str, *, references: bool = False) -> ArtifactShown:
    """Return one artifact, by name or digest, its files hashed: what it is, what was built on it, its history.

    ``references`` lists those of probes too.
    """
    with Catalog.of(workspace) as catalog:
        artifact = catalog.artifact(name)
        below = catalog.trace(artifact.digest, up=False, down=True)
        lives = artifact in catalog.artifacts()
    history = facts_about(workspace.ledger.facts(), artifact.name)
    wrong = problem_with(workspace, artifact) if lives else "withdrawn"
    seen, left_out = (below, 0) if references else apart(below)
    shown: tuple[str | Table, ...] = (
        f"{artifact.name}: {counted(artifact.files, 'file')}",
        table(rows=[*_about(artifact), ("found", wrong or "as recorded")]),
        table(
            "built on it", "is", "state", "detail", rows=learned_rows(seen.nodes),
            empty="nothing live that is released was built on it",
        ),
        *left_out_lines(left_out),
        table("at", "fact", rows=[(fact.at, fact.kind) for fact in history]),
    )  # fmt: skip
    built = tuple(node for node in below.nodes if node.kind in ("component", "release"))
    return ArtifactShown(artifact, wrong, built, history, shown=shown)


def _about(artifact: Artifact) -> list[tuple[str, object]]:
    return [
        ("digest", artifact.digest),
        ("source", artifact.source),
        ("license", artifact.license),
        ("basis", artifact.legal_basis),
        ("bytes", f"{artifact.size:,}"),
        ("lies", "in place: not stored, and checked when it is used" if artifact.in_place else "in the workspace"),
    ]

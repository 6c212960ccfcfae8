"""Attests a run that is done: the statement is signed and kept, and the facts that name it are returned.

Runs of one recipe in one environment are counted in the order of the ledger, so the caller records the facts before the
next run of that recipe is attested, under the workspace's lock.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import disgorge
from disgorge.attestation.provenance import Attestation, attestation_of
from disgorge.attestation.workspace_key import key_named, key_of
from disgorge.errors import DisgorgeError
from disgorge.facts import AttestedFact
from disgorge.statement.signing import public_pem, sign
from lineage.ledger.fact_kinds import FactBody
from lineage.ledger.ledger import stamp
from lineage.records import Component, digest_of
from lineage.workspace import Workspace
from policies.taxonomy import Confinement


class Confined(Protocol):
    """The level that confined a run, and in words what it lacked."""

    @property
    def level(self) -> Confinement:
        """The level reached."""

    @property
    def gaps(self) -> Sequence[str]:
        """What the level lacked here."""


class Run(Protocol):
    """A run that is done: what confined it, when it started and ended, which checkpoint it went on from."""

    @property
    def confinement(self) -> Confined:
        """What confined it."""

    @property
    def started(self) -> dt.datetime:
        """When it started, with a time zone."""

    @property
    def ended(self) -> dt.datetime:
        """When it ended, with a time zone."""

    @property
    def checkpoint(self) -> str:
        """The digest of the checkpoint that it went on from, "" if from none."""


def attest_done(workspace: Workspace, component: Component, done: Run) -> list[FactBody]:
    """Sign and keep the attestation of the run that made a component, and return the facts to record with it.

    ``component`` has the recipe and the environment of this very run. Nothing is recorded here. :class:`DisgorgeError`
    for what no reader would take for an attestation.
    """
    made, key = attestation_for(workspace, component, done), key_of(workspace)
    kept = workspace.objects.put(sign(made.statement(), key=key))
    fact = AttestedFact(component.digest, made.recipe_digest, made.environment_digest, kept, made.level, made.run)
    named = key_named(workspace, public_pem(key))
    return [fact] if named is None else [named, fact]


def attestation_for(workspace: Workspace, made: Component, run: Run, *, unfinished: bool = False) -> Attestation:
    """Return what is attested of a run that made a component or, ``unfinished``, a checkpoint of it."""
    environment, recipe = digest_of(made.environment), made.recipe_digest
    runs = sum((fact.recipe, fact.environment) == (recipe, environment) for fact in attested_facts(workspace))
    attestation = Attestation(
        component=made.digest,
        name=made.name,
        recipe=made.recipe,
        environment=made.environment,
        level=run.confinement.level,
        workspace=workspace_id(workspace),
        run=runs + 1,
        started=stamp(run.started),
        ended=stamp(run.ended),
        builder=disgorge.__version__,
        gaps=tuple(run.confinement.gaps),
        checkpoint=run.checkpoint,
        unfinished=unfinished,
    )
    try:
        attestation_of(attestation.statement(), unfinished=unfinished)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DisgorgeError(
            f"{made.name}: the run that made it cannot be attested, its recipe or environment has not the form of "
            f"one ({error}); nothing was recorded, train it with `disgorge train`"
        ) from error
    return attestation


def attested_facts(workspace: Workspace) -> tuple[AttestedFact, ...]:
    """Return every fact that a run was attested, oldest first."""
    return tuple(fact for _, fact in workspace.ledger.said(AttestedFact))


def workspace_id(workspace: Workspace) -> str:
    """Return what tells a workspace from every other: the digest of the first fact of its ledger."""
    return workspace.ledger.all_facts()[0].digest

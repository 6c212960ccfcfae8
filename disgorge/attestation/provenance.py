"""The attestation of one component: an in-toto Statement with the SLSA provenance predicate. Pure.

Sources: in-toto Attestation Framework, Statement v1; SLSA, Provenance v1. The subject is the component by name and
SHA-256. The recipe (and the digest of local code) are the external parameters; shards, components and distributions are
the resolved dependencies. SLSA has no field for what confined a run, so that stands in a byproduct called ``run``, and
the environment in another. What a run had reached before it ended, a checkpoint, is attested alike, under another build
type, so that it is never taken for a component. docs/attestations.md explains each field.

>>> recipe = {"method": "mean", "uses": [{"of": "shard", "digest": "ab" * 32, "role": "train"}]}
>>> made = Attestation(
...     component="cd" * 32, name="digits/mean", recipe=recipe, environment={}, level=Confinement.LANDLOCK,
...     workspace="ef" * 32, run=1, started="2026-11-30T12:00:00Z", ended="2026-11-30T12:01:00Z", builder="0.1.0",
... )
>>> attestation_of(made.statement()) == made
True

What it does not show: who trained, on what machine really, or whether the inputs were what they are called. It is worth
what its signer is worth.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from disgorge.statement.predicate import STATEMENT_TYPE
from lineage.records import Json, canonical, digest_of, restore_json
from policies.taxonomy import Confinement

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:x-disgorge:train:v1"
UNFINISHED_TYPE = "urn:x-disgorge:train-unfinished:v1"
BUILDER = "urn:x-disgorge:builder:v1"
DISTRIBUTIONS = "distributions"
"""Where an environment names the installed distributions that training used: version and digest of RECORD, by name."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a workspace says of one run that made a component.

    ``recipe`` names its inputs in ``uses`` and, where there is local code, the digest of its tree in ``code``.
    ``environment`` is what it ran on, with the distributions used as ``{name: {"version", "record"}}``. ``gaps`` are
    what the level lacked here, in words. ``run`` counts the completed runs of this recipe in this environment, from 1.
    ``checkpoint`` is the digest of the one that it went on from, "" if from none. Where it is ``unfinished``, a
    checkpoint is what it made so far. ``builder`` is the version of this program; times are RFC 3339, UTC.
    """

    component: str
    name: str
    recipe: dict[str, Json]
    environment: dict[str, Json]
    level: Confinement
    workspace: str
    run: int
    started: str
    ended: str
    builder: str
    gaps: tuple[str, ...] = ()
    checkpoint: str = ""
    unfinished: bool = False

    @property
    def resumed(self) -> bool:
        """Whether it went on from a checkpoint."""
        return bool(self.checkpoint)

    @property
    def recipe_digest(self) -> str:
        """Digest of the recipe."""
        return digest_of(self.recipe)

    @property
    def environment_digest(self) -> str:
        """Digest of the environment."""
        return digest_of(self.environment)

    @property
    def inputs(self) -> frozenset[str]:
        """Digests of the shards, components and artifacts that the run could read."""
        return frozenset(use["digest"] for use in self.recipe.get("uses", []))

    def statement(self) -> dict[str, Json]:
        """Return the in-toto Statement."""
        code = {"code": self.recipe["code"]} if "code" in self.recipe else {}
        predicate = {
            "buildDefinition": {
                "buildType": UNFINISHED_TYPE if self.unfinished else BUILD_TYPE,
                "externalParameters": {"recipe": self.recipe} | code,
                "resolvedDependencies": [*self._uses(), *self._checkpoint(), *self._distributions()],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"disgorge": self.builder}},
                "metadata": {
                    "invocationId": f"{self.workspace}:{self.recipe_digest}:{self.environment_digest}:{self.run}",
                    "startedOn": self.started,
                    "finishedOn": self.ended,
                },
                "byproducts": [self._environment(), self._run()],
            },
        }
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.name, "digest": {"sha256": self.component}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }

    def _uses(self) -> Iterator[Json]:
        for use in self.recipe.get("uses", []):
            yield {
                "uri": f"urn:x-disgorge:{use['of']}:{use['digest']}",
                "digest": {"sha256": use["digest"]},
                "annotations": {"kind": use["of"], "role": use["role"]},
            }

    def _checkpoint(self) -> Iterator[Json]:
        if self.checkpoint:
            yield {
                "uri": f"urn:x-disgorge:checkpoint:{self.checkpoint}",
                "digest": {"sha256": self.checkpoint},
                "annotations": {"kind": "checkpoint"},
            }

    def _distributions(self) -> Iterator[Json]:
        for name, installed in sorted(self.environment.get(DISTRIBUTIONS, {}).items()):
            yield {
                "name": name,
                "uri": f"pkg:pypi/{quote(name.lower())}@{quote(installed['version'])}",
                "digest": {"sha256": installed["record"]},
                "annotations": {"kind": "distribution", "version": installed["version"]},
            }

    def _environment(self) -> Json:
        """Return the environment; its distributions stand among the dependencies, and are in its digest."""
        rest = {name: value for name, value in self.environment.items() if name != DISTRIBUTIONS}
        return {"name": "environment", "digest": {"sha256": self.environment_digest}, "annotations": rest}

    def _run(self) -> Json:
        annotations = {
            "confinement": self.level.value,
            "gaps": list(self.gaps),
            "run": self.run,
            "resumed": self.resumed,
            "workspace": self.workspace,
        }
        return {"name": "run", "uri": f"urn:x-disgorge:workspace:{self.workspace}", "annotations": annotations}


def attestation_of(statement: dict[str, Json], *, unfinished: bool = False) -> Attestation:
    """Return the attestation that a statement is; ``ValueError`` if it is none, or says anything besides.

    It is one of a component or, only if ``unfinished``, one of a checkpoint.
    """
    try:
        read = _read(statement)
        named = [each["digest"]["sha256"] for each in (*statement["subject"], *_dependencies(statement))]
        same = canonical(read.statement()) == canonical(statement) and all(
            map(_DIGEST.fullmatch, (read.workspace, *named))
        )
    except Exception as error:  # KeyError, TypeError, pydantic's: arbitrary JSON
        raise ValueError(f"not an attestation of a component ({type(error).__name__})") from error
    if not same or read.unfinished is not unfinished:
        raise ValueError("not written as an attestation of a component is")
    return read


def _dependencies(statement: Any) -> list[Any]:
    found: list[Any] = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return found


def _read(statement: Any) -> Attestation:
    (subject,) = statement["subject"]
    definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    environment, run = (each["annotations"] for each in details["byproducts"])
    checkpoints = [
        each["digest"]["sha256"] for each in _dependencies(statement) if each["annotations"]["kind"] == "checkpoint"
    ]
    distributions = {
        each["name"]: {"version": each["annotations"]["version"], "record": each["digest"]["sha256"]}
        for each in _dependencies(statement)
        if each["annotations"]["kind"] == "distribution"
    }
    values = {
        "component": subject["digest"]["sha256"],
        "name": subject["name"],
        "recipe": definition["externalParameters"]["recipe"],
        "environment": environment | ({DISTRIBUTIONS: distributions} if distributions else {}),
        "level": run["confinement"],
        "workspace": run["workspace"],
        "run": run["run"],
        "started": details["metadata"]["startedOn"],
        "ended": details["metadata"]["finishedOn"],
        "builder": details["builder"]["version"]["disgorge"],
        "gaps": run["gaps"],
        "checkpoint": "".join(checkpoints),
        "unfinished": definition["buildType"] == UNFINISHED_TYPE,
    }
    return restore_json(Attestation, json.dumps(values))  # which checks the type of each

"""The predicate of a removal statement, version 6: what it says, as frozen values that can be read back.

``schemas/removal-v6.json`` says the same without this code. It names every record of the bundle by the SHA-256 of its
file, and repeats none of them but the certificate. Earlier versions are not read any more: a report is verified with
the version that wrote it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from disgorge.evidence.tolerance import DEFAULT, Tolerance
from disgorge.plan.plan import Plan
from disgorge.statement.certificate import Certificate
from disgorge.statement.limitations import Caveats
from lineage.records import LEFT_OUT, Composition, Json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:x-disgorge:removal:v6"
"""A name and no address: this project owns no domain, and so claims none."""
EARLIER_TYPES = ("https://disgorge.dev/removal/", "urn:x-disgorge:removal:v")
"""How the types of versions 1 to 4 began."""


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """A ledger at one moment: how many facts it has, and the last one's digest, which covers all before it.

    ``first`` is the first one's digest, by which attestations name the workspace; earlier reports do not say it.
    """

    size: int
    digest: str
    first: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class MethodUsed:
    """A method that took part, and how far weights trained in another environment may lie from those recorded."""

    name: str
    version: str
    citation: str
    tolerance: Tolerance = DEFAULT


@dataclass(frozen=True, slots=True)
class Predicate:
    """What a statement says of its subjects.

    ``files`` maps every file it covers to its SHA-256; ``pdf`` is whether ``certificate.pdf`` and its signature go with
    it. ``by`` is the program that wrote it and its version.
    """

    verdict: Literal["certified", "refused"]
    issued: str
    by: str
    request: str
    certificate: Certificate | None
    refusal: str | None
    caveats: Caveats
    methods: tuple[MethodUsed, ...]
    ledger: LedgerHead
    pdf: bool
    files: dict[str, str]

    @property
    def is_sound(self) -> bool:
        """Whether it has a certificate or the reasons of a refusal, as its verdict says."""
        certified = self.verdict == "certified"
        return certified == (self.certificate is not None) == (not self.refusal)


def subjects_of(plan: Plan, compositions: Mapping[str, Composition], *, certified: bool) -> list[dict[str, Json]]:
    """Return what a statement is about: each new composition and its members by name, or else the plan."""
    subjects: dict[str, str] = {}
    for release, composition in sorted(compositions.items()) if certified else ():
        subjects[release] = composition.digest
        subjects |= {member.name: member.component for member in composition.members}
    subjects = subjects or {f"plan of request {plan.request}": plan.digest}
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())]

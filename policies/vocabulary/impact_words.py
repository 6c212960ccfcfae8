"""The words of an impact that rules compare: licenses, legal bases and sources, each in its one spelling.

What a ledger holds is free text where it was written before the words were controlled. Here it becomes the controlled
word or, where it is none, one of the unknown ones, which rules can ask for and which are never taken for absent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lineage.records import Impact
from policies.vocabulary.legal_basis import basis_of
from policies.vocabulary.licenses import licenses_of

CONTROLLED = {
    "impact.licenses": "impact.unknown_licenses",
    "impact.legal_bases": "impact.unknown_legal_bases",
}
"""What a condition reads in controlled words, and where it finds those of the ledger that are not."""


@dataclass(frozen=True, slots=True)
class ImpactWords:
    """The words of one impact, each sorted and without repeats."""

    licenses: tuple[str, ...]
    unknown_licenses: tuple[str, ...]
    legal_bases: tuple[str, ...]
    unknown_legal_bases: tuple[str, ...]
    sources: tuple[str, ...]

    def unknown(self, place: str) -> tuple[str, ...]:
        """Return the unknown words beside a controlled list."""
        return self.unknown_licenses if place == "impact.licenses" else self.unknown_legal_bases


def words_of(impact: Impact) -> ImpactWords:
    """Return the words of an impact. Licenses are those of the selected items where recorded, and of artifacts."""
    selected = impact.selected
    spelled = impact.licenses or [each.license for each in selected if each.license]
    licenses = {text: licenses_of(text) for text in (*spelled, *(each.license for each in impact.artifacts))}
    bases = {each.legal_basis: basis_of(each.legal_basis) for each in selected if each.legal_basis}
    return ImpactWords(
        licenses=_sorted(name for names in licenses.values() for name in names or ()),
        unknown_licenses=_sorted(text for text, names in licenses.items() if names is None),
        legal_bases=_sorted(basis.value for basis in bases.values() if basis is not None),
        unknown_legal_bases=_sorted(text for text, basis in bases.items() if basis is None),
        sources=_sorted(folded_source(each.source) for each in selected if each.source),
    )


def folded_source(text: str) -> str:
    """Return a source as rules see it: in lower case, with single spaces.

    >>> folded_source("  Contributor   3 ")
    'contributor 3'
    """
    return " ".join(text.casefold().split())


def _sorted(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))

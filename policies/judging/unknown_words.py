"""Supposes that unknown licenses or legal bases are ones that a rule asks for, to find unsure answers.

A license that is on no list could be any of them, so a rule that reads licenses is asked again: once as if the unknown
one were each of the words the rule names, or one that begins as the rule says, and once as if it were none of them.
Where every answer is the same, the unknown license does not matter; where one differs, a person looks. A rule that asks
for ``impact.unknown_licenses`` itself is left to say what follows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lineage.records import Impact
from policies.packs.condition_text import read_condition
from policies.packs.conditions import CannotEvaluate, holds
from policies.packs.words import example_of
from policies.vocabulary.impact_words import CONTROLLED, ImpactWords

_NONE_OF_THEM = "(a word that no rule names)"


@dataclass(frozen=True, slots=True)
class Suppositions:
    """Asks conditions again with the unknown words of one impact supposed to be known ones.

    ``context`` makes what conditions see from other words. ``recorded`` are the words that the ledger holds already,
    so that a reason may name them.
    """

    words: ImpactWords
    context: Callable[[ImpactWords], Any]
    recorded: frozenset[str]

    @classmethod
    def of(cls, impact: Impact, words: ImpactWords, context: Callable[[ImpactWords], Any]) -> "Suppositions":
        """Return the suppositions about an impact."""
        told = (word for each in impact.selected for word in (each.license, each.legal_basis))
        return cls(words, context, frozenset(word for word in told if word))

    def doubt(self, condition: str, answer: bool) -> str | None:
        """Return in words why a condition's answer is unsure, None if no unknown word can change it."""
        for place, unknown in CONTROLLED.items():
            read = read_condition(condition).places
            if place not in read or unknown in read or not self.words.unknown(place):
                continue
            if any(self._answer(condition, words) is not answer for words in self._supposed(condition, place)):
                return self._said(place)
        return None

    def _answer(self, condition: str, words: ImpactWords) -> bool | None:
        try:
            return holds(condition, self.context(words))
        except CannotEvaluate:
            return None

    def _supposed(self, condition: str, place: str) -> Iterator[ImpactWords]:
        examples = (example_of(each) for each in read_condition(condition).compared if each.place == place)
        named = sorted({word for word in examples if word is not None})
        field = place.removeprefix("impact.")
        words: tuple[str, ...] = getattr(self.words, field)
        for added in ([_NONE_OF_THEM], *([word] for word in named), named):
            yield replace(self.words, **{field: tuple(sorted({*words, *added}))})

    def _said(self, place: str) -> str:
        noun = "license" if place == "impact.licenses" else "legal basis"
        named = [repr(word) for word in self.words.unknown(place) if word in self.recorded]
        which = f" ({', '.join(named)})" if named else ""
        return f"the data has a {noun} that is on no list{which}, so it may be one that this rule asks for"

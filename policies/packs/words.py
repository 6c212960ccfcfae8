"""Checks that a pack compares only with words that can occur: licenses, legal bases, standings, grounds.

A comparison with any other word is never true. A rule behind it never fires, and what it was to stop is granted; so
such a pack is refused when it is loaded, with the nearest word there is.
"""

import re
from collections.abc import Callable, Collection, Iterable

from policies.errors import BadPack
from policies.packs.condition_text import Compared, read_condition
from policies.request import Standing
from policies.taxonomy import Defect
from policies.vocabulary.impact_words import folded_source
from policies.vocabulary.legal_basis import LegalBasis, basis_of
from policies.vocabulary.licenses import known_licenses, normalized
from policies.vocabulary.nearest import or_nearest

_CLOSED: dict[str, tuple[str, Callable[[], Collection[str]]]] = {
    "impact.licenses": ("license", known_licenses),
    "impact.legal_bases": ("legal basis", lambda: [each.value for each in LegalBasis]),
    "request.standing": ("standing", lambda: [each.value for each in Standing]),
    "request.ground": ("ground", lambda: [each.value for each in Defect]),
}
_REGIMES = ("request.regime", "request.regimes")


def require_words(condition: str) -> None:
    """Raise :class:`BadPack` for a condition that compares a controlled value with a word it never has."""
    read = read_condition(condition)
    for each in sorted(read.compared):
        if each.place in _CLOSED:
            _require_known(each)
        elif each.place == "impact.sources" and each.how in ("==", "in") and folded_source(each.word) != each.word:
            raise BadPack(
                f"compares a source with {each.word!r}; sources are seen in lower case with single spaces, write "
                f"{folded_source(each.word)!r}"
            )
    loose = sorted(each.word for each in read.compared if each.place[:1] in ("", "."))
    if loose and not read.places.isdisjoint({"impact.licenses", "impact.legal_bases"}):
        raise BadPack(
            f"{loose[0]!r} is compared in a way that cannot be checked; compare the value itself, as in "
            "impact.licenses.exists(license, license in ['MIT'])"
        )


def regimes_named(conditions: Iterable[str]) -> tuple[str, ...]:
    """Return the regimes that conditions ask for, sorted."""
    words = {each for condition in conditions for each in read_condition(condition).compared}
    return tuple(sorted({each.word for each in words if each.place in _REGIMES and each.how in ("==", "in")}))


def example_of(each: Compared) -> str | None:
    """Return a word that a comparison with a controlled value is true of, None if there is none."""
    if each.how in ("==", "in"):
        return each.word
    return next((word for word in sorted(_CLOSED[each.place][1]()) if _fits(each, word)), None)


def _require_known(each: Compared) -> None:
    noun, listed = _CLOSED[each.place]
    words = listed()
    if each.how in ("==", "in"):
        if each.word in words or (noun == "license" and normalized(each.word) == each.word and " OR " not in each.word
                                  and " AND " not in each.word):  # fmt: skip
            return
        meant = _meant(noun, each.word)
        say = f"; write {meant!r}" if meant else or_nearest(each.word, words)
        raise BadPack(f"compares with the unknown {noun} {each.word!r}{say}")
    if not any(_fits(each, word) for word in words):
        raise BadPack(f"{each.how}({each.word!r}) fits no {noun}{or_nearest(each.word, words)}")


def _meant(noun: str, word: str) -> str | None:
    if noun == "license":
        return normalized(word)
    basis = basis_of(word) if noun == "legal basis" else None
    return basis.value if basis else None


def _fits(each: Compared, word: str) -> bool:
    match each.how:
        case "startsWith":
            return word.startswith(each.word)
        case "endsWith":
            return word.endswith(each.word)
        case "contains":
            return each.word in word
        case _:
            try:
                return re.search(each.word, word) is not None
            except re.error:
                return True  # CEL's expressions differ a little from Python's; it refuses a bad one itself

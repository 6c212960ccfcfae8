"""The nearest known names to one that is not known, for an error that says what may be meant.

>>> nearest("irrevocable", ["license_irrevocable", "contract_days"])
['license_irrevocable']
>>> or_nearest("gdrp", ["gdpr", "ccpa"])
'; nearest: gdpr'
"""

import difflib
from collections.abc import Iterable

_SHOWN = 3
"""Names shown; more would not be read."""


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> list[str]:
    """Return up to three known names like ``word``, the nearest first; case and ``-``, ``_``, space do not count."""
    folded = {_folded(name): name for name in sorted(known, reverse=True)}
    asked = _folded(word)
    close = difflib.get_close_matches(asked, folded, n=_SHOWN, cutoff=cutoff)
    holding = [name for name in sorted(folded, key=len) if len(asked) > 2 and (asked in name or name in asked)]
    return [folded[name] for name in dict.fromkeys([*close, *holding])][:_SHOWN]


def or_nearest(word: str, known: Iterable[str]) -> str:
    """Return the nearest names as the end of a sentence, "" if none is near."""
    names = nearest(word, known)
    return f"; nearest: {', '.join(names)}" if names else ""


def _folded(name: str) -> str:
    return "-".join(name.casefold().replace("_", " ").replace("-", " ").split())

"""Licenses under one name each: the identifiers of the SPDX license list, and the names of Hugging Face's hub.

Identifiers are read by the library ``license-expression``, which carries the SPDX list; ``CC BY 4.0``, ``cc-by-4.0``
and ``https://creativecommons.org/licenses/by/4.0/`` are all ``CC-BY-4.0``. A license that is on neither list stays as
it is spelled and counts as unknown: it may be held, and wherever a rule reads licenses a person looks.

>>> licenses_of("cc-by-4.0"), licenses_of("CC BY 4.0"), licenses_of("MIT OR apache-2.0")
(('CC-BY-4.0',), ('CC-BY-4.0',), ('Apache-2.0', 'MIT'))
>>> licenses_of("openrail++"), licenses_of("gpl"), licenses_of("ours, see the drawer")
(('openrail++',), None, None)

What is *not* known, on purpose: the name of a family (``gpl``, ``bsd``, ``cc``, ``openrail``), which does not say
whose terms hold; ``other`` and ``unknown``; a ``LicenseRef-``, which means what its author says. An expression is
known when all that it names are; a rule sees each of them, and not whether *and* or *or* stood between.
"""

import re
from functools import cache, lru_cache
from typing import Any

from policies.vocabulary.nearest import nearest

_HUB = {
    "bigscience-openrail-m", "bigscience-bloom-rail-1.0", "creativeml-openrail-m", "bigcode-openrail-m", "openrail++",
    "deepfloyd-if-license", "llama2", "gemma",
    "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "apple-amlr",
}  # fmt: skip
"""Names of the hub that are one license and have no SPDX identifier. Source: huggingface/hub-docs,
docs/hub/repositories-licenses.md at 008d54d; the last line is of later versions, seen in model cards."""
_HUB_AS_SPDX = {
    "c-uda": "C-UDA-1.0",
    "lgpl-lr": "LGPLLR",
    "odbl": "ODbL-1.0",  # the hub says "family", and there is this one version
    "odc-by": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
}
FAMILIES = frozenset({"bsd", "cc", "cc-by", "gfdl", "gpl", "lgpl", "agpl", "openrail", "other", "unknown", "none"})
"""Names that do not say which license holds; those of the hub, and what people write instead of one."""
OURS = {
    "public-domain": ("public domain", "publicdomain"),
    "all-rights-reserved": ("all rights reserved",),
}
"""Two states that are no license, by name and spellings."""

_SPELLINGS = {
    "cc0": "CC0-1.0",  # there is one version
    "cc-zero": "CC0-1.0",
    "the-unlicense": "Unlicense",
    "apache-2": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache2.0": "Apache-2.0",
    "apache-license-2.0": "Apache-2.0",
    "apache-license-version-2.0": "Apache-2.0",
    "apache-license,-version-2.0": "Apache-2.0",
    "mit-license": "MIT",
    "the-mit-license": "MIT",
    "public-domain-mark-1.0": "CC-PDM-1.0",
}
_CC_URL = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/"
    r"(?:licenses/(?P<kind>by(?:-nc)?(?:-nd|-sa)?)/(?P<version>\d\.\d)(?:/(?P<place>[a-z]{2,3}))?"
    r"|publicdomain/(?P<domain>zero|mark)/1\.0)(?:/?|/(?:legalcode|deed)(?:\.[a-z-]+)?)"
)
_CC_WORDS = re.compile(
    r"creative[ -]commons[ -](?P<zero>zero|cc0)?"
    r"(?P<by>attribution)?(?P<nc>[ -]non[ -]?commercial)?(?:(?P<sa>[ -]share[ -]?alike)|(?P<nd>[ -]no[ -]?deriv\w*))?"
    r"[ -]v?(?P<version>\d\.\d)(?:[ -](?:international|universal|unported|generic))?(?:[ -](?:public[ -])?license)?"
)


def licenses_of(text: str) -> tuple[str, ...] | None:
    """Return the licenses that a text names, each by its one name and sorted; None if one of them is not known."""
    said = " ".join(text.split())
    return _licenses_of(said) if said and len(said) <= 1000 else None


def normalized(text: str) -> str | None:
    """Return a license, or an expression of several, in its one spelling; None if it is not known."""
    said = " ".join(text.split())
    if not said or len(said) > 1000 or _licenses_of(said) is None:
        return None
    return _single(said) or str(_expression(said).render("{symbol.key}"))


def known_licenses() -> frozenset[str]:
    """Return every license that has a name here."""
    return _spdx_keys() | _HUB | OURS.keys()


def near_licenses(text: str) -> list[str]:
    """Return the known licenses whose names are nearest."""
    return nearest(text, known_licenses(), cutoff=0.75)


@lru_cache(maxsize=4096)
def _licenses_of(said: str) -> tuple[str, ...] | None:
    if (single := _single(said)) is not None:
        return (single,)
    parsed = _expression(said)
    if parsed is None:
        return None
    names = {str(symbol.render("{symbol.key}")) for symbol in _licensing().license_symbols(parsed, decompose=False)}
    return tuple(sorted(names))


def _single(said: str) -> str | None:
    """Return the one license that a text names outright, None if it is an expression, a family, or not known."""
    folded = said.casefold()
    plain = re.sub(r"[\s_]+", "-", folded)
    for name, spelled in OURS.items():
        if plain == name or folded in spelled:
            return name
    if (creative := _creative_commons(folded)) is not None:
        return creative if creative in _spdx_keys() else None
    if plain in _HUB:
        return plain
    if (listed := _HUB_AS_SPDX.get(plain) or _SPELLINGS.get(plain)) is not None:
        return listed
    if plain in FAMILIES or plain.startswith("licenseref"):
        return None
    return _spdx_by_folded().get(plain)


def _creative_commons(folded: str) -> str | None:
    """Return the identifier of a Creative Commons license named by its address or in words."""
    if match := _CC_URL.fullmatch(folded):
        if match["domain"]:
            return {"zero": "CC0-1.0", "mark": "CC-PDM-1.0"}[match["domain"]]
        place = f"-{match['place'].upper()}" if match["place"] else ""
        return f"CC-{match['kind'].upper()}-{match['version']}{place}"
    match = _CC_WORDS.fullmatch(folded)
    if match and match["zero"] and not (match["by"] or match["nc"] or match["sa"] or match["nd"]):
        return f"CC0-{match['version']}"
    if match and match["by"] and not match["zero"]:
        parts = [match["nc"] and "NC", match["sa"] and "SA", match["nd"] and "ND"]
        return "-".join(["CC-BY", *(part for part in parts if part), match["version"]])
    return None


def _expression(said: str) -> Any:
    """Return an SPDX expression, parsed, if all that it names is on the SPDX list; None otherwise."""
    from license_expression import ExpressionError, ExpressionParseError

    try:
        parsed = _licensing().parse(said, validate=True, strict=True)
    except (ExpressionError, ExpressionParseError, ValueError, TypeError, AttributeError, IndexError):
        return None  # the library's own errors, and what it lets through of strange input
    if parsed is None:
        return None
    words = {word.casefold() for word in re.split(r"[\s()]+", said)}
    if words & FAMILIES or any(word.startswith("licenseref") for word in words):
        return None
    keys = {symbol.key for symbol in _licensing().license_symbols(parsed)}
    return parsed if keys <= _spdx_keys() | _exceptions() else None


@cache
def _licensing() -> Any:
    from license_expression import get_spdx_licensing  # read on use: its list takes 0.04 s

    return get_spdx_licensing()


@cache
def _spdx_keys() -> frozenset[str]:
    """Identifiers of the SPDX list; the library's own, ``LicenseRef-scancode-...``, are not on it."""
    symbols = _licensing().known_symbols.values()
    return frozenset(s.key for s in symbols if not s.key.startswith("LicenseRef-") and not s.is_exception)


@cache
def _exceptions() -> frozenset[str]:
    symbols = _licensing().known_symbols.values()
    return frozenset(s.key for s in symbols if not s.key.startswith("LicenseRef-") and s.is_exception)


@cache
def _spdx_by_folded() -> dict[str, str]:
    """The identifiers in lower case, and those that SPDX gave up for another: ``gpl-3.0`` is ``GPL-3.0-only``."""
    by_folded: dict[str, str] = {}
    for symbol in _licensing().known_symbols.values():
        if symbol.key in _spdx_keys():
            for alias in symbol.aliases:
                if not alias.startswith("LicenseRef-"):
                    by_folded.setdefault(re.sub(r"\s+", "-", alias.casefold()), symbol.key)
    return by_folded | {key.casefold(): key for key in _spdx_keys()}

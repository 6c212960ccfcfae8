"""What a method declares of itself, as plain data: written where its code is loaded, read where it never is.

The process that loads the code may say anything, so what it says is checked as any data from elsewhere: its types, the
enums of its offers, and how long it is, for reports print it.

>>> from disgorge.methods.shard_graph import METHOD
>>> read_declaration(written(METHOD)).name
'shard_graph'
>>> read_declaration(b'{"name": "mine"}')
Traceback (most recent call last):
    ...
disgorge.errors.BadModel: version: Field required
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from disgorge.errors import BadModel
from disgorge.method import Declared, Offer, unused_by
from lineage.printable import printable
from lineage.records import canonical, restore_json

_MOST = 1_000
"""Offers, libraries and sentences that a method may declare of each."""
_NAME = 200
_SENTENCE = 5_000
"""The most characters of a name, and of what is no name."""
_OPTIONAL = ("libraries_of_kinds", "unused", "tolerance")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a method declares, but for its layouts; ``tolerance`` is that of all weights and of one tensor, if any."""

    name: str
    version: str
    citation: str
    promises_not: tuple[str, ...]
    offers: tuple[Offer, ...]
    libraries: tuple[str, ...]
    libraries_of_kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    tolerance: tuple[float, float] | None = None


def declaration_of(method: Declared) -> Declaration:
    """Return what a loaded method declares. Raises :class:`BadModel` where it lacks something."""
    lacking = [name for name in Declaration.__slots__ if name not in _OPTIONAL and not hasattr(method, name)]
    if lacking:
        raise BadModel(f"it declares no {', no '.join(lacking)}")
    return Declaration(
        name=method.name,
        version=method.version,
        citation=method.citation,
        promises_not=tuple(method.promises_not),
        offers=tuple(method.offers),
        libraries=tuple(method.libraries),
        libraries_of_kinds={
            kind: tuple(modules) for kind, modules in getattr(method, "libraries_of_kinds", {}).items()
        },
        unused=unused_by(method),
        tolerance=getattr(method, "tolerance", None),
    )


def written(method: Declared) -> bytes:
    """Return what a loaded method declares, as JSON."""
    return canonical(declaration_of(method))


def read_declaration(data: bytes) -> Declaration:
    """Return what :func:`written` wrote. :class:`BadModel` says what is wrong with anything else."""
    try:
        declared = restore_json(Declaration, data)
    except ValueError as error:
        raise BadModel(_words(error)) from error
    if wrong := next(_wrong(declared), ""):
        raise BadModel(wrong)
    return declared


def _words(error: Any) -> str:
    """Return the first thing that does not fit, on one line."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return printable(f"{place}: {first['msg']}" if place else str(first["msg"]))[:300]


def _wrong(declared: Declaration) -> Iterator[str]:
    """Yield what types do not tell: names that are no line, texts that are too long, numbers that are no bounds."""
    for name in ("name", "version"):
        text = getattr(declared, name)
        if not 1 <= len(text) <= _NAME or printable(text) != text:
            yield f"{name}: must be a line of 1 to {_NAME} printable characters"
    modules = (*declared.libraries, *(each for some in declared.libraries_of_kinds.values() for each in some))
    modules += declared.unused
    lists = {"promises_not": declared.promises_not, "offers": declared.offers, "libraries": modules}
    for name, several in lists.items():
        if len(several) > _MOST:
            yield f"{name}: has {len(several):,} entries, more than {_MOST:,}"
    offered = (text for each in declared.offers for text in (each.kind, each.caveat))
    for sentence in (declared.citation, *declared.promises_not, *offered):
        if len(sentence) > _SENTENCE:
            yield f"has a text of {len(sentence):,} characters, more than {_SENTENCE:,}"
    for module in modules:
        if len(module) > _NAME or not _MODULE.fullmatch(module):
            yield "libraries: must be names of modules"
    if declared.tolerance and not all(math.isfinite(bound) and bound >= 0 for bound in declared.tolerance):
        yield "tolerance: must be two numbers of at least 0"

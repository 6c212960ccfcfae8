"""What is shown of names that others chose: the report's page, and findings for machines and people."""

import dataclasses
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from enum import Enum
from itertools import cycle
from typing import Any
from xml.etree import ElementTree

from hypothesis import strategies as st

from disgorge.audit.findings import COLUMNS, RULES, Finding, rows
from disgorge.audit.junit import junit
from disgorge.audit.sarif import sarif
from disgorge.cli.output import tables
from disgorge.report.page import render
from lineage.shown import table
from policies.errors import PolicyError
from tests.disgorge.report_cases import case
from tests.disgorge.test_page import Page
from tests.fuzz.kind import Kind
from tests.fuzz.place import Place, Stream
from tests.fuzz.strategies import SOUND, WORD, WORDS

FIXED = {"field", "verdict", "proved", "action"}
"""Fields that take a word of a fixed list only."""
TAKEN = frozenset({"taken"})


def page(place: Place, words: list[str | None]) -> str:
    """Render a report whose every text may be hostile; nothing in it runs, loads or breaks out."""
    try:
        source = render(spoiled(case(), cycle(words)))
    except (ValueError, TypeError, KeyError, AttributeError, PolicyError) as problem:
        return f"refused: {type(problem).__name__}"  # a record that its own class does not take
    seen, known = Page(source), {*Page(render(case())).tags, "img", "wbr"}
    assert set(seen.tags) <= known, f"new tags: {set(seen.tags) - known}"
    for name, value in seen.attributes:
        assert not name.startswith("on"), f"an attribute that runs: {name}"
        assert name not in ("src", "href") or (value or "").startswith(("data:", "#")), f"{name}={value!r:.80}"
    source.encode()
    return "taken"


def spoiled(value: Any, words: Iterator[str | None]) -> Any:
    """Return a record with these words for its texts, where there is one; digests and words of a fixed list stay."""
    if isinstance(value, Enum) or (isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}|<svg.*", value, re.DOTALL)):
        return value
    if isinstance(value, str):
        word = next(words)
        return value if word is None else word
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {f.name: spoiled(getattr(value, f.name), words) for f in dataclasses.fields(value)
                 if f.init and f.name not in FIXED}  # fmt: skip
        return dataclasses.replace(value, **inner)
    if isinstance(value, tuple):
        return tuple(spoiled(each, words) for each in value)
    if isinstance(value, dict):
        return {key: spoiled(each, words) for key, each in value.items()}
    return value


def findings(place: Place, words: tuple[str, str, str]) -> str:
    """Write findings about hostile names as SARIF, JUnit and a table; each is read back whole."""
    found = [Finding(RULES[0], words[0], words[1], words[2]), Finding(RULES[-1], words[2], words[1], words[0])]
    written = json.loads(json.dumps(sarif(found)).encode())
    assert len(written["runs"][0]["results"]) == len(found)
    suite = ElementTree.fromstring(junit(found).encode())
    assert len(suite.findall(".//testcase")) >= len(found)
    stream = Stream(terminal=True)
    with redirect_stdout(stream):
        tables.table(table(*COLUMNS, rows=rows(found)))
    place.check_printed(stream.getvalue(), "table")
    assert all("\n" not in cell for row in rows(found) for cell in row)
    return "taken"


KINDS = (
    Kind("page", page, st.lists(st.none() | SOUND, min_size=1, max_size=20), full=120, outcomes=TAKEN),
    Kind("findings", findings, st.tuples(WORD, WORD, WORD), lambda: ((word, word, word) for word in WORDS),
         full=500, outcomes=TAKEN),
)  # fmt: skip

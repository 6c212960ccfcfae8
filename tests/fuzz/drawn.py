"""What is drawn of names that others chose: the report's page, findings for machines, drawings, tables on terminals."""

import dataclasses
import json
import random
import re
from enum import Enum
from typing import Any
from xml.etree import ElementTree

from tests.fuzz import hostile
from tests.fuzz.place import Place, Stream

RUNS = re.compile(r"^(script|iframe|object|embed|foreignobject|link|base|form|meta)$")
FIXED = {"field", "verdict", "proved", "action"}
"""Fields that take a word of a fixed list only."""


def page(place: Place, number: int) -> str:
    """Render a report whose every text may be hostile; nothing in it runs, loads or breaks out."""
    from disgorge.report.page import render
    from policies.errors import PolicyError
    from tests.disgorge.report_cases import case
    from tests.disgorge.test_page import Page

    rng = place.fresh("empty", kind="page", number=number).rng
    plain_page = Page(render(case()))
    try:
        made = spoiled(case(), rng, share=rng.choice((0.05, 0.3, 1.0)))
        source = render(made)
    except (ValueError, TypeError, KeyError, AttributeError, PolicyError) as problem:
        return f"refused: {type(problem).__name__}"  # a record that its own class does not take
    seen = Page(source)
    known = set(plain_page.tags) | {"img", "wbr"}
    assert set(seen.tags) <= known, f"new tags: {set(seen.tags) - known}"
    for name, value in seen.attributes:
        assert not name.startswith("on"), f"an attribute that runs: {name}"
        assert name not in ("src", "href") or (value or "").startswith(("data:", "#")), f"{name}={value!r:.80}"
    source.encode()
    return "taken"


def findings(place: Place, number: int) -> str:
    """Write findings about hostile names as SARIF, JUnit and a table; each is read back whole."""
    from rich.console import Console

    from disgorge.audit.findings import RULES, Finding, rows, table
    from disgorge.audit.junit import junit
    from disgorge.audit.sarif import sarif

    rng = place.fresh("empty", kind="findings", number=number).rng
    texts = [hostile.word(rng) for _ in range(3)]
    if number < len(hostile.WORDS):
        texts[0] = hostile.WORDS[number]
    found = [Finding(rng.choice(RULES), *texts), Finding(rng.choice(RULES), *reversed(texts))]
    written = json.loads(json.dumps(sarif(found)).encode())
    assert len(written["runs"][0]["results"]) == len(found)
    suite = ElementTree.fromstring(junit(found).encode())
    assert len(suite.findall(".//testcase")) >= len(found)
    stream = Stream(terminal=True)
    Console(file=stream, width=80).print(table(found))
    place.check_printed(stream.getvalue(), "table")
    assert all("\n" not in cell for row in rows(found) for cell in row)
    return "taken"


def drawing(place: Place, number: int) -> str:
    """Draw a trace of hostile names as SVG: well-formed, with no script, link or event."""
    from lineage.catalog.svg import draw
    from lineage.catalog.trace import Edge, Node, Trace

    rng = place.fresh("empty", kind="drawing", number=number).rng
    kinds = ("shard", "component", "component", "release")
    nodes = tuple(
        Node(f"n{at}", rng.choice(kinds), _name(rng, number + at), rng.choice(("live", "retired")), _name(rng, at))
        for at in range(rng.randrange(1, 9))
    )
    edges = tuple(
        Edge(rng.choice(nodes).id, rng.choice(nodes).id, _name(rng, at)) for at in range(rng.randrange(len(nodes) * 2))
    )
    root = ElementTree.fromstring(draw(Trace("n0", nodes, edges)).encode())
    for element in root.iter():
        assert not RUNS.match(element.tag.rpartition("}")[2].lower()), element.tag
        assert not [name for name in element.attrib if name.lower().startswith("on") or name.endswith("href")]
    return "taken"


def terminal(place: Place, number: int) -> str:
    """Record shards, requests and reasons with hostile texts, then list, show and trace them on a terminal."""
    from lineage.errors import LineageError
    from lineage.formats.read import from_arrays
    from lineage.shards.add import add_items

    rng = place.fresh("empty", kind="terminal", number=number).rng
    texts = [_name(rng, number + at) for at in range(7)]
    try:
        made = from_arrays({texts[5][:99] or "x": [1.0, 2.0]}, keys=[texts[0], texts[1]], subjects=[texts[2], None])
        added = add_items(place.workspace, made, name=texts[3], source=texts[4], license=texts[6], check=False)
    except LineageError as problem:
        place.refusal(str(problem).replace("\n", " "))
        return "refused"
    for arguments in (("shard", "list"), ("shard", "show", added.shard.digest), ("trace", added.shard.digest),
                      ("trace", "--", texts[0]), ("audit",), ("shard", "check", "--json")):  # fmt: skip
        place.run(*arguments, terminal=True)
    drawn = place.run("trace", added.shard.digest, "--svg", "trace.svg", terminal=True)
    if drawn.code == 0:
        ElementTree.fromstring((place.root / "trace.svg").read_bytes())
    if place.run("audit", "--sarif", "a.sarif", "--junit", "a.xml", terminal=True).code in (0, 1):
        json.loads((place.root / "a.sarif").read_bytes())
        ElementTree.fromstring((place.root / "a.xml").read_bytes())
    return "taken"


def spoiled(value: Any, rng: random.Random, *, share: float) -> Any:
    """Return a record in which a share of the texts is hostile; digests and words of a fixed list stay."""
    if isinstance(value, Enum) or (isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}|<svg.*", value, re.DOTALL)):
        return value
    if isinstance(value, str):
        return hostile.word(rng).encode("utf-8", "replace").decode() if rng.random() < share else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {f.name: spoiled(getattr(value, f.name), rng, share=share) for f in dataclasses.fields(value)
                 if f.init and f.name not in FIXED}  # fmt: skip
        return dataclasses.replace(value, **inner)
    if isinstance(value, tuple):
        return tuple(spoiled(each, rng, share=share) for each in value)
    if isinstance(value, dict):
        return {key: spoiled(each, rng, share=share) for key, each in value.items()}
    return value


def _name(rng: random.Random, number: int) -> str:
    return hostile.WORDS[number % len(hostile.WORDS)][:2_000] if rng.random() < 0.5 else hostile.word(rng)[:2_000]

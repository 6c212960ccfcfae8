"""What people write: requests, packs, cases, models, rules, settings. Valid ones changed, and YAML's known traps."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from disgorge.errors import DisgorgeError
from disgorge.method import method_named
from disgorge.training.model_file import read_model_file
from lineage.dvc.repo import tracked_hash
from lineage.errors import BadInput, LineageError
from lineage.shards.validation.rules import Rules
from tests.fuzz.conditions import CONDITION
from tests.fuzz.kind import BOTH, Kind
from tests.fuzz.place import Place
from tests.fuzz.strategies import CHANGES, DAMAGE, NUMBERS, WORD, changed, damaged

ROOT = Path(__file__).parent.parent.parent
Text = str | bytes

REQUEST: dict[str, Any] = {
    "standing": "data-subject", "ground": "privacy", "regime": "gdpr", "received": "2026-11-02", "verified": True,
    "hold": False, "id": "R-2", "selectors": {"shard": ["shard-2"], "subject": "shard-2-person-1"},
    "facts": {"made_public": True, "contract_days": 3, "order_deadline": "2026-12-01"},
    "particulars": {"name": "Ada Example", "contact": "ada@example.org", "note": "by letter"},
}  # fmt: skip
MODEL: dict[str, Any] = {
    "release": "toy", "method": "averages", "core": [], "shards": ["shard-1", "shard-2"], "evaluate": [],
    "alias": "live", "seed": 0, "threads": 1, "parameters": {},
}  # fmt: skip
RULES: dict[str, Any] = {
    "ranges": {"x": [0, None]}, "values": {"label": [0, 1]}, "license_required": False,
    "more": [{"type": "expect_column_mean_to_be_between", "kwargs": {"column": "x", "min_value": 0}}],
}  # fmt: skip
_OUTS = [{"md5": "d8e8fca2dc0f896fd7cb4cb0031ba249", "size": 4, "hash": "md5", "path": "data.csv"}]
DVC = {"data.csv.dvc": {"outs": _OUTS}, "dvc.lock": {"schema": "2.0", "stages": {"make": {"cmd": "x", "outs": _OUTS}}}}


def traps() -> Iterator[Text]:
    """What any reader of YAML or JSON has to survive."""
    yield ""
    yield "\x00"
    yield b"\xff\xfe\x00"
    yield "[]"
    yield "null"
    yield "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"
    yield "a: &a [*a]\n"
    yield "&a {x: *a}\n"
    yield "<<: {standing: customer}\n"
    yield "standing: !!python/object/apply:os.system ['touch CANARY']\n"
    yield "!!python/object/new:subprocess.check_output [['touch', 'CANARY']]\n"
    yield "!!python/name:os.system ''\n"
    yield "!!binary aGVsbG8=\n"
    yield "x: !<tag:yaml.org,2002:set> {a, b}\n"
    yield "x: !!timestamp 9999-99-99\n"
    yield "x: 0001-01-01T00:00:00+99:99\n"
    yield "2026-01-01: x\n"
    yield "? [a, b]\n: c\n"
    yield "x: " + "[" * 5_000 + "]" * 5_000 + "\n"
    yield "x: " + "{a: " * 2_000 + "1" + "}" * 2_000 + "\n"
    yield "x: 0x" + "f" * 100_000 + "\n"
    yield "x: 1:" + "59:" * 10_000 + "0\n"
    yield "x: .inf\ny: -.inf\nz: .nan\n"
    yield "a" * 2_000_000
    yield "---\na: 1\n---\nb: 2\n"
    yield "x: 1\nx: 2\n"
    yield "%YAML 9.9\n---\nx: 1\n"
    yield '"\\ud800": 1\n'
    yield 'x: "\\U00110000"\n'
    yield "\ufeffx: 1\n"
    yield "x: yes\ny: on\nz: NO\n"
    yield "\n".join(" " * depth + "x:" for depth in range(900)) + "\n"
    yield "x: " + "9" * 100_000 + "\n"
    yield "x: 'a" + "b" * 900_000 + "'\n"
    yield "x: |\n" + " a\n" * 50_000
    yield "\n".join(f"k{number}: 1" for number in range(20_000))
    yield "{" * 100_000
    yield '{"x": ' * 20_000


def written(value: Any, *, as_json: bool = False) -> bytes:
    """Return a document as somebody writes it; what YAML does not know is written as JSON."""
    try:
        text = json.dumps(value, default=str) if as_json else yaml.safe_dump(value, allow_unicode=True)
    except (yaml.YAMLError, ValueError):
        text = json.dumps(value, default=str)
    return text.encode("utf-8", "surrogatepass")


def document(valid: Any, *, as_json: bool = False) -> st.SearchStrategy[bytes]:
    """Draw the valid document, its text damaged, or, mostly, its tree changed."""
    whole = written(valid, as_json=as_json)
    other = CHANGES.map(lambda changes: written(changed(valid, changes), as_json=as_json))
    return st.one_of(st.just(whole), DAMAGE.map(lambda damage: damaged(whole, damage)), other, other, other)


def document_of(folder: str, change: Callable[[Any, list[str]], object]) -> st.SearchStrategy[bytes]:
    """Draw one of a folder's documents, which ``change`` makes smaller or other with some conditions."""

    def made(path: Path, conditions: list[str]) -> Any:
        value = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        change(value, conditions)
        return value

    paths = st.sampled_from(sorted((ROOT / folder).glob("*.yaml")))
    return st.builds(made, paths, st.lists(CONDITION, max_size=3)).flatmap(document)


def with_conditions(pack: Any, conditions: list[str]) -> None:
    """Give the first rules of a pack other conditions."""
    for rule, condition in zip(pack["rules"], conditions, strict=False):
        rule["when"] = condition


def three_cases(cases: Any, conditions: list[str]) -> None:
    """Keep three cases of a file."""
    first = sum(map(len, conditions)) % len(cases["cases"])
    cases["cases"] = cases["cases"][first : first + 3]


def incoming(place: Place, name: str, text: Text) -> Path:
    """Put a document where it came in."""
    return place.incoming(name, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))


def request(place: Place, text: Text) -> str:
    """File a request from a document."""
    path, before = incoming(place, "request.yaml", text), place.files()
    ran = place.run("request", "file", "--from", str(path), *(("--unmatched",) if len(text) % 2 else ()))
    assert ran.code in (0, 2), ran.err
    place.workspace.ledger.verify()
    if ran.code == 2:
        assert place.files() == before, "a refused request left something"
        return "refused"
    for verb in (("list",), ("show", "R-2"), ("decide", "R-2")):
        place.run("request", *verb)
    return "taken"


def pack(place: Place, text: Text) -> str:
    """Judge by a changed pack: whatever it says, a decision or a refusal comes of it, soon."""
    path = incoming(place, "mine.yaml", text)
    if (ran := place.run("policy", "list", "--packs", str(path))).code:
        assert ran.code == 2, ran.err
        return "refused"
    ran = place.run("request", "decide", "R-1", "--packs", str(path))
    assert ran.code in (0, 2), ran.err
    place.run("policy", "explain", "R-1")
    place.workspace.ledger.verify()
    return "taken"


def policy_case(place: Place, text: Text) -> str:
    """Run changed cases against the packs."""
    ran = place.run("policy", "test", str(incoming(place, "cases.yaml", text)))
    assert ran.code in (0, 1, 2), ran.err
    return "refused" if ran.code == 2 else "taken"


def model(place: Place, text: Text) -> str:
    """Read a model, as training does first."""
    path = incoming(place, "model.yaml", text)
    try:
        method_named(read_model_file(path).method)
    except DisgorgeError as problem:
        place.refusal(str(problem), names=path.name if "model.yaml" in str(problem) else "")
        assert place.run("train", str(path)).code in (1, 2)
        return "refused"
    return "taken"


def rules(place: Place, text: Text) -> str:
    """Read expectations in JSON."""
    try:
        Rules.read(incoming(place, "rules.json", text))
    except BadInput as problem:
        place.refusal(str(problem), names="rules.json")
        return "refused"
    return "taken"


def settings(place: Place, text: Text) -> str:
    """Open a workspace whose settings changed."""
    incoming(place, "config.toml", text).rename(place.root / ".disgorge" / "config.toml")
    ran = place.run("shard", "list")
    assert ran.code in (0, 2), ran.err
    return "refused" if ran.code else "taken"


SETTING = st.builds(
    lambda name, value: f"{name} = {value}\n",
    st.sampled_from(["lock_seconds", "format", "x"]),
    WORD | st.sampled_from([*map(str, NUMBERS), "1e400", "-1", '"x"', "[1]", "true"]),
)


def dvc(place: Place, case: Text | tuple[str, bytes]) -> str:
    """Look for a file's hash in what stands beside it where DVC's files stand."""
    name, text = case if isinstance(case, tuple) else ("dvc.lock", case)
    incoming(place, name, text)
    try:
        found = tracked_hash(place.incoming("data.csv", b"x\n1\n"))
    except LineageError as problem:
        place.refusal(str(problem))
        return "refused"
    assert found is None or isinstance(found, str)
    return "found" if found else "taken"


KINDS = (
    Kind("request", request, document(REQUEST), traps, full=300, template="trained"),
    Kind("pack", pack, document_of("policies/packs", with_conditions), traps, full=300, template="trained",
         isolated=True),
    Kind("policy-case", policy_case, document_of("tests/policies/cases", three_cases), traps, full=300),
    Kind("model", model, document(MODEL), traps, full=400),
    Kind("rules", rules, document(RULES, as_json=True), traps, full=500),
    Kind("settings", settings, SETTING | DAMAGE.map(lambda damage: damaged(b"lock_seconds = 30\n", damage)), traps,
         full=300),
    Kind("dvc", dvc, st.sampled_from(sorted(DVC)).flatmap(lambda name: st.tuples(st.just(name), document(DVC[name]))),
         traps, full=500, outcomes=BOTH | {"found"}, isolated=True),
)  # fmt: skip

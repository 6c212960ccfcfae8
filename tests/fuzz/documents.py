"""What people write: requests, packs, cases, models, rules, settings. Valid ones changed, and YAML's known traps."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import hostile
from tests.fuzz.conditions import condition
from tests.fuzz.mutation import changed, damaged, words_changed
from tests.fuzz.place import Place
from tests.fuzz.taking import files, incoming

ROOT = Path(__file__).parent.parent.parent

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
TRAPS: tuple[Callable[[], str | bytes], ...] = (
    lambda: "",
    lambda: "\x00",
    lambda: b"\xff\xfe\x00",
    lambda: "[]",
    lambda: "null",
    lambda: "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
    lambda: "a: &a [*a]\n",
    lambda: "&a {x: *a}\n",
    lambda: "<<: {standing: customer}\n",
    lambda: "standing: !!python/object/apply:os.system ['touch CANARY']\n",
    lambda: "!!python/object/new:subprocess.check_output [['touch', 'CANARY']]\n",
    lambda: "!!python/name:os.system ''\n",
    lambda: "!!binary aGVsbG8=\n",
    lambda: "x: !<tag:yaml.org,2002:set> {a, b}\n",
    lambda: "x: !!timestamp 9999-99-99\n",
    lambda: "x: 0001-01-01T00:00:00+99:99\n",
    lambda: "2026-01-01: x\n",
    lambda: "? [a, b]\n: c\n",
    lambda: "x: " + "[" * 5_000 + "]" * 5_000 + "\n",
    lambda: "x: " + "{a: " * 2_000 + "1" + "}" * 2_000 + "\n",
    lambda: "x: 0x" + "f" * 100_000 + "\n",
    lambda: "x: 1:" + "59:" * 10_000 + "0\n",
    lambda: "x: .inf\ny: -.inf\nz: .nan\n",
    lambda: "a" * 2_000_000,
    lambda: "---\na: 1\n---\nb: 2\n",
    lambda: "x: 1\nx: 2\n",
    lambda: "%YAML 9.9\n---\nx: 1\n",
    lambda: '"\\ud800": 1\n',
    lambda: 'x: "\\U00110000"\n',
    lambda: "\ufeffx: 1\n",
    lambda: "x: yes\ny: on\nz: NO\n",
    lambda: "\n".join(" " * depth + "x:" for depth in range(900)) + "\n",
    lambda: "x: " + "9" * 100_000 + "\n",
    lambda: "x: 'a" + "b" * 900_000 + "'\n",
    lambda: "x: |\n" + " a\n" * 50_000,
    lambda: "\n".join(f"k{number}: 1" for number in range(20_000)),
    lambda: "{" * 100_000,
    lambda: '{"x": ' * 20_000,
)
"""Each once for each kind of document, every other case until there are no more; the heavy ones come last."""


def trap(number: int) -> bytes | None:
    """Return the trap that a case is, if it is one."""
    if number % 2 or number // 2 >= len(TRAPS):
        return None
    made = TRAPS[number // 2]()
    return made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass")


def request(place: Place, number: int) -> str:
    """File a request from a document."""
    rng = place.fresh("trained", kind="request", number=number).rng
    path = _written(place, "request.yaml", number, rng, REQUEST)
    before = files(place)
    more = ("--unmatched",) if rng.random() < 0.5 else ()
    ran = place.run("request", "file", "--from", str(path), *more, names="")
    assert ran.code in (0, 2), ran.err
    place.workspace.ledger.verify()
    if ran.code == 2:
        assert files(place) == before, "a refused request left something"
        return "refused"
    for verb in ("list", "show", "decide"):
        place.run("request", verb, *(() if verb == "list" else ("R-2",)))
    return "taken"


def pack(place: Place, number: int) -> str:
    """Judge by a changed pack: whatever it says, a decision or a refusal comes of it, soon."""
    rng = place.fresh("trained", kind="pack", number=number).rng
    folder = incoming(place, "packs")
    folder.mkdir()
    shipped = yaml.safe_load(rng.choice(sorted((ROOT / "policies" / "packs").glob("*.yaml"))).read_text())
    if rng.random() < 0.5:
        for rule in shipped["rules"]:
            if rng.random() < 0.4:
                rule["when"] = condition(rng)
        _write(folder / "mine.yaml", shipped)
    else:
        path = _written(place, "mine.yaml", number, rng, shipped)
        path.rename(folder / "mine.yaml")
    if (ran := place.run("policy", "list", "--packs", str(folder))).code:
        assert ran.code == 2, ran.err
        return "refused"
    ran = place.run("request", "decide", "R-1", "--packs", str(folder))
    assert ran.code in (0, 2), ran.err
    place.run("policy", "explain", "R-1")
    place.workspace.ledger.verify()
    return "taken"


def policy_case(place: Place, number: int) -> str:
    """Run changed cases against the packs."""
    rng = place.fresh("empty", kind="policy-case", number=number).rng
    source = yaml.safe_load(rng.choice(sorted((ROOT / "tests" / "policies" / "cases").glob("*.yaml"))).read_text())
    source["cases"] = rng.sample(source["cases"], min(3, len(source["cases"])))
    path = _written(place, "cases.yaml", number, rng, source)
    ran = place.run("policy", "test", str(path))
    assert ran.code in (0, 1, 2), ran.err
    return "refused" if ran.code == 2 else "taken"


def model(place: Place, number: int) -> str:
    """Read a model and lay it out, as training does first."""
    from disgorge.errors import DisgorgeError
    from disgorge.method import method_named
    from disgorge.training.model_file import read_model_file

    rng = place.fresh("empty", kind="model", number=number).rng
    path = _written(place, "model.yaml", number, rng, MODEL)
    try:
        spec = read_model_file(path)
        method_named(spec.method)
    except DisgorgeError as problem:
        place.refusal(str(problem), names=path.name if "model.yaml" in str(problem) else "")
        assert place.run("train", str(path)).code in (1, 2)
        return "refused"
    assert spec.shards
    return "taken"


def rules(place: Place, number: int) -> str:
    """Read expectations in JSON."""
    from lineage.errors import BadInput
    from lineage.shards.validation_rules import Rules

    rng = place.fresh("empty", kind="rules", number=number).rng
    path = _written(place, "rules.json", number, rng, RULES, as_json=True)
    try:
        Rules.read(path).describe()
    except BadInput as problem:
        place.refusal(str(problem), names="rules.json")
        return "refused"
    return "taken"


def settings(place: Place, number: int) -> str:
    """Open a workspace whose settings changed."""
    rng = place.fresh("empty", kind="settings", number=number).rng
    path = place.root / ".disgorge" / "config.toml"
    if (trapped := trap(number)) is not None:
        path.write_bytes(trapped)
    elif rng.random() < 0.5:
        path.write_bytes(damaged(path.read_bytes(), rng))
    else:
        value = rng.choice((*hostile.WORDS, *map(str, hostile.NUMBERS), "1e400", "-1", '"x"', "[1]", "true"))
        path.write_bytes(f"{rng.choice(('lock_seconds', 'format', 'x'))} = {value}\n".encode("utf-8", "replace"))
    ran = place.run("shard", "list")
    assert ran.code in (0, 2), ran.err
    return "refused" if ran.code else "taken"


def _written(place: Place, name: str, number: int, rng: random.Random, valid: Any, *, as_json: bool = False) -> Path:
    """Write a trap, the valid document changed, or its text damaged; an eighth stays valid."""
    path = incoming(place, name)
    if (trapped := trap(number)) is not None:
        path.write_bytes(trapped)
        return path
    match rng.randrange(8):
        case 0:
            _write(path, valid, as_json=as_json)
        case 1 | 2:
            _write(path, words_changed(valid, rng, share=0.2), as_json=as_json)
        case 3:
            _write(path, valid, as_json=as_json)
            path.write_bytes(damaged(path.read_bytes(), rng))
        case _:
            _write(path, changed(valid, rng), as_json=as_json)
    return path


def _write(path: Path, value: Any, *, as_json: bool = False) -> None:
    try:
        text = json.dumps(value, default=str) if as_json else yaml.safe_dump(value, allow_unicode=True)
    except (yaml.YAMLError, ValueError):  # what YAML does not know is no document somebody wrote
        text = json.dumps(value, default=str)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

"""Loading packs: what is shipped holds, and what is not understood is refused by file, rule and field."""

import subprocess
import sys

import pytest
import yaml

from policies.errors import BadPack
from policies.packs.facts import known_regimes
from policies.packs.load import SHIPPED, agree, load_pack, load_packs, pack_of, packs_digest
from tests.policies.shipped import changed

KNOWN_CHECKS = {"answers", "never-trained", "lineage-closure", "residue", "membership", "utility"}

GOOD = {
    "pack": "mine",
    "title": "Mine",
    "version": "1",
    "applies": "true",
    "facts": {"risk": {"type": "int", "words": "a number"}},
    "rules": [
        {
            "id": "first",
            "when": "request.facts.risk > 3",
            "words": "Too risky.",
            "citation": "ours",
            "dated": "2026-01-01",
            "then": {"outcome": "granted", "guarantee": "exact"},
        }
    ],
}


def test_every_regime_has_a_pack_whose_rules_all_cite_a_dated_source():
    packs = load_packs()
    assert known_regimes(packs) == (
        "brazil", "ccpa", "contract", "copyright", "court-order", "delete-act", "eu-authority-order", "eu-copyright",
        "gdpr", "quality", "quebec", "regulator-order", "uk-gdpr", "us-state",
    )  # fmt: skip
    for rule in (rule for pack in packs for rule in pack.rules):
        assert rule.citation
        assert rule.dated.year >= 1900
        assert set(rule.then.evidence) <= KNOWN_CHECKS


def test_every_shipped_pack_passes_the_checks_that_loading_it_leaves_out():
    assert load_packs(SHIPPED) == load_packs()


def test_a_pack_that_asks_for_a_regime_does_not_make_its_own_name_one():
    known = known_regimes(load_packs())
    assert "us-state" in known
    assert "us-states" not in known
    assert known_regimes([pack_of(GOOD, name="a")]) == ("mine",), "it applies whatever the regime is"
    asking = changed(GOOD, "applies", "request.regime == 'theirs'")
    assert known_regimes([pack_of(asking, name="a")]) == ("theirs",)


def test_every_shipped_file_says_that_it_is_no_advice():
    for path in SHIPPED.glob("*.yaml"):
        assert path.read_text().startswith("# Versioned data, not legal advice")


def test_the_digest_of_packs_forgets_their_order_and_notices_a_word():
    packs = load_packs()
    assert packs_digest(packs) == packs_digest(packs[::-1])
    assert packs_digest([pack_of(GOOD, name="a")]) == packs_digest([pack_of(GOOD, name="b")])
    other = pack_of(changed(GOOD, "rules.0.words", "Much too risky."), name="a")
    assert packs_digest([other]) != packs_digest([pack_of(GOOD, name="a")])


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("extra", 1, "extra: unknown field"),
        ("rules.0.extra", 1, "rule first: extra: unknown field"),
        ("rules.0.then.extra", 1, "rule first: then.extra: unknown field"),
        ("title", ..., "title: is missing"),
        ("rules", [], "a pack without a rule"),
        ("rules.0.citation", ..., "rule first: citation: is missing"),
        ("rules.0.citation", "  ", "must say something"),
        ("rules.0.dated", ..., "rule first: dated: is missing"),
        ("rules.0.dated", "soon", "rule first: dated"),
        ("rules.0.id", ..., "rule number 1: id: is missing"),
        ("rules.0.id", "Not An Id", "invalid rule id"),
        ("rules", [GOOD["rules"][0], GOOD["rules"][0]], "rule id first is used twice"),
        (
            "rules.0.then.outcome",
            "maybe",
            "'maybe' is unknown; input should be 'granted', 'needs-review', 'denied' or 'on-h",
        ),
        (
            "rules.0.then.guarantee",
            "total",
            "'total' is unknown; input should be 'approximate', 'certified' or 'exact'",
        ),
        (
            "rules.0.then.families",
            ["magic"],
            "'magic' is unknown; input should be 'retraining', 'selective-forgetting'",
        ),
        ("rules.0.then.families", [], "admits nothing"),
        ("rules.0.then.refusal", "no-match", "has a `refusal`"),
        ("rules.0.then.outcome", "denied", "has a `refusal`"),
        ("rules.0.then.outcome", "on-hold", "must say its `category`"),
        ("rules.0.then.approvals", 0, "between 1 and 20"),
        ("rules.0.then.utility_floor", 90, "share between 0 and 1"),
        ("rules.0.then.evidence", ["Some Check"], "names checks"),
        ("rules.0.then.deadline", {}, "exactly one of"),
        ("rules.0.then.deadline", {"months": 1, "days": 3}, "exactly one of"),
        ("rules.0.then.deadline", {"days": -3}, "between 1 and"),
        ("rules.0.then.deadline", {"business_days": 3}, "need a `calendar`"),
        (
            "rules.0.then.deadline",
            {"business_days": 3, "calendar": "Atlantis"},
            "rule first: then.deadline.calendar: unknown cal",
        ),
        ("rules.0.then.deadline", {"fact": "risk"}, "declare the fact risk under `facts` with type date"),
        ("rules.0.then.deadline", {"fact": "day"}, "declare the fact day"),
        ("rules.0.then.deadline", {"days_fact": "risk"}, "exactly one of"),
        ("rules.0.then.deadline", {"months": 1, "days_fact": "risk"}, "needs `days`"),
        ("rules.0.then.deadline", {"months": 1, "extension": {"months": 1}}, "told_within"),
        ("rules.0.then.deadline", {"months": 1, "extension": {"told_within_days": 1}}, "by `months` or by `days`"),
        ("rules.0.when", "request.regime ==", "rule first: when: condition does not parse"),
        ("rules.0.when", "reqest.regime == 'x'", "rule first: when: condition names reqest"),
        ("rules.0.when", "request.regimen == 'x'", "condition names request.regimen; request has"),
        ("rules.0.when", "impact.item > 0", "condition names impact.item"),
        ("rules.0.when", "request.facts.rsk > 3", "reads the fact rsk; declare it"),
        ("rules.0.when", "request.facts['rsk'] > 3", "condition reads with"),
        ("rules.0.when", "open('x')", "condition calls open"),
        ("rules.0.when", "__import__('os')", "condition calls"),
        ("rules.0.when", " || ".join(["true"] * 400), "at most 2000"),
        ("rules.0.when", True, "rule first: when"),
        ("applies", "1 +", "applies: condition does not parse"),
        ("facts.legal_hold", {"type": "bool", "words": "x"}, "not a reserved one"),
        ("facts.risk.type", "number", "'number' is unknown"),
        ("rules.0.read", "maybe", "rule first: read: invalid value 'maybe': write true or false"),
        ("pack", "house", "invalid pack name"),
        (
            "confinement",
            {"accepts": "box"},
            "confinement.accepts: 'box' is unknown; input should be 'process', 'landlock'",
        ),
        ("confinement", {"equal_bits": "often"}, "confinement.equal_bits: invalid value 'often': write true or false"),
        ("confinement", {"accepts": "landlock", "equals": True}, "confinement.equals: unknown field"),
        ("confinement", {"accepts": "process", "equal_bits": False}, "a run that is neither confined nor repeated"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(path, value, says):
    with pytest.raises(BadPack) as refused:
        pack_of(changed(GOOD, path, value), name="mine.yaml")
    assert says in str(refused.value)
    assert str(refused.value).startswith("mine.yaml: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pack: a\npack: b\n", "line 2, column 1: the key 'pack' is written twice"),
        ("a: &x [1]\nb: *x\n", "aliases are not allowed"),
        ("a: [1\n", "line 2"),
        ("1: a\n", "a key must be a word"),
        ("", "a pack is a mapping"),
        ("- a\n", "a pack is a mapping"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("a: " + "[" * 3000, "not usable YAML"),
        ("dated: 2026-13-45\n", "not usable YAML"),
    ],
)
def test_a_file_that_is_no_pack_is_refused(tmp_path, text, says):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BadPack) as refused:
        load_pack(path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(BadPack, match="cannot be read"):
        load_pack(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: café".encode("latin-1"))
    with pytest.raises(BadPack, match="not UTF-8"):
        load_pack(tmp_path / "latin.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(BadPack, match="too many"):
        load_pack(tmp_path / "huge.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadPack, match="no pack"):
        load_packs(tmp_path / "empty")


def test_words_that_yaml_once_took_for_booleans_stay_words(tmp_path):
    text = yaml.safe_dump(GOOD).replace("title: Mine", "title: on").replace("words: Too risky.", "words: No")
    (tmp_path / "mine.yaml").write_text(text)
    (pack,) = load_packs(tmp_path)
    assert pack.title == "on"
    assert pack.rules[0].words == "No"


def test_two_packs_agree_on_names_and_facts():
    mine = pack_of(GOOD, name="a")
    with pytest.raises(BadPack, match=r"a pack named mine is in a\.yaml too"):
        agree([(mine, "a.yaml"), (mine, "b.yaml")])
    other = pack_of(changed(GOOD, "pack", "other") | {"facts": {"risk": {"type": "date", "words": "a day"}}, "rules": [
        {**GOOD["rules"][0], "when": "true"}]}, name="b")  # fmt: skip
    with pytest.raises(BadPack, match=r"facts\.risk is date here and int in a\.yaml"):
        agree([(mine, "a.yaml"), (other, "b.yaml")])


def test_importing_packs_loads_nothing_heavy():
    code = (
        "import sys, policies.packs.load, policies.judging.explain, policies.cases.run_cases;"
        "import policies.vocabulary.licenses;"
        "heavy = {'cel', 'cel.cel', 'holidays', 'pydantic', 'dateutil', 'license_expression', 'torch', 'duckdb'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_half_a_character_is_no_text(tmp_path):
    (tmp_path / "mine.yaml").write_text('pack: "a\\ud800"\n')
    with pytest.raises(BadPack, match=r"mine\.yaml: line 1, column 11: found invalid Unicode character escape code"):
        load_pack(tmp_path / "mine.yaml")

"""Tables in packs: one rule per row, every row what it says, and what is not applied refused."""

import copy

import pytest

from policies.errors import BadPack
from policies.packs.load import load_pack, pack_of
from policies.packs.rules import Deadline, Pack
from policies.packs.tables import MOST_RULES, expanded
from tests.policies.shipped import changed

STATES = {
    "pack": "states",
    "title": "States",
    "version": "1",
    "applies": "true",
    "facts": {"us_state": {"type": "text", "words": "the state", "one_of": ["VA", "TX"]}},
    "tables": {
        "states": {
            "VA": {"days": 45, "law": "Va. Code 59.1-577", "since": "2023-01-01", "read": True},
            "TX": {"days": 30, "law": "Tex. Code 541", "since": "2024-07-01", "read": False},
        }
    },
    "rules": [
        {"id": "first", "when": "true", "words": "Before.", "citation": "ours", "dated": "2026-01-01"},
        {
            "id": "answer",
            "each": "states",
            "when": 'request.facts.us_state == "{row}"',
            "words": "Answer within {days} days ({law}).",
            "citation": "{law}",
            "dated": "{since}",
            "read": "{read}",
            "then": {"deadline": {"days": "{days}"}, "notices": ["the consumer, in {row}"]},
        },
    ],
}


def states() -> Pack:
    return pack_of(STATES, name="states.yaml")


def test_a_rule_with_each_is_one_rule_per_row_in_the_place_where_it_was_written():
    first, virginia, texas = states().rules
    assert (first.id, virginia.id, texas.id) == ("first", "answer-va", "answer-tx")
    assert virginia.when == 'request.facts.us_state == "VA"'
    assert (virginia.words, virginia.citation) == ("Answer within 45 days (Va. Code 59.1-577).", "Va. Code 59.1-577")
    assert virginia.then.deadline == Deadline(days=45)
    assert virginia.then.notices == ("the consumer, in VA",)
    assert (virginia.dated.year, texas.dated.year) == (2023, 2024)
    assert (virginia.all_read, texas.all_read) == (True, False)


def test_an_expanded_pack_is_the_pack_that_is_written_out():
    written = copy.deepcopy(STATES)
    del written["tables"]
    written["rules"] = expanded(STATES, name="states.yaml")["rules"]
    assert pack_of(written, name="a").digest == states().digest
    assert pack_of(changed(STATES, "tables.states.VA.days", 44), name="a").digest != states().digest


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "rules.1.then.deadline.days",
            "{dayz}",
            "rule answer: row VA of the table states has no column dayz; nearest: days; it has days, law, read, row, s",
        ),
        ("tables.states.TX.days", ..., "rule answer: row TX of the table states has no column days"),
        ("tables.states.TX.apeal", 60, "table states: row TX: no rule uses the column apeal; write {apeal} where it"),
        ("tables.states.TX.days", "soon", "rule answer-tx: then.deadline.days: "),
        ("tables.states.TX.since", "2024-13-01", "rule answer-tx: dated: "),
        ("tables.states.TX.read", "perhaps", "rule answer-tx: read: "),
        ("tables.states.TX.days", [1], "column days is [1], which cannot be in a text"),
        ("tables.states.TX.law", True, "column law is True, which cannot be in a text"),
        ("tables.states.TX", 45, "row TX: a row is a mapping of columns"),
        ("tables.states.TX", {}, "row TX of the table states has no column"),
        ("tables.states", {}, "with at least one row"),
        ("tables", ["states"], "tables: a mapping"),
        ("tables.others", {"VA": {"days": 1}}, "table others: no rule uses it"),
        ("tables.states.T X", {}, "row 'T X': use letters"),
        ("tables.states.TX.row", 1, "invalid column name 'row'"),
        ("tables.states.TX.Days", 1, "invalid column name 'Days'"),
        ("rules.1.each", "state", "rule answer: each: unknown table 'state'; nearest: states"),
        ("rules.1.each", ["states"], "rule answer: each: unknown table ['states']"),
        ("rules.1.when", 'request.facts.state == "{row}"', "rule answer-va: when: "),
        ("rules.0.id", "answer-va", "rule id answer-va is used twice"),
        ("tables.states", {str(n): {"days": 1} for n in range(MOST_RULES)}, "no column law"),
    ],
)
def test_what_is_not_understood_names_file_rule_row_and_column(path, value, says):
    with pytest.raises(BadPack) as refused:
        pack_of(changed(STATES, path, value), name="states.yaml")
    assert says in str(refused.value)
    assert str(refused.value).startswith("states.yaml: ")
    assert "\n" not in str(refused.value)


def test_a_table_cannot_make_a_small_file_a_huge_pack():
    row = {"days": 1, "law": "a", "since": "2026-01-01", "read": True}
    with pytest.raises(BadPack, match=f"more than {MOST_RULES} rules"):
        pack_of(changed(STATES, "tables.states", {str(n): row for n in range(MOST_RULES + 1)}), name="states.yaml")


def test_braces_that_are_no_column_stay_as_they_are():
    pack = pack_of(changed(STATES, "rules.1.when", '{"a": 1}.a == 1 && request.facts.us_state == "{row}"'), name="a")
    assert pack.rules[1].when.startswith('{"a": 1}.a == 1')
    kept = changed(STATES, "rules.0.words", "Outside of `each` nothing is put in: {days}.")
    assert pack_of(kept, name="a").rules[0].words.endswith("{days}.")


def test_a_table_is_read_from_yaml_with_its_types(tmp_path):
    (tmp_path / "states.yaml").write_text(
        'pack: states\ntitle: States\nversion: "1"\napplies: "true"\n'
        "tables:\n  states:\n    VA: {days: 45, since: 2023-01-01, read: true}\n"
        'rules:\n  - {id: a, each: states, when: "true", words: "{days} days since {since}", citation: us, '
        'dated: "{since}", read: "{read}", then: {deadline: {days: "{days}"}}}\n'
    )
    (rule,) = load_pack(tmp_path / "states.yaml").rules
    assert (rule.id, rule.words, rule.dated.isoformat()) == ("a-va", "45 days since 2023-01-01", "2023-01-01")

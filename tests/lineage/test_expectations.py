"""The suite passes good items, names bad ones by key, and looks into exceptions that are not raised."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineage.errors import BadInput, ExpectationsFailed, LineageError
from lineage.formats.read import Intake, from_arrays
from lineage.records import canonical, plain
from lineage.shards.validation.expectations import Validation, validate
from lineage.shards.validation.rules import Rules
from lineage.storage.content import item_digests

SHARD = "ab" * 32


def intake(count: int = 6, **changes: Any) -> Intake:
    told: dict[str, Any] = {
        "keys": [f"k{row}" for row in range(count)],
        "licenses": ["MIT"] * count,
    }
    content = {
        "image": np.arange(count * 4, dtype=np.float32).reshape(count, 2, 2),
        "half": np.ones(count, np.float16),
        "label": np.arange(count) % 3,
        "word": np.array(["a"] * count),
    }
    return from_arrays(content, **{**told, **changes})


def run(items: Intake, **rules: Any) -> Validation:
    return validate(items, item_digests(items.content), shard=SHARD, rules=Rules(**rules))


def test_good_items_pass_and_the_result_is_recorded_without_naming_them() -> None:
    told = run(intake(), ranges={"image": (0, 23), "half": (None, 1)}, values={"label": (0, 1, 2), "word": ("a",)})
    assert told.items == 6
    assert told.warnings == ()
    assert all(outcome.success for outcome in told.outcomes)
    assert {outcome.column for outcome in told.outcomes} >= {"item_key", "image.min", "image.shape", "label", "word"}
    text = canonical(told).decode()
    assert "k0" not in text
    assert json.loads(text)["library"].startswith("great_expectations ")
    assert run(intake(), ranges={"image": (0, 23)}) == run(intake(), ranges={"image": (0, 23)})


def test_a_missing_license_is_a_warning_unless_required() -> None:
    bare = intake(licenses=["MIT", None, None, "MIT", "MIT", "MIT"])
    assert run(bare).warnings == ("2 of 6 items have no license",)
    with pytest.raises(ExpectationsFailed, match="2 of 6 items: key 'k1', 'k2'"):
        run(bare, license_required=True)


@pytest.mark.parametrize(
    ("changes", "rules", "says"),
    [
        ({"keys": ["a", "b", "b", "c", "d", "e"]}, {}, "unique.*2 of 6 items: key 'b', 'b'"),
        ({}, {"ranges": {"image": (0, 19)}}, r"image\.m.* 1 of 6 items: key 'k5'"),
        ({}, {"ranges": {"label": (1, None)}}, r"label.* 2 of 6 items: key 'k0', 'k3'"),
        ({}, {"values": {"label": (0, 1)}}, r"label.* 2 of 6 items: key 'k2', 'k5'"),
        ({}, {"values": {"word": ("b",)}}, r"word.* 6 of 6 items: key 'k0', 'k1', 'k2', 'k3', 'k4', \.\.\."),
        ({}, {"ranges": {"image": (1, 2)}, "values": {"word": ("b",)}}, r"and 2 more expectations"),
    ],
)
def test_items_that_break_a_rule_are_named_by_key(changes: dict[str, Any], rules: dict[str, Any], says: str) -> None:
    with pytest.raises(ExpectationsFailed, match=says) as caught:
        run(intake(**changes), **rules)
    assert "\n" not in str(caught.value)


def test_digests_that_are_none_are_caught() -> None:
    with pytest.raises(ExpectationsFailed, match="item_digest"):
        validate(intake(), ("x", *item_digests(intake().content)[1:]), shard=SHARD)


def mean_of(column: str, **more: Any) -> dict[str, Any]:
    kwargs = {"column": column, "min_value": 0, "max_value": 1}
    return {"type": "expect_column_mean_to_be_between", "kwargs": kwargs, **more}


def test_any_expectation_can_be_added() -> None:
    assert run(intake(), more=(mean_of("label"),)).warnings == ()
    with pytest.raises(
        ExpectationsFailed, match=r"expect_column_mean_to_be_between \(image.mean\) failed, observed 11.5"
    ):
        run(intake(), more=(mean_of("image.mean"),))
    assert len(run(intake(), more=(mean_of("image.mean", severity="warning"),)).warnings) == 1


@pytest.mark.parametrize("severity", [{}, {"severity": "warning"}])
def test_an_expectation_that_could_not_be_evaluated_is_a_failure(severity: dict[str, str]) -> None:
    with pytest.raises(ExpectationsFailed, match=r'could not be evaluated: .*"nope"'):
        run(intake(), more=(mean_of("nope", **severity),))


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"ranges": {"nope": (0, 1)}}, "the fields are half, image, label, word"),
        ({"ranges": {"word": (0, 1)}}, "which is text"),
        ({"values": {"image": (1,)}}, "which is an array"),
        ({"ranges": {"label": (None, None)}}, "invalid rule"),
        ({"more": ({"type": "expect_the_moon", "kwargs": {}},)}, "no known type"),
        ({"more": ({"type": "expect_column_mean_to_be_between", "kwargs": {"colunm": "label"}},)}, "invalid rule"),
        ({"more": (mean_of("label", mostly=1),)}, "no known type, or more"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_bad_input(rules: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        run(intake(), **rules)
    assert "\n" not in str(caught.value)


def test_two_fields_that_would_be_checked_as_one() -> None:
    items = from_arrays({"x": np.zeros((2, 2)), "x.min": np.zeros(2)})
    with pytest.raises(BadInput, match=r"would be checked as 'x\.min'"):
        run(items)


def test_rules_come_from_json(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    rules = Rules(
        ranges={"image": (0.0, None)}, values={"label": (1, 2)}, license_required=True, more=(mean_of("label"),)
    )
    path.write_bytes(canonical(rules))
    assert plain(Rules.read(path)) == plain(rules)
    for text, says in (
        ('{"range": {}}', "unknown rule 'range'; use ranges, values"),
        ('{"ranges": {"x": [1]}}', r"ranges\.x"),
        ("[1]", "Input should be"),
        ("{", "no rules in JSON"),
        ('{"license_required": "maybe"}', "license_required"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=says):
            Rules.read(path)
    with pytest.raises(BadInput, match="no rules"):
        Rules.read(tmp_path / "nowhere.json")


def test_great_expectations_is_loaded_on_use_and_missed_in_words() -> None:
    code = (
        "import sys, lineage.shards.add; assert not {'great_expectations', 'pandas', 'dvc', 'PIL'} & set(sys.modules)\n"
        "sys.modules['great_expectations'] = None\n"
        "from lineage.shards.validation.expectations import validate; from lineage.formats.read import from_arrays\n"
        "validate(from_arrays({'x': [1]}), ('ab' * 32,), shard='ab' * 32)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert LineageError.__name__ in done.stderr.splitlines()[-1]
    assert "pip install 'disgorge[expectations]', or pass check=False (--no-check)" in done.stderr

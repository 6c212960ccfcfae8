"""How often ``membership``, ``forget-quality`` and ``klom`` accuse an honest removal, and how often they see none done.

``python -m benchmarks.calibrate_probes [HONEST] [LIARS]`` simulates that many honest removals and false ones of each
kind a setting (by default 200 and 40), simulates the settings that came out worst again with ten times as many and
other seeds, and writes ``calibrate_probes.json`` beside itself.

What is simulated are scores. An item has an ease and a sensitivity; a model's score on it is the ease plus, in units of
the sensitivity, a noise of its own, a *shift* that the model's seed gives all removed items at once, and what the model
remembers of them. Removed items are harder than held-out ones. References and an honest ``after`` are drawn alike,
which is what honest means; so are, for ``klom``, as many removed models more, which remember what ``after`` does. That
probe is asked where there are enough references, and of classifiers. Settings cross 3 and 8 references with shifts
of 0 to 1 and four kinds of case. Seeds: a generator per case, from (seed, setting, number); 1 for the settings, 2 for
the worst of them again.

Of false removals, "trained again with the items" is the one whose scores are close to those before, not the same.
"""

import itertools
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from disgorge.evidence.checks import Check
from disgorge.evidence.probes import forget_quality, klom, membership
from disgorge.evidence.probes.membership import Scores
from disgorge.evidence.probes.rmia import Pair

HONEST, LIARS, AGAIN = 200, 40, 10
HELD_OUT = 200
RESAMPLES = 200
"""Fewer than a check's own, for speed: intervals come out as wide, a little less even."""
WORST = 3


@dataclass(frozen=True)
class Setting:
    """One kind of case. ``memory`` is what the model before removal remembers, in units of an item's noise."""

    references: int
    shift: float
    removed: int
    memory: float
    noise: Literal["normal", "heavy"]
    task: Literal["classify", "generate"]


KINDS: tuple[tuple[int, float, Literal["normal", "heavy"], Literal["classify", "generate"]], ...] = (
    (30, 6.0, "normal", "classify"),
    (300, 3.0, "heavy", "classify"),
    (300, 12.0, "normal", "classify"),
    (120, 6.0, "normal", "generate"),
)
REFERENCES = (3, 8)
SETTINGS = [
    Setting(references, shift, *kind)
    for references, shift, kind in itertools.product(REFERENCES, (0.0, 0.25, 0.5, 1.0), KINDS)
]
FALSE = {"nothing done": None, "trained again with the items": 1.0, "half": 0.5, "over-forgotten": -2.0}
"""The share of what was remembered that is left; None is the model before removal itself."""


def simulate(setting: Setting, left: float | None, *seed: int) -> tuple[Scores, klom.Margins]:
    """Return the scores of one case, of which ``after`` remembers the share ``left``, and all removed models' margins.

    What was not done is not done from other seeds either: those of ``klom`` then remember everything.
    """
    generator = np.random.default_rng(seed)
    counts = (setting.removed, HELD_OUT)
    ease = [generator.normal(mean, 1.5, count) for mean, count in zip((2.4, 3.0), counts, strict=True)]
    sensitivity = [generator.gamma(2.0, 0.3, count) for count in counts]

    def model(memory: float) -> Pair:
        scores = []
        for part, count in enumerate(counts):
            if setting.noise == "heavy":  # Student's t with 4 degrees, of variance 1
                own = generator.standard_t(4, count) / np.sqrt(2)
            else:
                own = generator.normal(size=count)
            common = 0.0 if part else setting.shift * generator.normal() + memory
            score = ease[part] + sensitivity[part] * (own + common)  # (items,)
            scores.append(score if setting.task == "classify" else -np.exp(-0.5 * score - 2))
        return scores[0], scores[1]

    before = model(setting.memory)
    after = before if left is None else model(left * setting.memory)
    references = tuple(model(0.0) for _ in range(setting.references))
    memory = setting.memory * (1.0 if left is None else left)
    removed = [after, *(model(memory) for _ in range(setting.references - 1))]
    margins = klom.Margins(
        before[0], np.array([each[0] for each in removed]), np.array([each[0] for each in references])
    )
    return Scores(setting.task, before, after, references), margins


PROBES = ("membership", "forget-quality", "klom")


def asked_of(setting: Setting) -> tuple[str, ...]:
    """Return the probes that a setting is about."""
    return PROBES if setting.references >= klom.MODELS and setting.task == "classify" else PROBES[:2]


def check_of(probe: str, scores: Scores, margins: klom.Margins, seed: int) -> Check:
    """Return one probe's check."""
    if probe == "klom":
        return klom.judge(margins, release="simulated", seed=seed)
    if probe == "membership":
        return membership.judge(scores, release="simulated", seed=seed, resamples=RESAMPLES)
    references = tuple(reference[0] for reference in scores.references)
    return forget_quality.judge(scores.before[0], scores.after[0], references, release="simulated", seed=seed)


def tally(
    setting: Setting, left: float | None, count: int, *seed: int, probes: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Count verdicts of the probes, and how often both controls held."""
    found: dict[str, dict[str, Any]] = {}
    for number in range(count):
        scores, margins = simulate(setting, left, *seed, number)
        for name in probes:
            check = check_of(name, scores, margins, number)
            counts = found.setdefault(name, {"cases": 0, "pass": 0, "fail": 0, "inconclusive": 0, "controls held": 0})
            counts["cases"] += 1
            counts[check.verdict.value] += 1
            counts["controls held"] += able(check)
    return found


def able(check: Check) -> bool:
    """Whether the check could have failed."""
    return bool(check.controls) and all(control.held for control in check.controls)


def main(honest: int, liars: int) -> None:
    """Simulate every setting, the worst ones again, and write what was found."""
    rows = []
    for index, setting in enumerate(SETTINGS):
        asked = asked_of(setting)
        row: dict[str, Any] = {
            "setting": asdict(setting), "honest": tally(setting, 0.0, honest, 1, index, 0, probes=asked),
        }  # fmt: skip
        row |= {
            name: tally(setting, left, liars, 1, index, number + 1, probes=asked)
            for number, (name, left) in enumerate(FALSE.items())
        }
        rows.append(row)
        print(index, setting, {name: row["honest"][name]["fail"] for name in row["honest"]}, flush=True)
    again = []
    for name in PROBES:
        about = [index for index, row in enumerate(rows) if name in row["honest"]]
        worst = sorted(about, key=lambda index: -rows[index]["honest"][name]["fail"])[:WORST]
        for index in worst:
            counted = tally(SETTINGS[index], 0.0, AGAIN * honest, 2, index, 0, probes=(name,))[name]
            again.append({"probe": name, "setting": asdict(SETTINGS[index]), "honest": counted})
            print("again", name, SETTINGS[index], counted["fail"], counted["cases"], flush=True)
    written = {"seeds": [1, 2], "resamples": RESAMPLES, "held_out": HELD_OUT, "summary": summary(rows, again)}
    text = json.dumps(written | {"worst_again": again, "settings": rows}, indent=1, sort_keys=True) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(json.dumps(written["summary"], indent=1))


def summary(rows: list[dict[str, Any]], again: list[dict[str, Any]]) -> dict[str, Any]:
    """Return shares per probe: honest ones accused, overall and at worst, and false ones failed and passed."""
    found: dict[str, Any] = {}
    for name in PROBES:
        honest = [row["honest"][name] for row in rows if name in row["honest"]]
        worst = [each["honest"]["fail"] / each["honest"]["cases"] for each in again if each["probe"] == name]
        found[name] = {
            "honest": {
                "cases": sum(each["cases"] for each in honest),
                "failed": share(honest, "fail", "cases"),
                "failed in the worst setting, simulated again": max(worst),
                "passed of those whose controls held": share(honest, "pass", "controls held"),
            },
            **{
                kind: {
                    "failed of those whose controls held": share(
                        [r[kind][name] for r in rows if name in r[kind]], "fail", "controls held"
                    ),
                    "passed": share([r[kind][name] for r in rows if name in r[kind]], "pass", "cases"),
                }
                for kind in FALSE
            },
            "controls held by references": {
                str(count): share(
                    [r["honest"][name] for r in rows if r["setting"]["references"] == count and name in r["honest"]],
                    "controls held",
                    "cases",
                )
                for count in REFERENCES
            },
        }
    return found


def share(counts: list[dict[str, Any]], part: str, whole: str) -> float | None:
    """Return a share over several counts, None of nothing."""
    total = sum(each[whole] for each in counts)
    return round(sum(each[part] for each in counts) / total, 5) if total else None


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [HONEST, LIARS][len(given) :])[:2])

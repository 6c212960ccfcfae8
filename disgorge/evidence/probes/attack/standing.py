"""Where one attack puts a model among models that never saw the removed items, and whether the attack is to be trusted.

A *reading* is one number a model with its interval from resampling items. Each attack is calibrated on its own, by
references against references: the reference in turn is the target, the others are what it is compared with. With m the
references' mean, s their spread as it holds for one more such model (R - 1 degrees), u the variance from sampling items
alone and g the distance from m to the model before removal, what there is to forget,

(1)  passes = max( t(R - 1, 0.95) s,  z(0.95) sqrt(u) )
(2)  flags  = max( t(R - 1, 0.99) s,  z(0.99) sqrt(u),  g / 2,  passes )

- *inside* is a reading within ``passes`` of m. *Flagged* is a reading further than ``flags`` from m whose interval,
  too, lies wholly beyond ``passes``: too far for seeds, too far for the draw of items, and enough to matter;
- positive control: the model before removal is flagged, above. Negative: the first reference, judged by (1) as the
  others make it, has an interval that touches the band; and each reference, judged so, lies within g / 2 of the middle.

The level of (2) is less strict than that of :mod:`disgorge.evidence.probes.band`, and there are no nine standard
deviations, with which even eight references would recognize next to nothing: here the draw of items and the negative
control guard too, and all three attacks together are simulated by ``python -m benchmarks.calibrate_probes``.

The price of (2): a reading between the two distances says nothing, so a model that kept less than half is not failed,
only not passed; and where seeds shift all removed items at once, three references recognize little. We prefer that to
an accusation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from disgorge.evidence.checks import Control
from disgorge.evidence.probes.attack.curve import LEVEL, Curve, Pair, normal_quantile
from disgorge.evidence.probes.band import MATTERS, student

FLAG_LEVEL = 0.99
"""The level of (2): calibrated so that three attacks together accuse at most one honest removal in a hundred."""

Task = Literal["classify", "generate"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of every model of a case on the removed and the held-out items."""

    task: Task
    before: Pair
    after: Pair
    references: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One number a model, its interval and its variance from sampling items, and the attack's curve if it has one."""

    value: float
    interval: tuple[float, float]
    variance: float
    curve: Curve | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """Where never-trained models lie: the middle, and the distances from it that pass and that flag, on each side."""

    middle: float
    passes: float
    flags: float
    flags_below: float

    def side(self, reading: Reading) -> int:
        """Return 1 if a reading is flagged above, -1 below, 0 if it is not."""
        low, high = reading.interval
        if reading.value > self.middle + self.flags and low > self.middle + self.passes:
            return 1
        return -1 if reading.value < self.middle - self.flags_below and high < self.middle - self.passes else 0

    def inside(self, reading: Reading) -> bool:
        """Whether a reading passes."""
        return abs(reading.value - self.middle) <= self.passes * (1 + 1e-9) + 1e-9  # models that answer alike

    def touches(self, reading: Reading) -> bool:
        """Whether a reading's interval reaches into what passes."""
        low, high = reading.interval
        return low <= self.middle + self.passes + 1e-9 and high >= self.middle - self.passes - 1e-9


@dataclass(frozen=True, slots=True)
class Standing:
    """What one attack found. ``certifies`` is whether an inside reading of it may carry a pass."""

    attack: str
    measure: str
    certifies: bool
    before: Reading
    after: Reading
    references: tuple[float, ...]
    band: Band
    controls: tuple[Control, Control]

    @property
    def trusted(self) -> bool:
        """Whether both controls held."""
        return all(control.held for control in self.controls)

    @property
    def side(self) -> int:
        """On which side ``after`` is flagged, 0 if it is not."""
        return self.band.side(self.after)

    @property
    def degree(self) -> float | None:
        """How far ``after`` stands from never trained (0) toward nothing done (1); None if there is no way to go."""
        gap = self.before.value - self.band.middle
        return (self.after.value - self.band.middle) / gap if gap > 0 else None

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        band, parts = self.band, {"before": self.before, "after": self.after}
        return {
            "measure": self.measure,
            "references": list(self.references),
            "passes": [band.middle - band.passes, band.middle + band.passes],
            "flags": [band.middle - band.flags_below, band.middle + band.flags],
            "degree": self.degree,
            "side": self.side,
            "inside": band.inside(self.after),
            "controls": [
                {"name": control.name, "held": control.held, "value": control.value, "words": control.words}
                for control in self.controls
            ],
            **{
                name: {"value": part.value, "interval": list(part.interval)}
                | (part.curve.plain if part.curve is not None else {})
                for name, part in parts.items()
            },
        }


def band_of(values: Sequence[float], spread: float, variance: float, gap: float) -> Band:
    """Return equations (1) and (2) for the values of at least two references, given their spread for one more model."""
    freedom, noise = len(values) - 1, math.sqrt(variance)
    passes = max(student(freedom, LEVEL) * spread, normal_quantile(LEVEL) * noise)
    far = max(student(freedom, FLAG_LEVEL) * spread, normal_quantile(FLAG_LEVEL) * noise)
    flags = max(far, MATTERS * max(gap, 0.0), passes)
    return Band(math.fsum(values) / len(values), passes, flags, flags)


Read = Callable[[Pair, tuple[Pair, ...], bool], Reading]
"""Reads a target against models that never saw the items; the flag says whether to resample."""
Judge = Callable[[tuple[Pair, ...], float], tuple[Band, tuple[float, ...]]]
"""Returns the band that references make, given the value before removal, and the references' own values."""


def standing(name: str, scores: Scores, read: Read, judge: Judge, *, measure: str, certifies: bool) -> Standing:
    """Return where an attack puts ``after``; at least three references."""
    references = scores.references
    before, after = (read(target, references, True) for target in (scores.before, scores.after))
    band, values = judge(references, before.value)
    first, others = read(references[0], references[1:], True), judge(references[1:], before.value)[0]
    farthest = 0.0
    for place, reference in enumerate(references):
        rest = references[:place] + references[place + 1 :]
        value = first.value if place == 0 else read(reference, rest, False).value
        middle = others.middle if place == 0 else judge(rest, before.value)[0].middle
        farthest = max(farthest, abs(value - middle))
    gap = before.value - band.middle
    controls = (
        Control(
            "positive",
            f"{name}: the model before removal must be recognized as having been trained on the removed items: "
            f"{measure} {before.value:.2f}, interval {before.interval[0]:.2f} to {before.interval[1]:.2f}, "
            f"must lie above {band.middle + band.flags:.2f}.",
            before.value,
            band.side(before) > 0,
        ),
        Control(
            "negative",
            f"{name}: a model that never saw them must not be: {measure} {first.value:.2f}, interval "
            f"{first.interval[0]:.2f} to {first.interval[1]:.2f}, must touch {others.middle - others.passes:.2f} to "
            f"{others.middle + others.passes:.2f}, and every reference lie within {gap / 2:.2f} of the others.",
            first.value,
            others.touches(first) and farthest < MATTERS * gap,
        ),
    )
    return Standing(name, measure, certifies, before, after, values, band, controls)


def leave_one_out(read: Read) -> Judge:
    """Return how readings that compare with other models make a band: each reference against the others.

    The deviations of such readings sum to nearly zero and each is larger by R / (R - 1) than that of one more model, so
    their mean square, divided by R, is already the variance of one more model's reading, with R - 1 degrees.
    """

    def judge(references: tuple[Pair, ...], before: float) -> tuple[Band, tuple[float, ...]]:
        found = [
            read(reference, references[:place] + references[place + 1 :], False)
            for place, reference in enumerate(references)
        ]
        values = [each.value for each in found]
        spread, variance = float(np.std(values)), math.fsum(each.variance for each in found) / len(found)
        return band_of(values, spread, variance, before - math.fsum(values) / len(values)), tuple(values)

    return judge

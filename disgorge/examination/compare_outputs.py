"""Whether it is the new model that answers, and not the old one behind the new parts: three sets of answers compared.

The same questions are put to three models: the one *served*, as this process put it together; the one *apart*, made in
a process that knows only the retained data and the new parts; and the *old* one, made of the parts from before removal
in another process that was asked nothing else. With d(a, b) the largest difference of two sets of answers, relative to
the larger of 1 and their size, and t = :data:`TOLERANCE`,

(1)  d(served, apart) > t fails, whatever the old model answers;
(2)  the positive control is the old model in the place of the one served. It holds where d(old, apart) > 10 t: then a
     served model that passes (1), if it is any mixture of old and new, is a tenth old at the most. It also holds where
     served and apart are equal *bit for bit* and the old model differs from them in a bit: their equality says that two
     processes round alike, so a bit is a difference. With the control held, it passes;
(3)  where served and apart differ by rounding and the old model by not much more, the two cannot be told apart:
     inconclusive;
(4)  where all three are equal bit for bit - a removed part that no answer depends on, say - the old model cannot be
     told from the new one by any answer that was asked for. Refusing would refuse honest removals, passing as if
     something had been seen would be a lie. So the check rests on ``never-trained`` alone and says so: it passes only
     if that passed, carries a control called :data:`~disgorge.evidence.checks.STAND_IN` instead of a positive one, and
     the report says that it shows nothing by itself.

What is not shown: that the old model is not behind answers that were not asked for; and in case (2), that less than a
tenth of the old model is not. Case (3) can befall an honest removal of one item of very many whose method rounds
differently in two processes; we prefer that to a certificate that an old model would have got. The methods that ship
answer bit for bit alike there, because torch's threads are held to the recipe's; numpy's own threads are whatever each
process has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from disgorge.evidence.checks import STAND_IN, Control, Verdict

if TYPE_CHECKING:
    from disgorge.method import Array

TOLERANCE = 1e-5
"""Largest difference of two answers, relative to the larger of 1 and the answers' size, that rounding explains."""
CLEAR = 10.0
"""How many times the tolerance the old model has to differ, where bits differ anyway."""
CALIBRATED = (
    "chosen: benchmarks/calibrate_answers.json has the answers of the methods' toys under one and two threads, which "
    "lie within 3e-07, and those after one item's removal, which move by 0.03 or more; "
    f"the old model has to differ by more than {CLEAR:g} times the tolerance, or in a bit where two processes agree"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """How far the model apart and the old one are from the one served, by set of answers, and which agree in bits."""

    apart: dict[str, float]
    old: float
    """The largest difference of the old model's answers from those apart."""
    bits_equal: bool
    """Whether the answers served and apart are equal bit for bit, in every set."""
    old_bits_equal: bool
    """Whether the old model's answers are equal to those apart bit for bit, in every set."""

    @property
    def worst(self) -> float:
        """The largest difference of the answers apart from those served."""
        return max(self.apart.values(), default=0.0)

    @property
    def differing(self) -> int:
        """How many sets of answers differ by more than rounding."""
        return sum(by > TOLERANCE for by in self.apart.values())


def compare(served: "Mapping[str, Array]", apart: "Mapping[str, Array]", old: "Mapping[str, Array]") -> Compared:
    """Compare the sets of answers of the model served with those of the two others, by name."""
    known = {name: old[name] for name in served if name in old and name in apart}
    return Compared(
        apart={name: difference(answers, apart.get(name)) for name, answers in served.items()},
        old=max((difference(apart[name], answers) for name, answers in known.items()), default=0.0),
        bits_equal=all(_same_bits(answers, apart.get(name)) for name, answers in served.items()),
        old_bits_equal=all(_same_bits(apart[name], answers) for name, answers in known.items()),
    )


def judge(found: Compared, never_trained: Verdict) -> tuple[Verdict, str, Control]:
    """Return the verdict, the answer in words, and the control; ``never_trained`` is what that check of the model said.

    >>> judge(Compared({"scores": 0.0}, 0.5, bits_equal=True, old_bits_equal=False), Verdict.PASS)[0].value
    'pass'
    >>> judge(Compared({"scores": 1e-9}, 1e-6, bits_equal=False, old_bits_equal=False), Verdict.PASS)[0].value
    'inconclusive'
    """
    alike = found.bits_equal and found.old_bits_equal
    told_apart = found.old > CLEAR * TOLERANCE or (found.bits_equal and not found.old_bits_equal)
    if alike:
        control = Control(
            STAND_IN,
            "The model from before removal answers the same, bit for bit, so that no answer asked for can tell the two "
            "apart; never-trained, which compares their parts, has to pass instead.",
            found.old,
            never_trained is Verdict.PASS,
        )
    else:
        control = Control(
            "positive",
            f"The model from before removal, asked the same, must be told from the new one: it differs by "
            f"{found.old:.3g}, which is told apart above {CLEAR * TOLERANCE:.3g}, or in any bit where two processes "
            f"agree in every bit (they {'do' if found.bits_equal else 'do not'}).",
            min(found.old, 1e300),
            told_apart,
        )
    if found.differing:
        return (
            Verdict.FAIL,
            f"No: put together in a process of its own, the model answers differently ({found.differing} of "
            f"{len(found.apart)} sets of answers, by up to {found.worst:.3g}); it knows something that none of its "
            "parts holds.",
            control,
        )
    if alike:
        said = (
            "the same parts by the same recipes, and the same answers, bit for bit; but the model from before removal "
            "gives them too, so this check shows nothing by itself and rests on never-trained alone"
        )
        if never_trained is Verdict.PASS:
            return Verdict.PASS, f"Yes: {said}.", control
        return Verdict.INCONCLUSIVE, f"Not shown: {said}, which did not pass.", control
    if not told_apart:
        return (
            Verdict.INCONCLUSIVE,
            f"Not shown: the answers are the same within {TOLERANCE:g}, but those of the model from before removal "
            f"differ by no more than {found.old:.3g}, so it could be the one that answers.",
            control,
        )
    return Verdict.PASS, "Yes: the same parts by the same recipes, and the same answers.", control


def difference(one: "Array", other: "Array | None") -> float:
    """Return the largest difference of two answers relative to their size; infinite where one has no number."""
    import numpy as np

    if other is None or one.shape != other.shape:
        return float("inf")
    if np.array_equal(one, other, equal_nan=True):
        return 0.0
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    return float(np.max(np.abs(one - other) / np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))))


def _same_bits(one: "Array", other: "Array | None") -> bool:
    return other is not None and one.shape == other.shape and one.tobytes() == other.tobytes()

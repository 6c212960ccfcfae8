"""How good a model is on held-out items when it is trained.

>>> Quality({"accuracy": 0.9474, "neg_log_loss": -0.2}, 114, 114).words
'accuracy 0.9474 on held-out (114 items)'
>>> Quality({"neg_rmse": -1.5}, 256, 1400).words
'rmse 1.5000 on held-out (256 of 1,400 items)'
>>> Quality({}, 16, 16, why="the model file names no `evaluate` shards").words
'not measured: the model file names no `evaluate` shards'
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lineage.plural import counted

_NEGATED = "neg_"
"""How the names of measures begin that are negated, so that higher is better."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures on so many items of those there are, the headline first; ``why`` says why there are none."""

    measures: Mapping[str, float]
    items: int
    of: int
    why: str = ""

    @property
    def reported(self) -> dict[str, float]:
        """The measures by their usual names: a negated loss as the loss."""
        return {
            name.removeprefix(_NEGATED): -value if name.startswith(_NEGATED) else value
            for name, value in self.measures.items()
        }

    @property
    def words(self) -> str:
        """The headline in words."""
        if not self.measures:
            return f"not measured: {self.why}"
        name, value = next(iter(self.reported.items()))
        part = f"{self.items:,} of " if self.items < self.of else ""
        return f"{name} {value:.4f} on held-out ({part}{counted(self.of, 'item')})"

"""A tangent composition's parameters: names, defaults, ranges. An unknown or unfit one is refused by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from disgorge.methods.shared.parameters import Ranges, check_number, picked, types_of
from lineage.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSettings:
    """What determines the backbone."""

    seed: int
    classes: int = 10
    scale: float = 16.0
    """What pixel values are divided by."""
    filters: int = 16
    """Channels of stage 1; stages 2 and 3 have twice as many."""
    batch: int = 32
    core_epochs: int = 30
    core_learning_rate: float = 3e-3
    core_weight_decay: float = 1e-2
    target: float = 5.0
    """k: what the true class's output is pulled to. The authors use 5 for random shards, 15 for class splits."""
    ridge: float = 1e-2
    """Penalty of the head's regression on the core, against features of mean square about 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TangentSettings:
    """What determines a tangent, besides its shard and the backbone."""

    seed: int
    classes: int = 10
    scale: float = 16.0
    batch: int = 32
    target: float = 5.0
    epochs: int = 100
    learning_rate: float = 1e-2
    """AdamW's; x0.1 after half and after four fifths of the epochs."""
    regularizer: float = 1e-5
    """Weight of |d|, the norm itself, in the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSettings:
    """What determines how outputs become probabilities."""

    scale: float = 16.0
    sharpness: float = 3.0
    """Probabilities are softmax(sharpness * f_lin). A mean of outputs falls short of the target k, so that without it a
    model is less sure than it is right. Chosen, not calibrated: calibrating would be a use of data."""


_MOST = 1e6
_RANGES: Ranges = {
    "classes": (2, 10_000),
    "scale": (1e-6, _MOST),
    "filters": (1, 1024),
    "batch": (1, _MOST),
    "core_epochs": (1, _MOST),
    "core_learning_rate": (1e-9, 1),
    "core_weight_decay": (0, 1),
    "target": (1e-3, 1e3),
    "ridge": (1e-9, _MOST),
    "epochs": (1, _MOST),
    "learning_rate": (1e-9, 1),
    "regularizer": (0, 1),
    "sharpness": (1e-3, 1e3),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All parameters of a model, by what they determine."""

    backbone: BackboneSettings
    tangent: TangentSettings
    answer: AnswerSettings


def read_settings(parameters: Mapping[str, Json], *, seed: int = 0) -> Settings:
    """Return the settings a model file gives, defaults filled in; ``BadModel`` names the parameter that is wrong."""
    for name, value in parameters.items():
        check(name, value)
    return Settings(
        BackboneSettings(seed=seed, **picked(BackboneSettings, parameters)),
        TangentSettings(seed=seed, **picked(TangentSettings, parameters)),
        AnswerSettings(**picked(AnswerSettings, parameters)),
    )


def check(name: str, value: Json) -> None:
    """Refuse a parameter nobody knows or a value out of its range."""
    check_number(name, value, ranges=_RANGES, types=types_of(BackboneSettings, TangentSettings, AnswerSettings))


def as_parameters(settings: BackboneSettings | TangentSettings) -> dict[str, Json]:
    """Return the settings as a recipe holds them."""
    return asdict(settings)

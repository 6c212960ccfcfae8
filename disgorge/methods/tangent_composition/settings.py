"""A tangent composition's settings, and which of them determine which part."""

from dataclasses import dataclass

from disgorge.methods.shared.settings import number


@dataclass(frozen=True, slots=True)
class Settings:
    """What a model file may say under ``parameters``."""

    seed: int = 0
    classes: int = number(10, 2, 10_000)
    scale: float = number(16.0, 1e-6, 1e6)
    """What pixel values are divided by."""
    filters: int = number(16, 1, 1024)
    """Channels of stage 1; stages 2 and 3 have twice as many."""
    batch: int = number(32, 1, 1e6)
    core_epochs: int = number(30, 1, 1e6)
    core_learning_rate: float = number(3e-3, 1e-9, 1)
    core_weight_decay: float = number(1e-2, 0, 1)
    target: float = number(5.0, 1e-3, 1e3)
    """k: what the true class's output is pulled to. The authors use 5 for random shards, 15 for class splits."""
    ridge: float = number(1e-2, 1e-9, 1e6)
    """Penalty of the head's regression on the core, against features of mean square about 1."""
    epochs: int = number(100, 1, 1e6)
    learning_rate: float = number(1e-2, 1e-9, 1)
    """AdamW's; x0.1 after half and after four fifths of the epochs."""
    regularizer: float = number(1e-5, 0, 1)
    """Weight of |d|, the norm itself, in the loss."""
    sharpness: float = number(3.0, 1e-3, 1e3)
    """Probabilities are softmax(sharpness * f_lin). A mean of outputs falls short of the target k, so that without it a
    model is less sure than it is right. Chosen, not calibrated: calibrating would be a use of data."""


_EVERY = ("classes", "scale", "batch", "target")
BACKBONE = (*_EVERY, "filters", "core_epochs", "core_learning_rate", "core_weight_decay", "ridge")
"""What determines the backbone."""
TANGENT = (*_EVERY, "epochs", "learning_rate", "regularizer")
"""What determines a tangent, besides its shard and the backbone."""

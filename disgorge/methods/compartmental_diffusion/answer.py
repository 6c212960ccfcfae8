"""The assembled generator: samples, and says how well it fits items."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, NoReturn

import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Items, ModelSpec, Part
from disgorge.methods.compartmental_diffusion import network
from disgorge.methods.compartmental_diffusion.compartments import Compartments, gather
from disgorge.methods.compartmental_diffusion.images import from_network, to_network
from disgorge.methods.compartmental_diffusion.sample import sample
from disgorge.methods.compartmental_diffusion.settings import RULES, Settings
from disgorge.methods.shared.last_answer import LastAnswer
from disgorge.methods.shared.settings import read_settings

if TYPE_CHECKING:
    from disgorge.method import Array

SCORE_LEVELS = (50, 100, 150, 200, 300, 400)
"""Noise levels, of a thousand, at which fit is measured. Above, the error says which kinds of images a model knows and
varies with its seed more than with any one item; near 0 all models predict alike."""

SCORE_SEED = 20_230_807
"""Seed of the noise in :meth:`CompartmentModel.scores`: one noise image a level, the same for every item."""

_ITEMS_AT_ONCE = 128
"""Items scored in one pass: what a pass holds in memory grows with them."""


class CompartmentModel:
    """A mixture of compartments over images. See :class:`disgorge.method.Model`."""

    task: Literal["classify", "generate"] = "generate"

    def __init__(self, compartments: Compartments, settings: Settings, axes: int) -> None:
        self._compartments = compartments
        self._settings = settings
        self._axes = axes
        self._scheduler = network.build_scheduler()
        self._last = LastAnswer()

    @property
    def members(self) -> tuple[str, ...]:
        """The compartments there are, by the names of their shards, in the order of :meth:`attribution`'s columns."""
        return tuple(member.name for member in self._compartments.members)

    def sample(self, count: int, *, seed: int, only: Collection[str] | None = None, rule: str | None = None) -> "Array":
        """Return ``count`` images in [0, 1], shape (count, height, width[, channels]).

        ``only`` names the shards a caller may use; the core is always there, and nothing outside is touched.
        ``rule`` is one of :data:`~.settings.RULES`, the model's own by default.
        """
        chosen = self._settings.rule if rule is None else rule
        if chosen not in RULES:
            raise BadModel(f"unknown sampling rule {chosen!r}; known: {', '.join(RULES)}")
        compartments = self._compartments if only is None else self._compartments.only(only)
        with network.reproducible(seed) as generator:
            planes = sample(compartments, self._scheduler, self._settings, count, rule=chosen, generator=generator)
        return from_network(planes, self._axes)

    def scores(self, items: Items, *, only: Collection[str] | None = None) -> "Array":
        """Return the negative denoising loss of each item (items,): squared error of the velocity, averaged.

        Averaged over pixels and :data:`SCORE_LEVELS`, with the mixture's weighted prediction.
        """
        if only is None:
            return self._last.about(items, lambda these: self._scores(these, self._compartments))
        return self._scores(items, self._compartments.only(only))

    def _scores(self, items: Items, compartments: Compartments) -> "Array":
        clean = to_network(items, self._settings.peak)  # (items, channels, height, width)
        total = torch.zeros(len(clean), dtype=torch.float64)
        with torch.no_grad(), network.reproducible(SCORE_SEED) as generator:
            for level in SCORE_LEVELS:
                noise = torch.randn(clean.shape[1:], generator=generator)  # (channels, height, width)
                losses = [self._loss(compartments, batch, noise, level) for batch in torch.split(clean, _ITEMS_AT_ONCE)]
                total -= torch.cat(losses)
        scores: Array = (total / len(SCORE_LEVELS)).numpy()
        return scores

    def utility(self, items: Items) -> dict[str, float]:
        """Return the mean score on ``items``."""
        return {"neg_denoising_loss": float(self.scores(items).mean())}

    def predict(self, items: Items) -> NoReturn:
        """Raise: a generator gives no class probabilities."""
        raise NotImplementedError("compartmental_diffusion generates images; it does not classify them")

    def _loss(self, compartments: Compartments, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Return each item's squared error of the velocity at one noise level (items,), float64."""
        kept = float(self._scheduler.alphas_cumprod[level])  # alpha squared
        alpha, sigma = kept**0.5, (1 - kept) ** 0.5
        noise = noise.expand_as(clean)  # (items, channels, height, width)
        noised = alpha * clean + sigma * noise
        target: Tensor = alpha * noise - sigma * clean
        predicted = compartments.predict_mixed(noised, level, compartments.weights(noised, alpha=alpha, sigma=sigma))
        return (predicted - target).square().flatten(1).mean(dim=1).double()


def assemble(spec: ModelSpec, parts: tuple[Part, ...]) -> CompartmentModel:
    """Return the model these parts make together."""
    settings = read_settings(Settings, spec.parameters, seed=spec.seed)
    axes = next((int(part.tensors["axes"][0]) for part in parts if part.kind == "backbone"), 2)
    return CompartmentModel(gather(settings, spec, parts), settings, axes)

"""The compartments there are, as one function of a noised image: each one's weight, and what they predict together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import ModelSpec, Part
from disgorge.methods.compartmental_diffusion import density, mixture, network
from disgorge.methods.compartmental_diffusion.settings import Settings
from disgorge.methods.compartmental_diffusion.train import load_backbone
from disgorge.methods.shared.digest import tensors_digest
from disgorge.methods.shared.parts import parts_by_kind
from disgorge.methods.shared.tensors import as_tensors

CORE = "core"
"""The name under which the backbone itself takes part: it is the compartment of the public core."""


@dataclass(frozen=True, slots=True)
class Compartment:
    """One member of the mixture: whose it is, the UNet weights with its adapter merged in, its density, its prior."""

    name: str
    weights: Mapping[str, Tensor]
    density: Mapping[str, Tensor]
    prior: float
    """Count of images times the part's weight in the composition."""


@dataclass(frozen=True, slots=True)
class Compartments:
    """A mixture of compartments, in an order that depends on their bytes and not on their names."""

    unet: Any
    trunk: Mapping[str, Tensor]
    breadth: float
    members: tuple[Compartment, ...]

    def only(self, names: Collection[str]) -> "Compartments":
        """Return the mixture of the core and the compartments named: exact Bayes for that sub-mixture.

        What it answers depends on nothing outside: others are not weighed down, they are not there.
        """
        unknown = sorted(set(names) - {member.name for member in self.members})
        if unknown:
            known = ", ".join(sorted(member.name for member in self.members))
            raise BadModel(f"unknown compartment {unknown[0]!r}; known: {known}")
        return replace(self, members=tuple(m for m in self.members if m.name == CORE or m.name in names))

    @property
    def priors(self) -> Tensor:
        """The members' priors l_i (members,), not normalized."""
        return torch.tensor([member.prior for member in self.members], dtype=torch.float64)

    def weights(self, noised: Tensor, *, alpha: float, sigma: float) -> Tensor:
        """Return w_t(x, i) of noised images (rows, channels, height, width): (rows, members). Equation (2)."""
        flat = noised.flatten(1)  # (rows, pixels)
        each = [
            density.log_density(
                flat, alpha=alpha, sigma=sigma, breadth=self.breadth, trunk=self.trunk, part=member.density
            )
            for member in self.members
        ]
        return mixture.mixing_weights(torch.stack(each, dim=1), self.priors)

    def predict_mixed(self, noised: Tensor, level: int, weights: Tensor) -> Tensor:
        """Return the weighted velocity of all members (rows, channels, height, width). Equation (3)."""
        levels = torch.full((len(noised),), level)  # (rows,)
        each = [network.predict(self.unet, member.weights, noised, levels) for member in self.members]
        return mixture.mix(weights, each)

    def predict_chosen(self, noised: Tensor, level: int, chosen: Tensor) -> Tensor:
        """Return each row's velocity by the one member chosen for it; ``chosen`` (rows,) are indices of members."""
        velocity = torch.empty_like(noised)
        for index, member in enumerate(self.members):
            mine = (chosen == index).nonzero()[:, 0]  # (rows of this member,)
            if len(mine):
                levels = torch.full((len(mine),), level)
                velocity[mine] = network.predict(self.unet, member.weights, noised[mine], levels)
        return velocity


def gather(settings: Settings, spec: ModelSpec, parts: tuple[Part, ...]) -> Compartments:
    """Return the mixture that these parts make; :class:`~disgorge.errors.BadModel` if one lacks its other half."""
    found = parts_by_kind(spec, parts, one=("backbone", "router"), any_number=("compartment", "posterior"))
    halves = [
        {part.name.removeprefix(f"{kind}/"): part for part in found[kind]} for kind in ("compartment", "posterior")
    ]
    alone = sorted(halves[0].keys() ^ halves[1].keys())
    if alone:
        raise BadModel(
            f"release {spec.release}: {alone[0]} has a compartment or a posterior but not both; train it again"
        )
    router = as_tensors(found["router"][0].tensors)
    unet, frozen = load_backbone(settings, found["backbone"][0].tensors)
    members = [Compartment(CORE, frozen, router, float(router["count"]))]
    # in an order that may depend on what was learned, and not on a name
    for name in sorted(halves[0], key=lambda name: [tensors_digest(half[name].tensors) for half in halves]):
        compartment, posterior = halves[0][name], as_tensors(halves[1][name].tensors)
        if compartment.weight > 0:
            whole = network.merged(frozen, as_tensors(compartment.tensors))
            members.append(Compartment(name, whole, posterior, compartment.weight * float(posterior["count"])))
    return Compartments(unet, router, settings.breadth, tuple(members))

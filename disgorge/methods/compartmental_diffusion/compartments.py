"""The compartments there are, as one function of a noised image: each one's weight, and what they predict together."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import ModelSpec, Part
from disgorge.methods.compartmental_diffusion import density, mixture, network
from disgorge.methods.compartmental_diffusion.parameters import Parameters
from disgorge.methods.compartmental_diffusion.training import as_tensors, load_backbone

if TYPE_CHECKING:
    import numpy as np

    Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]

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
            raise BadModel(f"there is no compartment {unknown[0]!r}; there are: {known}")
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


def gather(settings: Parameters, spec: ModelSpec, parts: tuple[Part, ...]) -> Compartments:
    """Return the mixture that these parts make; :class:`~disgorge.errors.BadModel` if one lacks its other half."""
    by_kind: dict[str, dict[str, Part]] = {"backbone": {}, "router": {}, "compartment": {}, "posterior": {}}
    for part in parts:
        if part.kind not in by_kind:
            raise BadModel(
                f"component {part.name} is of kind {part.kind!r}, which compartmental_diffusion has no use for"
            )
        by_kind[part.kind][part.name.removeprefix(f"{part.kind}/")] = part
    for kind in ("backbone", "router"):
        if len(by_kind[kind]) != 1:
            raise BadModel(f"release {spec.release} has {len(by_kind[kind])} components of kind {kind}; it needs one")
    alone = sorted(set(by_kind["compartment"]) ^ set(by_kind["posterior"]))
    if alone:
        raise BadModel(
            f"release {spec.release}: {alone[0]} has a compartment or a posterior but not both; train it again"
        )
    backbone = next(iter(by_kind["backbone"].values()))
    router = as_tensors(next(iter(by_kind["router"].values())).tensors)
    unet, frozen = load_backbone(settings, backbone.tensors)
    members = [Compartment(CORE, frozen, router, float(router["count"]))]
    for name in sorted(by_kind["compartment"], key=lambda name: _fingerprint(by_kind, name)):
        compartment, posterior = by_kind["compartment"][name], as_tensors(by_kind["posterior"][name].tensors)
        if compartment.weight > 0:
            whole = network.merged(frozen, as_tensors(compartment.tensors))
            members.append(Compartment(name, whole, posterior, compartment.weight * float(posterior["count"])))
    return Compartments(unet, router, settings.breadth, tuple(members))


def _fingerprint(by_kind: Mapping[str, Mapping[str, Part]], name: str) -> str:
    """Return a digest of a compartment's bytes: the order of members may depend on it, on a name it may not."""
    body = hashlib.sha256()
    for kind in ("compartment", "posterior"):
        for tensor, array in sorted(by_kind[kind][name].tensors.items()):
            body.update(f"{tensor}{array.dtype}{array.shape}".encode())
            body.update(array.tobytes())
    return body.hexdigest()

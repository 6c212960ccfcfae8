"""Compartmentalized diffusion: one adapter per shard on a public backbone, mixed by posterior weights.

Source: Golatkar, Achille, Swaminathan, Soatto, "Training Data Protection with Compositional Diffusion Models",
arXiv:2308.01937. Adapters: Hu et al., arXiv:2106.09685. Sampler: Song et al., arXiv:2010.02502.

Shards D_i with priors l_i = |D_i| / |D|. Noising is linear in the density, so the noised data are a mixture as well:

    p_t(x) = sum_i l_i p_{i,t}(x)                                                                                (1)
    w_t(x, i) = l_i p_{i,t}(x) / sum_j l_j p_{j,t}(x) = p(i | x_t = x)                                           (2)
    v_t(x) = sum_i w_t(x, i) v_{i,t}(x), for scores, noise and velocity alike                                    (3)

Four kinds of component. The **backbone** (a diffusers UNet) and the **router** (a trunk of directions and variances,
and the core's own density) are trained on the core alone. Each removable shard has a **compartment** (an adapter on the
frozen backbone) and a **posterior** part (its density on the trunk and its count, equation 4 in :mod:`.density`). The
core is a member of the mixture too, served by the backbone itself, so that with no compartment left it answers alone.

Why removal is exact: the paper's posterior classifier has seen every shard, so it must be retrained after a drop. Here
nothing is fitted across shards. The weights are a softmax over the members there are; dropping one renormalizes them,
and what is left is byte for byte what it would be had the shard never come. The negative consequence: densities are
mixtures of Gaussians in a few directions of the core, coarser than a trained classifier.

Rehearsal mixes core images into a compartment's batches. A compartment then models (1 - rehearsal) p_i + rehearsal
p_core while its weight goes by p_i, so (3) no longer holds as written; it is off by default.

Not guaranteed: see ``METHOD.promises_not``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from disgorge.errors import BadModel
from disgorge.method import (
    NO_CHECKPOINTS,
    Blueprint,
    Checkpoints,
    Input,
    Items,
    Model,
    ModelSpec,
    Offer,
    Part,
    Progress,
    Toy,
    no_progress,
)
from disgorge.methods.compartmental_diffusion.settings import DETERMINING, Settings
from disgorge.methods.shared.parts import existing_shards
from disgorge.methods.shared.settings import read_settings, recorded, restored
from lineage.records import Json, Role, Shard
from policies.taxonomy import Family, Guarantee, Remedy

if TYPE_CHECKING:
    from disgorge.method import Tensors

_ON_CORE = "exact relative to the core: the frozen backbone and the router's trunk never saw a removable shard"
_AGAIN = "trained again from nothing on what is retained, with the recipe's own seed; exact in the same environment"


class CompartmentalDiffusion:
    """The method; see the module's docstring and :class:`disgorge.method.Method`."""

    name = "compartmental_diffusion"
    version = "2"
    libraries: tuple[str, ...] = (
        "numpy",
        "torch",
        "diffusers.models.unets.unet_2d",
        "diffusers.schedulers.scheduling_ddim",
    )
    libraries_of_kinds: Mapping[str, tuple[str, ...]] = dict.fromkeys(("router", "posterior"), ("numpy", "torch"))
    unused: tuple[str, ...] = ("accelerate", "peft", "scipy", "transformers")
    """diffusers loads them where they are installed, which takes longer than loading diffusers itself."""
    citation = (
        "A. Golatkar, A. Achille, A. Swaminathan, S. Soatto, Training Data Protection with Compositional Diffusion"
        " Models, arXiv:2308.01937"
    )
    tolerance = (1e-2, 1.0)
    """Re-executed without vector instructions, the toy's backbone moved by 3e-3 as a whole and biases before a group
    norm by up to 0.3: these have no gradient of their own, and Adam moves them by rounding alone."""
    promises_not = (
        "Nothing is promised about the public core: it stays in the backbone and in every sample.",
        "Exact means equal bits in the same environment; with other library versions or thread counts bits may differ.",
        "A picture like the removed ones can still be drawn if the core or another shard holds similar ones.",
        "Attribution says whose data an image resembles, not which data caused it.",
        "Samples published before the removal are not recalled, and models trained on them are not affected here.",
    )
    offers = (
        Offer("compartment", Remedy.DROP, Guarantee.EXACT, Family.COMPARTMENTALIZATION, _ON_CORE),
        Offer("compartment", Remedy.RETRAIN, Guarantee.EXACT, Family.COMPARTMENTALIZATION, _AGAIN),
        Offer("posterior", Remedy.DROP, Guarantee.EXACT, Family.COMPARTMENTALIZATION, _ON_CORE),
        Offer("posterior", Remedy.RETRAIN, Guarantee.EXACT, Family.COMPARTMENTALIZATION, _AGAIN),
        Offer("backbone", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, _AGAIN),
        Offer("router", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, _AGAIN),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return backbone and router on the core, then a compartment and a posterior part per shard that exists.

        Without any core there is nothing to build on and the layout is empty. On the CPU alone: the sampler's schedule
        stays there, and sums along a row have no deterministic kernel elsewhere.
        """
        if spec.device != "cpu":
            raise BadModel(f"device: {self.name} trains on the cpu alone; take `device: {spec.device}` out")
        settings = read_settings(Settings, spec.parameters, seed=spec.seed)
        core, removable = existing_shards(spec, shards, ("image",))
        if not core:
            return ()
        on_core = tuple(Input("shard", shard.name, Role.TRAIN) for shard in core)
        made = [
            _blueprint(settings, "backbone", "backbone", on_core, weight=0.0),
            _blueprint(settings, "router", "router", on_core, weight=0.0),
        ]
        rehearsed = on_core if settings.rehearsal else ()
        for name in (shard.name for shard in removable):
            own = Input("shard", name, Role.TRAIN)
            on_backbone = Input("component", "backbone", Role.INITIALIZE)
            counted = (Input("shard", name, Role.CALIBRATE), Input("component", "router", Role.NORMALIZE))
            made += [
                _blueprint(settings, f"compartment/{name}", "compartment", (own, *rehearsed, on_backbone)),
                _blueprint(settings, f"posterior/{name}", "posterior", counted, weight=0.0),
            ]
        return tuple(made)

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple["Tensors", ...],
        *,
        progress: Progress = no_progress,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
    ) -> "Tensors":
        """Return the tensors of one component. ``items`` start with the shard it is for; the core's follow."""
        from disgorge.methods.compartmental_diffusion import train
        from disgorge.methods.compartmental_diffusion.images import together

        settings = restored(Settings, parameters)
        if any(not len(shard) for shard in items) or not items:
            raise BadModel(f"a {kind} needs at least one image in every shard it is trained on")
        if kind == "backbone":
            return train.train_backbone(settings, together(items), progress, checkpoints)
        if kind == "router":
            return train.train_router(settings, together(items))
        if kind == "posterior":
            return train.train_posterior(settings, items[0], parts[0])
        if kind == "compartment":
            core = together(items[1:]) if len(items) > 1 else None
            return train.train_compartment(settings, items[0], core, parts[0], progress, checkpoints)
        raise BadModel(f"compartmental_diffusion makes no {kind!r}; it makes {', '.join(map(repr, DETERMINING))}")

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """Return the mixture of these parts, ready to sample."""
        from disgorge.methods.compartmental_diffusion.answer import assemble

        return assemble(spec, parts)

    def toy(self, seed: int) -> Toy:
        """Return a small instance: a core of bars and four shards of blobs, each in a corner of its own."""
        from disgorge.methods.compartmental_diffusion.toy import toy

        return toy(seed)


def _blueprint(
    settings: Settings, name: str, kind: str, inputs: tuple[Input, ...], *, weight: float = 1.0
) -> Blueprint:
    """Return one component to be, with its expected cost."""
    steps = {"backbone": settings.backbone_steps, "compartment": settings.compartment_steps}.get(kind, 0)
    return Blueprint(
        name=name,
        kind=kind,
        inputs=inputs,
        parameters=recorded(settings, DETERMINING[kind]),
        weight=weight,
        steps=steps,
        examples=steps * settings.batch,
    )


METHOD = CompartmentalDiffusion()
"""What the entry point ``compartmental_diffusion`` loads."""

"""Tangent model composition: one tangent vector per shard at one pre-trained point; they add, and leave, exactly.

Liu, Soatto, "Tangent Model Composition for Ensembling and Continual Fine-tuning", ICCV 2023, arXiv:2307.08114.

    (1)  f_lin(x; d) = f(x; w0) + J_w f(x; w0) d           first-order Taylor model at the backbone w0
    (2)  d_t = argmin over d, from zero, of  mean (f_lin(x; d) - k e_y)^2 + r |d|  on shard t alone
    (3)  d = (1/T) sum_t d_t   =>   f_lin(x; d) = (1/T) sum_t f_lin(x; d_t)
    (4)  forget t: d = (1/(T-1)) sum over kept s of d_s    recomposed, never (T d - d_t)/(T - 1)

Components: ``backbone`` (w0: a small residual net, trained on the core by cross-entropy, its head re-fitted there by
ridge regression in the units of the loss (2); one head start for all) and one ``tangent`` per removable shard. The
Jacobian-vector product is computed by our own layer rules (:mod:`.rules`). Batch norm's statistics and the first stage
are frozen. Removal of a shard takes its vector out of the sum; removal of items within one trains that vector again.

Without any removable shard left, the backbone alone answers.

>>> METHOD.name, [f"{o.kind}: {o.remedy.value}, {o.guarantee.label}" for o in METHOD.offers]
('tangent_composition', ['tangent: subtract, exact', 'tangent: retrain, exact', 'backbone: retrain, exact'])

What it does not guarantee is in :attr:`TangentComposition.promises_not`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from disgorge.errors import BadModel
from disgorge.method import (
    NO_CHECKPOINTS,
    Blueprint,
    Checkpoints,
    Items,
    Method,
    Model,
    ModelSpec,
    Offer,
    Part,
    Progress,
    Toy,
    no_progress,
)
from disgorge.methods.shared.parts import exact, existing_shards, part_on, parts_by_kind
from disgorge.methods.shared.settings import read_settings, recorded, restored
from disgorge.methods.tangent_composition import settings
from disgorge.methods.tangent_composition.settings import Settings
from lineage.records import Json, Shard
from policies.taxonomy import Remedy

if TYPE_CHECKING:
    from disgorge.method import Tensors

BACKBONE = "backbone"
TANGENT = "tangent"


class TangentComposition:
    """The method. See the module's docstring."""

    name = "tangent_composition"
    version = "2"
    libraries: tuple[str, ...] = ("numpy", "torch")
    citation = (
        "Liu, Soatto. Tangent Model Composition for Ensembling and Continual Fine-tuning. ICCV 2023, arXiv:2307.08114."
    )
    promises_not: tuple[str, ...] = (
        "The backbone is trained on the core and keeps what it learned there; removing core data retrains everything.",
        "Removing a shard is exact because the remaining vectors are added up anew; a copy of the old sum kept "
        "elsewhere still holds the shard.",
        "Hyper-parameters are read from the model file; if they were chosen by looking at a shard, that choice stays.",
        "Accuracy may fall: with fewer vectors each remaining one weighs more, and a class only the removed shard "
        "brought is lost.",
    )
    offers: tuple[Offer, ...] = (
        exact(
            TANGENT,
            Remedy.SUBTRACT,
            "The shard's vector leaves the sum, which is recomposed from the kept vectors; it rests on each vector "
            "having been trained on its own shard alone.",
        ),
        exact(
            TANGENT,
            Remedy.RETRAIN,
            "The vector is trained again from zero on what is left of its shard; it rests on deterministic training.",
        ),
        exact(
            BACKBONE,
            Remedy.RETRAIN,
            "The backbone and, because they start at it, all vectors are trained again.",
        ),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return the backbone and a tangent for each removable shard that has items; nothing without a core."""
        given = read_settings(Settings, spec.parameters, seed=spec.seed)
        core, removable = existing_shards(spec, shards, ("image", "label"))
        if not core:
            return ()
        backbone = part_on(
            core, BACKBONE, recorded(given, settings.BACKBONE), epochs=given.core_epochs, batch=given.batch
        )
        learned = recorded(given, settings.TANGENT)
        tangents = [
            part_on(
                [shard], TANGENT, learned, of=shard.name, starts_at=BACKBONE, weight=1 / len(removable),
                epochs=given.epochs, batch=given.batch,
            )
            for shard in removable
        ]  # fmt: skip
        return (backbone, *tangents)

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
        """Return a backbone's weights and statistics, or a tangent's vector by name of weight."""
        from disgorge.methods.tangent_composition.train import fit_backbone, fit_tangent

        if kind == BACKBONE:
            return fit_backbone(restored(Settings, parameters), items, progress, checkpoints)
        if kind == TANGENT:
            return fit_tangent(restored(Settings, parameters), items[0], parts[0], progress, checkpoints)
        raise BadModel(f"tangent_composition makes no {kind!r}; it makes {BACKBONE!r} and {TANGENT!r}")

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """Return the classifier these parts make, each tangent weighing the same."""
        from disgorge.methods.tangent_composition.answer import TangentClassifier

        given = read_settings(Settings, spec.parameters, seed=spec.seed)
        found = parts_by_kind(spec, parts, one=(BACKBONE,), any_number=(TANGENT,))
        return TangentClassifier(given, found[BACKBONE][0].tensors, [part.tensors for part in found[TANGENT]])

    def toy(self, seed: int) -> Toy:
        """Return a model of three classes of 6x6 images: a core and five shards of 12 to 20 items."""
        from disgorge.methods.shared.toy import classifier_toy

        return classifier_toy(self.name, seed, release="toy-tangent")


METHOD: Method = TangentComposition()

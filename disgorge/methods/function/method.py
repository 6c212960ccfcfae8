"""A method made of a user's own functions: one that trains, one that answers, laid out over shards like any other.

The model file names the functions, and which shards reach which component (:mod:`.layout`); so the layout needs none
of the user's code. That is stored by digest, stands in every recipe, and runs in confined jobs alone. It sees the
columns that the file names, and of ``label`` nothing where it answers.

>>> METHOD.name, sorted({f"{o.kind}: {o.remedy.value}" for o in METHOD.offers})
('function', ['classes: retrain', 'fitted: drop', 'fitted: retrain', 'recorded: drop'])
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.errors import BadModel
from disgorge.method import (
    NO_CHECKPOINTS,
    RECORDED,
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
from disgorge.methods.function.composed import FITTED
from disgorge.methods.function.layout import CLASSES, blueprints
from disgorge.methods.function.settings import read_settings
from disgorge.methods.shared.parts import exact
from lineage.records import Json, Shard
from policies.taxonomy import Remedy

if TYPE_CHECKING:
    from disgorge.method import Tensors


class FunctionMethod:
    """The method. See the module's docstring."""

    name = "function"
    version = "1"
    libraries: tuple[str, ...] = ("numpy",)
    citation = "The user's own functions, named in the model file."
    promises_not: tuple[str, ...] = (
        "What the user's code holds is no data here: constants in it stay, whatever they were taken from.",
        "Parameters and code that a person chose by looking at data stay as they were chosen.",
        "What was pre-trained before it came, and core data, keep what they learned.",
        "Accuracy may fall: a class that only removed data brought is lost.",
    )
    offers: tuple[Offer, ...] = (
        exact(
            FITTED,
            Remedy.DROP,
            "The component's own shard is gone and the component with it; those that also read the shard are trained "
            "again.",
        ),
        exact(
            FITTED,
            Remedy.RETRAIN,
            "The user's function runs again, as it was stored, on what is retained; it rests on confinement, and on "
            "training that repeats.",
        ),
        exact(
            RECORDED,
            Remedy.DROP,
            "The component was recorded without a recipe and cannot be trained again, so what it learned from other "
            "items goes with it.",
        ),
        exact(CLASSES, Remedy.RETRAIN, "The classes are read anew from the retained labels."),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return the components of the file's layout; runs no code of the user's."""
        return tuple(blueprints(spec, read_settings(spec.parameters), shards))

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple["Tensors", ...],
        *,
        progress: Progress = no_progress,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
        artifacts: Sequence[Path] = (),
    ) -> "Tensors":
        """Return what the user's function makes, or the classes that labels name."""
        from disgorge.methods.function.train import find_classes, fit

        if kind == CLASSES:
            return find_classes(parameters, items)
        if kind == FITTED:
            return fit(parameters, items, parts, progress, checkpoints, artifacts)
        raise BadModel(f"function makes no {kind!r}; it makes {FITTED!r} and {CLASSES!r}")

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...], *, artifacts: Sequence[Path] = ()) -> Model:
        """Return the model that answers by the user's functions."""
        from disgorge.methods.function.assemble import model_of

        return model_of(spec, parts, artifacts)

    def importable(self, functions: Mapping[str, str]) -> dict[str, str]:
        """Return what is the matter with the user's functions, by key; imports their modules."""
        from disgorge.methods.function.call import problem_with

        return {key: problem_with(key, name) for key, name in functions.items()}

    def toy(self, seed: int) -> Toy:
        """Return nearest centroids of three classes of 6x6 images: a core and five shards of 12 to 20 items."""
        from disgorge.methods.function.toy import toy_of

        return toy_of(seed)


METHOD: Method = FunctionMethod()

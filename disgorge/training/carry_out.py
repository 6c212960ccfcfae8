"""Carries a recipe out: the one way a component comes to be.

First training, retraining, probes' references and never-trained re-execution all go through :func:`carry_out`, so that
"same recipe, same digest" is tested by every run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from disgorge.declaration import written
from disgorge.errors import ExecutionFailed
from disgorge.method import (
    NO_CHECKPOINTS,
    CallsFunctions,
    Checkpoints,
    Items,
    Method,
    Progress,
    as_resumable,
    no_progress,
)
from disgorge.training.answer import answer, lay_out
from disgorge.training.assemble import artifacts_for
from disgorge.training.recipe import Inputs
from disgorge.training.torch_settings import torch_set
from lineage.records import Json, canonical
from lineage.storage.tensors import save_tensors


def carry_out(
    inputs: Inputs,
    recipe: Mapping[str, Json],
    *,
    method: Method,
    given: Sequence[Items] = (),
    device: str = "cpu",
    progress: Progress = no_progress,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> bytes | Path:
    """Return the safetensors bytes a recipe determines, trained here and now from what it names by digest.

    Of a component that is a folder it is the path of that, below the working directory.

    ``method`` is the one that the recipe names; one that can go on from a checkpoint is given ``checkpoints``. Raises
    what reading raises and :class:`ExecutionFailed` where another method, or another version of it, is installed.
    Questions, about the items ``given`` (:mod:`disgorge.training.answer`) or about the method itself, are carried out
    alike: the result is the answer, computed on ``device``. A recipe names its own.
    """
    if "declares" in recipe:
        return written(method)
    if "imports" in recipe:
        return canonical(cast(CallsFunctions, method).importable(recipe["imports"]))
    if "question" in recipe:
        return answer(inputs, recipe["question"], given, method=method, device=device)
    if "layout" in recipe:
        return lay_out(recipe["layout"], method=method)
    if method.name != recipe["method"]:
        raise ExecutionFailed(f"the recipe is for method {recipe['method']}, and its code makes {method.name}")
    if method.version != recipe["version"]:
        raise ExecutionFailed(
            f"recipe wants {method.name} {recipe['version']}, installed is {method.version}; install that version"
        )
    items = tuple(inputs.items(use["digest"]) for use in recipe["uses"] if use["of"] == "shard")
    parts = tuple(inputs.tensors(use["digest"]) for use in recipe["uses"] if use["of"] == "component")
    folders = tuple(inputs.artifact(use["digest"]) for use in recipe["uses"] if use["of"] == "artifact")
    more = artifacts_for(method.train, folders, of=f"{method.name}.train")
    deterministic = recipe.get("deterministic", True)
    with torch_set(threads=recipe["threads"], device=recipe.get("device", "cpu"), deterministic=deterministic):
        asked, resumable = (recipe["kind"], recipe["parameters"], items, parts), as_resumable(method)
        if resumable is None:
            made = method.train(*asked, progress=progress, **more)
        else:
            made = resumable.train(*asked, progress=progress, checkpoints=checkpoints, **more)
        return _own_folder(made) if isinstance(made, Path) else save_tensors(made)


def _own_folder(folder: Path) -> Path:
    """Return a folder below the working directory; :class:`ExecutionFailed` for another one, which is no output."""
    here, found = Path.cwd().resolve(), folder.resolve()
    if here not in found.parents:
        raise ExecutionFailed(f"train returned {folder}, and a component's folder lies below the working directory")
    return folder

"""Carries a recipe out: the one way a component comes to be.

First training, retraining, probes' references and never-trained re-execution all go through :func:`carry_out`, so that
"same recipe, same digest" is tested by every run.
"""

from collections.abc import Mapping, Sequence

from disgorge.declaration import written
from disgorge.errors import ExecutionFailed
from disgorge.method import Items, Method, Progress, no_progress
from disgorge.training.answer import answer, lay_out
from disgorge.training.inputs import Inputs
from disgorge.training.items import threads
from lineage.records import Json
from lineage.storage.objects import save_tensors


def carry_out(
    inputs: Inputs,
    recipe: Mapping[str, Json],
    *,
    method: Method,
    given: Sequence[Items] = (),
    progress: Progress = no_progress,
) -> bytes:
    """Return the safetensors bytes a recipe determines, trained here and now from what it names by digest.

    ``method`` is the one that the recipe names. Raises what reading raises and :class:`ExecutionFailed` where another
    version of the method is installed. Questions, about the items ``given`` (:mod:`disgorge.training.answer`) or about
    the method itself, are carried out alike: the result is the answer.
    """
    if "declares" in recipe:
        return written(method)
    if "question" in recipe:
        return answer(inputs, recipe["question"], given, method=method)
    if "layout" in recipe:
        return lay_out(recipe["layout"], method=method)
    if method.version != recipe["version"]:
        raise ExecutionFailed(
            f"recipe wants {method.name} {recipe['version']}, installed is {method.version}; install that version"
        )
    items = tuple(inputs.items(use["digest"]) for use in recipe["uses"] if use["of"] == "shard")
    parts = tuple(inputs.tensors(use["digest"]) for use in recipe["uses"] if use["of"] == "component")
    with threads(recipe["threads"]):
        tensors = method.train(recipe["kind"], recipe["parameters"], items, parts, progress=progress)
    return save_tensors(tensors)

"""The recipe of a component whose training a function of the user's repeats, for what is recorded by hand.

::

    from disgorge.api.training import function

    with recording(workspace, name="mine", uses=[("alice", "train")], recipe=function("mine:fit")) as component:
        component.save(fit(...))

It is the very recipe that a model file with ``layout: joint`` has over the same shards, so that `disgorge attest
--component mine` trains the component again, confined, and a removal can. Nothing shows that what was saved came of it
before that.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from disgorge.layout import layout_of
from disgorge.method import ModelSpec, recipe_for
from disgorge.training.code.kept import keep_code
from disgorge.training.code.local import require_functions
from disgorge.training.make import uses_of
from disgorge.training.model_file import FUNCTION, model_spec
from disgorge.training.runners.declared import method_of_model
from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput
from lineage.records import Json, Role, Use
from lineage.workspace import Workspace

Recipe = Callable[[Workspace, tuple[Use, ...]], dict[str, Json]]
"""Returns the recipe of a component by what it uses."""


def function(
    train: str,
    *,
    columns: Mapping[str, Json] | None = None,
    classes: Sequence[str | int] | None = None,
    parameters: Mapping[str, Json] | None = None,
    artifacts: Mapping[str, str] | None = None,
    code: Sequence[str] = (),
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    deterministic: bool = True,
    folder: Path | str | None = None,
) -> Recipe:
    """Return the recipe by which a function, ``module:function``, trains a component; the rest is as in a model file.

    ``artifacts`` maps names in the code to recorded ones, each its own by default. The module is searched for in
    ``folder`` and the working folder. What the recipe raises is a :class:`~disgorge.errors.BadModel` for a function
    that is not there, and a :class:`~lineage.errors.BadInput` for uses that no function is given.
    """
    keys: dict[str, Json] = {
        "columns": columns and dict(columns), "classes": classes and list(classes), "code": list(code) or None,
    }  # fmt: skip
    file: dict[str, Json] = {
        "release": "recorded", "method": FUNCTION, "train": train, "seed": seed, "threads": threads, "device": device,
        "predict": train,  # a model file names one, and no recipe has it
        "deterministic": deterministic, "parameters": dict(parameters or {}),
    }  # fmt: skip
    file |= {name: value for name, value in keys.items() if value is not None}

    def recipe(workspace: Workspace, uses: tuple[Use, ...]) -> dict[str, Json]:
        with Catalog.of(workspace) as catalog:
            shards = {shard.name: shard for shard in catalog.shards()}
            digests = {("shard", name): shard.digest for name, shard in shards.items()}
            digests |= {("artifact", each.name): each.digest for each in catalog.artifacts()}
        names = {(kind, digest): name for (kind, name), digest in digests.items()}

        def used(kind: str, role: Role) -> list[str]:
            found = (names.get((kind, use.digest)) for use in uses if use.role is role)
            return [name for name in found if name is not None]

        given = dict(artifacts or {name: name for name in used("artifact", Role.INITIALIZE)})
        learned = {"shards": used("shard", Role.TRAIN), "select": used("shard", Role.SELECT), "artifacts": given}
        spec: ModelSpec = model_spec(file | learned, name=f"recipe {train}")
        method = method_of_model(spec, folder=None if folder is None else Path(folder))
        require_functions(method.code, [train])
        (blueprint,) = layout_of(method, spec, shards)
        made: dict[str, Json] = recipe_for(method, blueprint, digests, spec)
        if strange := {*uses} ^ {*uses_of(made)}:
            with Catalog.of(workspace) as catalog:
                called = {each.digest: each.name for each in catalog.components(live=False)}
            called |= {digest: name for (_, digest), name in names.items()}
            listed = ", ".join(sorted(f"{called.get(each.digest, each.digest[:12])} ({each.role})" for each in strange))
            raise BadInput(
                f"recipe {train}: a function is given live shards in the roles train and select, and artifacts in the "
                f"role initialize, not {listed}; write a model file, and give it with `disgorge attest --recipe`"
            )
        return made | dict(keep_code(workspace, method.code))

    return recipe

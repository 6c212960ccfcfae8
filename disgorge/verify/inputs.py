"""Inputs of re-execution: checks recipes, and puts retained data, weights, code and artifacts where workers read them.

From the bundle where they are attached, else from a workspace. Every item is checked against its digest and every shard
against its own before anything is trained, so that no unrecorded data can slip in.
"""

from pathlib import Path

from disgorge.errors import BadModel, BundleBroken, InputsMissing, UnknownMethod
from disgorge.statement.records import AGAIN, RecipeNote, RetainedShard
from disgorge.training.runners.declared import declared, declared_methods
from disgorge.training.sandbox.levels import Level, reached
from disgorge.verify.bundle import Bundle
from lineage.artifacts.files import located, recorded_artifact
from lineage.errors import DigestMismatch, LineageError, TooLarge, UnknownRecord
from lineage.ledger.fact_kinds import ArtifactFact
from lineage.records import Artifact
from lineage.shards.files import shard_items
from lineage.storage.components import copy_component, is_there
from lineage.storage.objects import is_digest
from lineage.storage.size_limits import LIMIT
from lineage.storage.tree import kept_tree, listed
from lineage.workspace import Workspace

_RECIPE = {"method", "version", "kind", "parameters", "uses", "threads", "deterministic"}
_ONCE_TOO = {"device", "libraries", "code", "entry"}
"""Fields that only recipes of now, only older ones, or only those of local code have."""


def check_recipes(recipes: tuple[RecipeNote, ...]) -> None:
    """Refuse recipes that were not recorded whole, or whose method is not installed in their version.

    A method of local code need not be installed: its code is an input, and says its version when it is run.
    """
    foreign = sorted(note.name for note in recipes if set(note.recipe) - _ONCE_TOO != _RECIPE)
    if foreign:
        raise InputsMissing(
            f"{', '.join(foreign)}: no recipe was recorded that can be carried out again, so the removal can be "
            "verified at level ledger only; ask how these were trained"
        )
    for note in recipes:
        if note.recipe["kind"] != note.kind or not isinstance(note.environment.get("libraries", {}), dict):
            raise BundleBroken(f"recipes.json: the recipe of {note.name} makes something else; {AGAIN}")
        code, entry = note.recipe.get("code"), note.recipe.get("entry")
        if (code, entry) != (None, None) and not (is_digest(str(code)) and isinstance(entry, str)):
            raise BundleBroken(f"recipes.json: the recipe of {note.name} does not name its code; {AGAIN}")
    installed_ones = [note.recipe for note in recipes if "code" not in note.recipe]
    for name, version in sorted({(str(recipe["method"]), str(recipe["version"])) for recipe in installed_ones}):
        try:
            installed = declared(name).version
        except (UnknownMethod, BadModel) as error:
            raise InputsMissing(f"the recipes cannot be carried out here: {error}") from error
        if installed != version:
            raise InputsMissing(f"the recipes want {name} {version}, installed is {installed}; install that version")


def furnish(workspace: Workspace, bundle: Bundle, workspace_folder: Path | None) -> None:
    """Put inputs and weights where workers look for them; the shards' items are checked there, by their digests."""
    source = Workspace.open(workspace_folder) if workspace_folder is not None else None
    missing = []
    for shard in bundle.records.inputs:
        data = bundle.inputs.get(shard.digest)
        if data is None and source is not None and source.content_path(shard.digest).is_file():
            data = source.content_path(shard.digest).read_bytes()
        if data is None:
            in_dvc = f", in DVC as {shard.dvc}" if shard.dvc else ""
            missing.append(f"{shard.name} ({shard.count:,} items, shards/{shard.digest}.parquet{in_dvc})")
            continue
        path = workspace.content_path(shard.digest)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        _check_items(workspace, shard, signed=shard.digest in bundle.inputs)
    missing += _furnish_artifacts(workspace, bundle, source)
    if missing:
        raise InputsMissing(
            f"the retained data to train from is not in the bundle: {'; '.join(missing)}; ask for a bundle written "
            "with `disgorge request report REQUEST --with-inputs`, or give the workspace that has it with --workspace "
            "(after `dvc pull` where DVC has it)"
        )
    _furnish_code(workspace, bundle, source)
    for note in bundle.records.recipes:
        if note.component not in bundle.weights and source is not None and is_there(source.objects, note.component):
            copy_component(source.objects, note.component, workspace.objects)
    for data in bundle.weights.values():
        workspace.objects.put(data)


def _furnish_code(workspace: Workspace, bundle: Bundle, source: Workspace | None) -> None:
    """Store the local code that recipes name: from a workspace, or what lies here, where it has that digest, or theirs.

    Code that comes with a report is run where a job is confined, and nowhere else.
    """
    recipes = [note.recipe for note in bundle.records.recipes if "code" in note.recipe]
    for digest, method in sorted({recipe["code"]: str(recipe["method"]) for recipe in recipes}.items()):
        if source is not None and source.objects.exists(digest):
            kept_tree(source.objects, digest).keep(workspace.objects)
            continue
        here = declared_methods().get(method)
        if here is not None and here.code is not None and here.code.tree.digest == digest:
            here.code.tree.keep(workspace.objects)
        elif digest not in bundle.code:
            raise InputsMissing(
                f"the recipes want the local code of {method} with the digest {digest[:12]}, and neither the bundle "
                "nor this machine has it; ask for a bundle written with `disgorge request report REQUEST "
                "--with-inputs`, or give the workspace that has it with --workspace"
            )
        elif (confinement := reached()).level is Level.PROCESS:
            raise InputsMissing(
                f"the local code of {method} came with the report, and jobs are not confined here ({confinement.why}): "
                "it was not run; verify on a machine that confines them (`disgorge doctor`)"
            )
    for data in bundle.code.values():
        workspace.objects.put(data)


def _furnish_artifacts(workspace: Workspace, bundle: Bundle, source: Workspace | None) -> list[str]:
    """Store and record the artifacts that recipes name, from the bundle or a workspace; return in words what lacks."""
    for data in bundle.artifacts.values():
        workspace.objects.put(data)
    names = {digest: name for note in bundle.records.recipes for digest, name in note.artifacts.items()}
    missing = []
    for digest in sorted({digest for note in bundle.records.recipes for digest in note.uses("artifact")}):
        name = names.get(digest, digest[:12])
        if digest not in bundle.artifacts:
            if source is None or not _taken_over(workspace, source, digest):
                missing.append(f"artifact {name} ({digest[:12]})")
                continue
        files = listed(workspace.objects, digest)
        size = sum(file.size for file in files)
        workspace.ledger.record(ArtifactFact(Artifact(digest, f"artifact-{digest}", "", "", "", len(files), size)))
    return missing


def _taken_over(workspace: Workspace, source: Workspace, digest: str) -> bool:
    """Whether a workspace has an artifact; its files are stored in the other one then, each checked."""
    try:
        artifact = recorded_artifact(source, digest)
        for file, path in located(source, artifact):
            workspace.objects.put_file(path, expected=file.sha256)
        workspace.objects.put(source.objects.get(digest))
    except UnknownRecord:
        return False
    return True


def _check_items(workspace: Workspace, shard: RetainedShard, *, signed: bool) -> None:
    """Check every item of a shard against its digest, and the shard against its own."""
    try:
        digests, _ = shard_items(workspace, shard.digest, verify=True, limit=LIMIT if signed else None)
    except TooLarge as error:
        raise BundleBroken(
            f"inputs/{shard.digest}.parquet: unpacks to more than a shard may hold, {LIMIT >> 30} GiB (a bomb?); do "
            f"not read it, {AGAIN}"
        ) from error
    except LineageError as error:
        words = f"the retained data of {shard.name} is not what its digest says"
        if signed:
            raise BundleBroken(f"inputs/{shard.digest}.parquet: {words}; {AGAIN}") from error
        raise DigestMismatch(
            f"{words}: shards/{shard.digest}.parquet was changed in the workspace; restore it"
        ) from error
    if len(digests) != shard.count:
        raise BundleBroken(f"inputs.json: {shard.name} has {len(digests)} items, not {shard.count}; {AGAIN}")

"""What methods declare, and how they lay models out: others' code is asked, in confined processes, and never runs here.

The methods that this program ships are its own code, and are loaded. Of every other entry point of group
``disgorge.methods`` one process loads the code, once a version, and says what the method declares; that is kept for
this user beside the views of installed packages. A version is the tree of its local code, or the RECORDs of the
distributions that bring its module. A layout is a function of its question, so each is asked once a command, of a
process of its own. Planning, judging and reporting a removal ask the code that its parts were made with.

A method that cannot be asked, or says nonsense, is told in a line, and only to who needs it: the others go on.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from disgorge.declaration import Declaration, declaration_of, read_declaration
from disgorge.errors import BadModel, DisgorgeError, ExecutionFailed, UnknownMethod
from disgorge.method import Blueprint, ModelSpec, is_own, method_entries, origin_of, own_methods, refuse_second
from disgorge.training.ask import layout_recipe, read_layout
from disgorge.training.code.distributions import distributions_used, require_installed
from disgorge.training.code.kept import code_named, code_of, kept_code
from disgorge.training.code.known import KnownMethod
from disgorge.training.code.local import LocalCode, code_of_functions, libraries_of, local_code
from disgorge.training.model_file import exposed_to, functions_by_key, functions_of
from disgorge.training.recipe import method_of
from disgorge.training.runners.box import Box
from disgorge.training.sandbox.installed import cache_folder, delete_unused
from disgorge.training.sandbox.levels import reached
from lineage.activity import activity
from lineage.errors import LineageError
from lineage.printable import printable
from lineage.records import Composition, Json, Shard, digest_of
from lineage.storage.objects import write_atomically
from lineage.workspace import Workspace

_RULES = 1
"""Counts changes of what a method is asked to declare."""
_SECONDS = 60.0
"""How long a process may take to load a method and answer; torch loads in three."""
_MOST = 64 << 20
"""Bytes that an answer may have: the layout of a hundred thousand parts."""
_Answers = Queue[tuple[dict[str, Any], bytes]]
_said: dict[str, Declaration] = {}
_failed: dict[str, str] = {}
_layouts: dict[str, tuple[Blueprint, ...]] = {}
"""What was said in the life of this process, by version, and by version and question."""


def declared(name: str) -> KnownMethod:
    """Return the installed method of that name, with its code of today.

    Raises :class:`UnknownMethod`, which lists those there are, and :class:`BadModel` where the one that is missing may
    be one that could not be asked, and where two are called alike.
    """
    found, failed = _installed()
    if name in found:
        return found[name]
    words = f"no method {name!r} is registered; there are: {', '.join(found) or 'none'}"
    if failed:
        raise BadModel(f"{words}; {'; '.join(map(str, failed))}")
    raise UnknownMethod(words)


def method_of_model(spec: ModelSpec, *, folder: Path | None = None) -> KnownMethod:
    """Return the installed method of a model; one that calls the user's functions has their code of today.

    ``folder`` is where the model file lies, the working folder by default. Raises as :func:`declared` does, and
    :class:`BadModel` for functions, and exposed packages, that are not there.
    """
    known = declared(spec.method)
    if not (functions := functions_of(spec)):
        return known
    code = code_of_functions(
        known.entry, functions, folder=folder or Path.cwd(), declared=spec.parameters.get("code", ())
    )
    require_installed(exposed := exposed_to(spec.method, spec.parameters))
    return _of_code(known, code, exposed)


def import_problems(known: KnownMethod, spec: ModelSpec) -> dict[str, str]:
    """Return why functions of the user's cannot be called, by the key that names each, "" for one that can.

    A confined process imports them. Raises :class:`ExecutionFailed` where it ends, or does not answer in time.
    """
    if not (functions := functions_by_key(spec)):
        return {}
    recipe: dict[str, Json] = {"imports": functions}
    exposed = exposed_to(spec.method, spec.parameters)
    with activity("importing the code of a model"):
        found = json.loads(_answer(known.entry, known.code, recipe, exposed))
    if not isinstance(found, dict):
        raise ExecutionFailed("what the process that imported the code answered cannot be read")
    return {str(key): printable(str(words)) for key, words in found.items()}


def exposed_by(recipe: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the installed packages whose data files a job may read that carries out a recipe, or answers a question.

    Laying out runs no code of the user's, and is shown none.
    """
    if "layout" in recipe:
        return ()
    question = recipe.get("question")
    said = recipe if question is None else question["composition"]["spec"]
    return exposed_to(method_of(recipe), said.get("parameters", {}))


def _of_code(known: KnownMethod, code: LocalCode | None, exposed: Iterable[str]) -> KnownMethod:
    """Return a method of ours with code beside it, and with the libraries that this loads and the packages it reads."""
    loads = libraries_of(code) if code else ()
    libraries = tuple(dict.fromkeys((*known.libraries, *loads, *exposed)))
    return replace(known, entry=code.entry if code else known.entry, code=code, libraries=libraries)


def declared_methods() -> dict[str, KnownMethod]:
    """Return every installed method that can be asked, by name."""
    return _installed()[0]


def maker_of(workspace: Workspace, composition: Composition, *, code: Mapping[str, str] | None = None) -> KnownMethod:
    """Return the method that made a composition, by the code that its parts were made with; raises as others here.

    ``code`` is what recipes say of other stored code to go by.
    """
    exposed = exposed_to(composition.method, composition.spec.get("parameters", {}))
    known = _with_code(workspace, composition.method, code or code_of(workspace, composition), exposed)
    if exposed:
        words = (
            f"Data files of the installed {', '.join(exposed)} could be read, as the model file says: whether they "
            "hold copies of withdrawn data is not known, and what was learned from them stays."
        )
        known = replace(known, promises_not=(*known.promises_not, words))
    return known


def method_for(workspace: Workspace, recipe: Mapping[str, Json]) -> KnownMethod:
    """Return the method that carries a recipe or a question out, by the code that it names, or else that of today."""
    return _with_code(workspace, method_of(recipe), code_named(workspace, recipe), exposed_by(recipe))


def _with_code(workspace: Workspace, name: str, said: Mapping[str, str], exposed: Iterable[str]) -> KnownMethod:
    code = kept_code(workspace, said)
    if name in own_methods() and (code is not None or exposed):
        return _of_code(_own(name), code, exposed)
    if code is None:
        return declared(name)
    known = _known(code.entry, code)
    if known.name != name:
        raise ExecutionFailed(
            f"the stored code {code.tree.digest[:12]} ({code.entry}) is that of {known.name!r}, not of {name!r}; "
            "restore the workspace from a backup"
        )
    return known


def _installed() -> tuple[dict[str, KnownMethod], list[DisgorgeError | LineageError]]:
    """Return every method that could be asked, by name, and why others could not."""
    found = {name: _own(name) for name in own_methods()}
    origins = {name: f"disgorge ({known.entry})" for name, known in found.items()}
    loaded = {known.entry for known in found.values()}
    failed: list[DisgorgeError | LineageError] = []
    for entry in method_entries():
        if is_own(entry) or entry.value in loaded:
            continue
        try:
            known = _known(entry.value, local_code(entry.value))
        except (DisgorgeError, LineageError) as error:
            failed.append(error)
            continue
        refuse_second(known.name, origins, origin_of(entry))
        found[known.name] = known
    return found, failed


def _own(name: str) -> KnownMethod:
    method, entry = own_methods()[name]
    return KnownMethod.of(declaration_of(method), entry=entry, code=local_code(entry), layouts=method.layout)


def _known(entry: str, code: LocalCode | None) -> KnownMethod:
    """Return what an entry point names, asked of a process unless this version was asked before."""
    brought = distributions_used([], [entry.partition(":")[0]]) if code is None else {}
    version = digest_of([_RULES, entry, code.tree.digest if code else brought])
    if version in _failed:
        raise BadModel(_failed[version])
    if version not in _said:
        is_kept = code is not None or bool(brought)  # of what no distribution lists, no version can be told
        kept = _read(version) if is_kept else None
        _said[version] = kept or _ask(entry, code, version, is_kept=is_kept)
    return KnownMethod.of(_said[version], entry=entry, code=code, layouts=partial(_lay_out, entry, code, version))


def _ask(entry: str, code: LocalCode | None, version: str, *, is_kept: bool) -> Declaration:
    """Return what a process says that loads a method, and keep that; :class:`BadModel` names the entry point."""
    try:
        with activity(f"asking {entry} what it declares"):
            data = _answer(entry, code, {"declares": entry})
        found = read_declaration(data)
    except (BadModel, ExecutionFailed) as error:
        _failed[version] = printable(f"method {entry} cannot be used: {error}; mend it, or uninstall what brings it")
        raise BadModel(_failed[version]) from error
    if is_kept:
        _keep(version, data)
    return found


def _lay_out(
    entry: str, code: LocalCode | None, version: str, spec: ModelSpec, shards: Mapping[str, Shard]
) -> tuple[Blueprint, ...]:
    """Return the layout that a process makes which is told the records of the shards that a model names."""
    recipe = layout_recipe(spec, shards)
    question = digest_of([version, recipe])
    if question not in _layouts:
        with activity(f"asking {entry} for the layout of {spec.release}"):
            try:
                _layouts[question] = read_layout(spec.release, _answer(entry, code, recipe))
            except ExecutionFailed as error:
                raise ExecutionFailed(f"method {entry} did not lay {spec.release} out: {error}") from error
    return _layouts[question]


def _answer(entry: str, code: LocalCode | None, recipe: dict[str, Json], exposed: Collection[str] = ()) -> bytes:
    """Return what a process answers that loads a method and is given no data.

    Raises :class:`BadModel` for what the method itself refuses, :class:`ExecutionFailed` for a process that fails, ends
    or does not answer in time.
    """
    box, answers = Box(None, reached(), variables={}, imports=(), exposed=tuple(exposed)), _Answers()
    try:
        box.stage.furnish(recipe, code.tree if code else None)
        Thread(target=_listen, args=(box, entry, recipe, answers), daemon=True).start()
        try:
            message, data = answers.get(timeout=_SECONDS)
        except Empty:
            raise ExecutionFailed(f"it did not answer within {_SECONDS:.0f} seconds{box.last_words()}") from None
        if "result" in message:
            box.note_modules(message.get("uncompiled"))
            return data
        if "error" in message and not message.get("machine"):
            raise BadModel(printable(str(message["error"])))
        said = printable(str(message.get("error", "its process ended without an answer")))
        raise ExecutionFailed(f"{said}{box.last_words()}")
    finally:
        box.close()


def _listen(box: Box, entry: str, recipe: Mapping[str, Json], answers: _Answers) -> None:
    """Give a process its order, and pass its answer on; an empty one if it ends without."""
    box.order({"recipe": dict(recipe), "method": entry, "libraries": [], "variables": {}})
    for message, data in box.frames(_MOST):
        if "error" in message or "result" in message:
            answers.put((message, data))
            return
    answers.put(({}, b""))


def _folder() -> Path:
    folder = cache_folder() / "methods"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _read(version: str) -> Declaration | None:
    """Return what was kept of a version, None where nothing was, or nothing that can be read."""
    with suppress(OSError, BadModel):
        return read_declaration((_folder() / f"{version}.json").read_bytes())
    return None


def _keep(version: str, data: bytes) -> None:
    """Keep what a version declares, whole or not at all; without room for it, it is asked again."""
    with suppress(OSError, LineageError):
        write_atomically(_folder() / f"{version}.json", data)
        delete_unused(_folder())

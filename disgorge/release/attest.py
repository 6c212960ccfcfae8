"""Runs recorded components again, confined, and attests the runs, for ``disgorge attest``.

What is run is the recorded recipe, inputs before what reads them, and each run is recorded as soon as it is done. A run
never takes the place of what is recorded: where it reached other bytes, that is said, and these bytes are deleted. No
part of a release that is contained, or that a hold wants out of service, is run.

All of it holds the workspace's lock, as training does.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from disgorge.attestation.record import attest_done
from disgorge.attestation.standing import RECORD, Attested, Refusal, Standing, standings
from disgorge.errors import DisgorgeError, ReleaseContained, UnknownMethod
from disgorge.examination.attested_parts import proof_of
from disgorge.release.serving import Wanted
from disgorge.release.train import contained
from disgorge.request.holds.out_of_service import stopped_words
from disgorge.training.environment import UNREPEATED, differences
from disgorge.training.kernels import is_unusable, setting_of
from disgorge.training.make import recordings
from disgorge.training.recipe import Done, Job, Runner
from disgorge.training.runners.declared import method_for
from disgorge.workspace_lock import turn
from lineage.artifacts.files import problem_with
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, in_order, members_of
from lineage.errors import LineageError
from lineage.ledger.fact_kinds import ComponentFact, FactBody
from lineage.ledger.state import influences_of, reachable
from lineage.records import Component, Composition, Release
from lineage.shown import short
from lineage.storage.components import delete_component
from lineage.storage.differences import first_difference
from lineage.workspace import Workspace
from policies.taxonomy import Confinement

NEEDED = {"method", "version", "kind", "parameters", "uses", "threads"}
"""What a recipe names that can be carried out."""
Key = tuple[str, str]
"""The digests of a component and of its recipe."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a component was not run, or what its run showed.

    ``elsewhere`` says in words how the environment here differs from the recorded one, which leaves open what other
    bytes mean. One that is ``expected`` is no failure. ``differs`` names the first tensor or file that came out
    otherwise.
    """

    words: str
    elsewhere: tuple[str, ...] = ()
    expected: bool = False
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A component, how often it was run now, and what shows where its bytes came from."""

    component: Component
    runs: int
    standing: Standing
    problem: Problem | None = None
    repeats: bool = False
    """Whether two runs of it made its bytes, whatever is known of what it reads; told where it was run once more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every component that was looked at, inputs first, and why releases were left out.

    ``beside`` is what was recorded beside a component whose recipe made other bytes.
    """

    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()
    beside: Component | None = None


def attest_releases(
    workspace: Workspace, runner: Runner, release: str | None = None, *, level: Confinement, again: bool = False
) -> Outcome:
    """Run what has no attestation that holds, or was confined less than ``level``, of live releases or of one.

    With ``again`` run as well what no second run made again. Raises :class:`ReleaseContained` for a release that is
    named and out of service, and what training raises.
    """
    with turn(workspace, then="run `disgorge attest` again"):
        compositions, left_out = _in_service(workspace, release)
        runs = Runs(workspace, runner, _components(workspace, compositions))
        runs.run_missing(level)
        if again:
            runs.run_again()
        return Outcome(runs.parts(), left_out)


def attest_again(workspace: Workspace, runner: Runner, component: Component, *, level: Confinement) -> Part:
    """Run a component that was trained once more, without checkpoints, and say what came of it.

    What two runs made already is not run. Raises what training raises.
    """
    with turn(workspace, then="run `disgorge attest --again`"):
        runs = Runs(workspace, runner, {key_of(component): component})
        runs.run_missing(level)
        runs.run_again()
        (part,) = runs.parts()
        own = proof_of(Attested.of(workspace), component)
        return replace(part, repeats=part.problem is None and own is not None and own.reproducible)


@dataclass(slots=True)
class Runs:
    """Runs components and notes what came of each.

    With ``alone`` what a run makes is recorded as a component, beside the recorded one where it has other bytes.
    """

    workspace: Workspace
    runner: Runner
    components: Mapping[Key, Component]
    alone: bool = False
    beside: Component | None = None
    ran: dict[Key, int] = field(default_factory=dict)
    problems: dict[Key, Problem] = field(default_factory=dict)

    def run_missing(self, level: Confinement) -> None:
        """Run each component whose bytes no attestation shows at this level or a closer one."""
        attested = Attested.of(self.workspace)
        self._run(each for each in self.components.values() if not _is_shown(attested, each, level))

    def run_again(self) -> None:
        """Run each component that is attested and that no second run, without checkpoints, has made again."""
        attested = Attested.of(self.workspace)
        self._run(each for each in self.components.values() if _is_shown(attested, each) is False)

    def parts(self) -> tuple[Part, ...]:
        """Return every component with what shows it by now."""
        attested = Attested.of(self.workspace)
        found = standings(attested, self.components.values(), accepts=None)
        for key in self.ran.keys() - self.problems.keys():
            try:
                attested.proof(self.components[key])
            except Refusal as refusal:
                self.problems[key] = Problem(f"{refusal}, though a run reached its bytes")
        return tuple(
            Part(component, self.ran.get(key, 0), standing, self.problems.get(key))
            for (key, component), standing in zip(self.components.items(), found, strict=True)
        )

    def _run(self, wanted: Iterable[Component]) -> None:
        jobs: list[tuple[Component, Job]] = []
        for component in wanted:
            key = key_of(component)
            if key not in self.problems and (problem := _hindrance(self.workspace, component)) is not None:
                self.problems[key] = problem
            if key not in self.problems:
                setting = setting_of(component.environment) if component.environment else None
                jobs.append((component, Job(component.name, component.recipe, component.cost.steps, setting)))
        there = {*self.workspace.objects.digests(), *(digest for digest, _ in self.components)}
        for done in self.runner.run([job for _, job in jobs]):
            component = next(component for component, job in jobs if job is done.job)
            self._record(component, done, there)

    def _record(self, component: Component, done: Done, there: Collection[str]) -> None:
        """Record a run. Other bytes than the recorded ones are deleted first: a purge spares what a fact names."""
        key = key_of(component)
        made = replace(component, digest=done.digest, environment=done.environment, files=done.files)
        self.ran[key] = self.ran.get(key, 0) + 1
        if done.digest != component.digest:
            problem = differing(self.workspace, component, made)
            if done.digest not in there and not self.alone:
                delete_component(self.workspace.objects, done.digest, keep=there)
            if not self.alone and not component.environment:
                keeps = f"`disgorge attest --component {component.name}` keeps both, and measures them"
                problem = replace(problem, words=f"{problem.words}; {keeps}")
            self.problems[key] = problem
        facts: list[FactBody] = []
        if self.alone:
            name = component.name if done.digest == component.digest else beside(component.name)
            made = replace(made, name=name, cost=replace(component.cost, seconds=done.seconds), locations=("objects",))
            self.beside = made if done.digest != component.digest else None
            facts.append(ComponentFact(made))
        self.workspace.ledger.record(*facts, *attest_done(self.workspace, made, done))


def beside(name: str) -> str:
    """Return the name under which other bytes are recorded that the recipe of a component made."""
    return f"{name}~again"


def differing(workspace: Workspace, component: Component, made: Component) -> Problem:
    """Return what is the matter with a component whose recipe made another one, of other bytes."""
    elsewhere: tuple[str, ...] = ("the environment of its training was not recorded",)
    if component.environment:
        elsewhere = differences(component.environment, made.environment)
    if component.recipe.get("deterministic") is False:
        elsewhere += (UNREPEATED,)
    differs = first_difference(workspace.objects, component.digest, made.digest)
    return Problem("the recorded bytes are not what its recipe makes here", elsewhere, differs=differs)


def key_of(component: Component) -> Key:
    """Return what tells a run: two recipes may make the same bytes."""
    return (component.digest, component.recipe_digest)


def _is_shown(attested: Attested, component: Component, level: Confinement | None = None) -> bool | None:
    """Whether a component was made at this level or a closer one; without one, whether a second run made it again.

    None where no attestation of it holds.
    """
    try:
        proof = attested.proof(component)
    except Refusal:
        return None
    return proof.reproducible if level is None else proof.level.at_least(level)


def _hindrance(workspace: Workspace, component: Component) -> Problem | None:
    """Return why a component cannot be run, None if it can be."""
    recipe, state = component.recipe, workspace.ledger.state()
    if not NEEDED <= recipe.keys():
        give = f"give it one with `disgorge attest --component {component.name} --recipe MODEL.yaml`"
        return Problem(f"it has no recipe, and is shown by {RECORD}; {give}", expected=True)
    shards = {digest for (_, digest), entry in state.shards.items() if entry.live}
    components = {digest for (_, digest), entry in state.components.items() if entry.live}
    artifacts = {digest: entry.record for (_, digest), entry in state.artifacts.items() if entry.live}
    if component.digest not in components:
        return Problem("it was retired, and is not run; `disgorge audit` says what still serves it")
    for use in influences_of(component):
        if use.digest not in shards | components | artifacts.keys():
            return Problem(f"it used {short(use.digest)}, which is live no more; `disgorge audit` says what that means")
        if use.digest in artifacts:
            if wrong := problem_with(workspace, artifacts[use.digest]):
                return Problem(f"{wrong}; restore it, and run this again")
            continue
        path = workspace.content_path(use.digest) if use.digest in shards else workspace.objects.path(use.digest)
        if not path.is_file():
            return Problem(f"what it used, {short(use.digest)}, is missing; restore it, and run this again")
    was = f"method {recipe['method']} was {recipe['version']} and"
    try:
        method = method_for(workspace, recipe)
    except UnknownMethod:
        return Problem("it was not run", (f"{was} is not installed",))
    except (DisgorgeError, LineageError) as error:
        return Problem(f"it was not run: {error}")
    if method.version != recipe["version"]:
        return Problem("it was not run", (f"{was} is {method.version}",))
    if "code" not in recipe and method.code is not None:
        named = f"its recipe names no code, and {recipe['method']} is local code"
        return Problem(f"{named}; have `disgorge train` make it with the code of today")
    if is_unusable(setting_of(component.environment)):
        return Problem("it was not run", ("it was made with AVX2 kernels and this processor has no AVX2",))
    return None


def _in_service(workspace: Workspace, named: str | None) -> tuple[list[Composition], tuple[str, ...]]:
    """Return what live releases, or the named one, serve, and why the others of them are left out."""
    compositions, left_out = list[Composition](), list[str]()
    with Catalog.of(workspace) as catalog:
        name, _, alias = (named or "").partition("@")
        releases = catalog.releases() if named is None else (catalog.release(name, alias or "live"),)
        served = [(release, catalog.composition(release.composition)) for release in releases]
    for (_, composition), why in zip(served, _out_of_service(workspace, served), strict=True):
        if not why:
            compositions.append(composition)
        elif named is not None:
            raise ReleaseContained(why)
        else:
            left_out.append(f"{why}; nothing of it was run")
    return compositions, tuple(left_out)


def _out_of_service(workspace: Workspace, served: Iterable[tuple[Release, Composition]]) -> Iterator[str]:
    """Yield for each release why nothing of it is to be run, "" where nothing keeps it out of service."""
    wanted = Wanted(workspace)
    for release, composition in served:
        if release.contained:
            yield str(contained(workspace, release))
        elif holds := wanted.by(composition, (release.name, release.alias)):
            yield f"release {release.id} is {stopped_words(holds)}; lift that hold, or answer it, first"
        else:
            yield ""


def _components(workspace: Workspace, compositions: Iterable[Composition]) -> dict[Key, Component]:
    """Return the components of compositions and all that these were made from, inputs first, each with a recipe.

    One that was recorded with a recipe and later without is run by that recipe.
    """
    recorded = recordings(workspace)
    with Catalog.of(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
    members = [member for composition in compositions for member in members_of(composition, known)]

    def sources(digest: str) -> list[str]:
        return [use.digest for component in known.get(digest, ()) for use in influences_of(component)]

    digests = reachable((member.digest for member in members), sources)
    named = {member.digest for member in members}
    found: dict[str, dict[Key, Component]] = {}
    for component in (*members, *(known[digest][0] for digest in digests if digest in known and digest not in named)):
        if not component.recipe:
            earlier = recorded.get((component.name, component.digest), [])
            component = next((each for each in reversed(earlier) if each.recipe), component)
        found.setdefault(component.digest, {}).setdefault(key_of(component), component)
    edges = [
        (use.digest, digest, use.role)
        for digest, several in found.items()
        for component in several.values()
        for use in influences_of(component)
    ]
    return {key: component for digest in in_order(found, edges) for key, component in found[digest].items()}


def refuse_contained(workspace: Workspace, component: Component) -> None:
    """Raise :class:`ReleaseContained` if a release that is out of service has the component, or one made from it."""
    with Catalog.of(workspace) as catalog:
        served = [(release, catalog.composition(release.composition)) for release in catalog.releases()]
    for (_, composition), why in zip(served, _out_of_service(workspace, served), strict=True):
        if why and component.digest in {digest for digest, _ in _components(workspace, [composition])}:
            raise ReleaseContained(why)

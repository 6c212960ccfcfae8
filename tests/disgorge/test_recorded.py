"""What was recorded by hand: trained again beside, measured, accepted by a person, composed to a release, removed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.audit.rules import audit
from disgorge.errors import BadModel, DisgorgeError, EnvironmentDiffers, ReleaseContained, WrongUse
from disgorge.facts import ComponentAcceptedFact
from disgorge.method import ModelSpec
from disgorge.plan.plan import Action
from disgorge.release.attest import Outcome, attest_releases, beside
from disgorge.release.recorded.attest import accept_component, attest_component
from disgorge.release.recorded.compose import Composed, compose_release
from disgorge.release.recorded.composed import Answering
from disgorge.release.recorded.own_function import function
from disgorge.release.recorded.side_by_side import measure
from disgorge.request.workflow.filing import deny_request
from disgorge.request.workflow.plan_request import plan_request, plan_requests
from disgorge.tracking.registry import Registrar
from disgorge.training.ask import ask, question_about
from disgorge.training.model_file import model_spec
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.levels import Level, reached
from disgorge.training.stored import read_items
from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput, UnknownRecord
from lineage.ledger.fact_kinds import ReleaseContainedFact
from lineage.recording import recording
from lineage.records import Component, Composition, Release, Selector
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.toys import carry, component_of, filed_and_decided, granted_plan, live_shards

pytestmark = pytest.mark.skipif(reached().level is not Level.NAMESPACE, reason="jobs are not confined here")
CODE = """
import numpy as np

def fit(items, parts, context):
    counts = np.bincount(items["label"], minlength=2)
    return {"sum": np.array([items["x"].sum()]), "counts": counts * context.parameters.get("times", 1)}

def predict(parts, items, context):
    return np.tile(parts["counts"] / parts["counts"].sum(), (len(items), 1))
"""


@dataclass
class Kept(Registrar):
    """A registry that remembers which compositions were adopted under which name."""

    adopted: list[tuple[str, str]] = field(default_factory=list)

    def adopt(self, release: str, alias: str, composition: Composition) -> str:
        """Remember an adoption."""
        self.adopted.append((release, composition.digest))
        return "1"


@dataclass
class Project:
    """A workspace with three people's shards, and a folder of code beside it."""

    workspace: Workspace
    folder: Path
    registrar: Kept = field(default_factory=Kept)

    def record(self, name: str, *shards: str, counts: tuple[int, int] = (2, 2), **how: Any) -> Component:
        """Record by hand what ``fit`` would make of a shard, or something else."""
        uses = [(shard, "train") for shard in shards or (name,)]
        rows = [read_items(self.workspace, live_shards(self.workspace)[each].digest) for each in shards or (name,)]
        total = sum(int(each.arrays["x"].sum()) for each in rows)
        with recording(self.workspace, **{"kind": "counts", **how}, name=name, uses=uses) as component:
            component.save({"sum": np.array([total]), "counts": np.array(counts)})
        assert component.component is not None
        return component.component

    def spec(self, *shards: str, **keys: Any) -> ModelSpec:
        """The model that a file beside the code describes."""
        file = {"release": "own", "method": "function", "train": "hand_code:fit", "predict": "hand_code:predict",
                "layout": "isolated", "shards": list(shards), "evaluate": ["held"]}  # fmt: skip
        return model_spec(file | keys, name="own.yaml")

    def attest(self, name: str, spec: ModelSpec | None = None) -> Outcome:
        """Run the recipe of a component in a process of its own."""
        with Workers(self.workspace, count=1) as workers:
            return attest_component(
                self.workspace, workers, name, spec, level=Level.NAMESPACE, folder=self.folder, registrar=self.registrar
            )

    def compose(self, *components: str, name: str = "hand", predict: str | None = "hand_code:predict") -> Composed:
        """Compose components, which the held-out shard measures."""
        answering = Answering(predict, evaluate=("held",))
        return compose_release(
            self.workspace, name, components, answering, folder=self.folder, registrar=self.registrar
        )

    def released(self, name: str = "hand") -> Composition:
        """What a release has."""
        with Catalog.of(self.workspace) as catalog:
            return catalog.composition(catalog.release(name).composition)

    def members(self, name: str = "hand") -> list[str]:
        """The names of what a release has."""
        return sorted(member.name for member in self.released(name).members)

    def remove(self, selector: Selector, request: str = "R-1") -> str:
        """Carry a removal out, and return the verdict."""
        granted_plan(self.workspace, [selector], request_id=request)
        with Workers(self.workspace, count=1) as workers:
            return carry(
                self.workspace, request, runner=workers, independent=lambda: Workers(self.workspace, count=1)
            ).verdict


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Shards a, b and c of four rows each, every row a person's, and one that only measures."""
    workspace, folder = Workspace.init(tmp_path / "workspace"), tmp_path / "code"
    folder.mkdir()
    (folder / "hand_code.py").write_text(CODE)
    for place, name in enumerate(("a", "b", "c", "held")):
        path = tmp_path / f"{name}.csv"
        rows = "".join(f"{name}-{row},{10 * place + row},{row % 2}\n" for row in range(4))
        path.write_text(f"subject,x,label\n{rows}")
        terms = {"subject": "subject", "legal_basis": "consent", "license": "MIT"}
        add_shard(workspace, path, name=name, check=False, **terms)
    return Project(workspace, folder)


def source(name: str) -> Selector:
    """Everything in a shard."""
    return Selector("shard", name)


# Trained again, and accepted --------------------------------------------------------------------------------------


def test_what_was_recorded_is_trained_again_beside_measured_and_takes_its_place_when_accepted(project: Project) -> None:
    recorded, workspace = project.record("a", counts=(1, 3)), project.workspace
    project.compose("a")
    before, spec = project.released(), project.spec("a", layout="joint")
    made = project.attest("a", spec).beside
    assert made is not None
    assert (made.name, made.recipe["parameters"]["train"]) == (beside("a"), "hand_code:fit")
    with Workers(workspace, count=1) as workers:
        (measured,) = measure(workspace, workers, recorded, made, spec, folder=project.folder)
        (as_served,) = measure(workspace, workers, recorded, made)
    assert (measured.shard, measured.lacking) == ("held", ())
    assert measured.recorded["neg_log_loss"] < measured.made["neg_log_loss"]
    assert as_served == measured, "one component answers alike by itself and in its release"
    assert (component_of(workspace, "a"), project.released()) == (recorded, before), "nobody accepted it yet"

    adopted = len(project.registrar.adopted)
    accepted = accept_component(workspace, "a", made.digest[:12], by="ann", registrar=project.registrar)
    assert accepted.releases == ("hand@live",)
    assert component_of(workspace, "a").digest == made.digest
    (member,) = project.released().members
    assert (member.name, member.component) == ("hand/a", made.digest)
    assert project.registrar.adopted[adopted:] == [("hand", project.released().digest)]
    ((_, fact),) = workspace.ledger.said(ComponentAcceptedFact)
    assert (fact.before, fact.after, fact.by) == (recorded.digest, made.digest, workspace.pseudonym("ann"))
    with pytest.raises(UnknownRecord, match=r"no run of the recipe of a made .*; kept beside it: none; `disgorge att"):
        accept_component(workspace, "a", made.digest[:12], by="ann")


def test_what_is_replaced_stays_recorded_and_goes_with_the_data(project: Project) -> None:
    recorded = project.record("a", counts=(1, 3))
    made = project.attest("a", project.spec("a", layout="joint")).beside
    assert made is not None
    accept_component(project.workspace, "a", made.digest, by="ann", registrar=project.registrar)
    project.record("b")
    assert project.workspace.objects.exists(recorded.digest)
    assert project.remove(source("a")) == "certified"
    assert not project.workspace.objects.exists(recorded.digest)
    assert not project.workspace.objects.exists(made.digest)


@pytest.mark.parametrize("digest", ["", "ab" * 32])
def test_nothing_is_accepted_that_no_run_made(project: Project, digest: str) -> None:
    project.record("a", counts=(1, 3))
    project.attest("a", project.spec("a", layout="joint"))
    head = project.workspace.ledger.head()
    with pytest.raises(UnknownRecord, match="no run of the recipe of a made"):
        accept_component(project.workspace, "a", digest, by="ann")
    with pytest.raises(UnknownRecord, match="no component 'z' is recorded"):
        accept_component(project.workspace, "z", "ab", by="ann")
    assert project.workspace.ledger.head() == head


def test_nothing_takes_the_place_of_what_others_were_made_from(project: Project) -> None:
    base = project.record("a", counts=(1, 3))
    with recording(project.workspace, kind="head", name="head", uses=[(base.digest, "initialize")]) as head:
        head.save({"sum": np.array([1.0]), "counts": np.array([1, 1])})
    project.compose("a", "head")
    made = project.attest("a", project.spec("a", layout="joint")).beside
    assert made is not None
    with pytest.raises(WrongUse, match="hand/head was made from a, and would not fit what takes its place"):
        accept_component(project.workspace, "a", made.digest, by="ann")
    assert component_of(project.workspace, "a") == base


def test_a_contained_release_keeps_what_it_has(project: Project) -> None:
    project.record("a", counts=(1, 3))
    project.compose("a")
    made = project.attest("a", project.spec("a", layout="joint")).beside
    assert made is not None
    project.workspace.ledger.record(ReleaseContainedFact("hand", "live", "R-1"))
    for refused in (
        lambda: accept_component(project.workspace, "a", made.digest, by="ann"),
        lambda: project.compose("a"),
        lambda: project.compose("a", name="other"),
    ):
        with pytest.raises(ReleaseContained, match="is contained"):
            refused()


def test_the_code_lies_beside_the_model_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for ``train``, wherever the command is typed."""
    project.record("a")
    project.record("b")
    monkeypatch.chdir(project.workspace.root)
    assert project.attest("a", project.spec("a", layout="joint")).parts[0].problem is None
    with pytest.raises(
        WrongUse, match=r"component b has no recipe; name the model that makes it, --recipe MODEL\.yaml"
    ):
        project.attest("b")
    with pytest.raises(WrongUse, match="model own lays out no b; it lays out own/model"):
        project.attest("b", project.spec("a", layout="joint"))


# A function named where it is recorded ----------------------------------------------------------------------------


def test_a_component_with_its_function_named_is_attested_by_that(project: Project) -> None:
    recipe = function("hand_code:fit", parameters={"times": 1}, folder=project.folder)
    recorded = project.record("a", kind="", recipe=recipe)
    assert (recorded.kind, recorded.recipe["parameters"]["train"]) == ("fitted", "hand_code:fit")
    outcome = project.attest("a")
    assert (outcome.beside, outcome.parts[0].problem, outcome.parts[0].standing.stands) == (None, None, True)


def test_attesting_a_release_says_how_other_bytes_are_kept(project: Project) -> None:
    project.record("a", counts=(1, 3), kind="", recipe=function("hand_code:fit", folder=project.folder))
    project.compose("a")
    with Workers(project.workspace, count=1) as workers:
        (part,) = attest_releases(project.workspace, workers, "hand", level=Level.NAMESPACE).parts
    assert part.problem is not None
    assert part.problem.words.endswith("; `disgorge attest --component hand/a` keeps both, and measures them")
    made = project.attest("hand/a").beside
    assert made is not None
    accept_component(project.workspace, "hand/a", made.digest, by="ann", registrar=project.registrar)
    assert not project.compose("hand/a").words
    with Workers(project.workspace, count=1) as workers:
        (part,) = attest_releases(project.workspace, workers, "hand", level=Level.NAMESPACE).parts
    assert (part.component.digest, part.runs, part.standing.stands) == (made.digest, 0, True)


def test_the_recipe_is_that_of_the_model_file(project: Project) -> None:
    recorded = project.record("ab", "a", "b", kind="", recipe=function("hand_code:fit", folder=project.folder))
    project.record("plain", "a", "b", counts=(4, 4))
    project.attest("plain", project.spec("a", "b", layout="joint", release="plain"))
    assert component_of(project.workspace, "plain").recipe == recorded.recipe


def test_what_no_function_can_be_is_refused_before_the_block_begins(project: Project) -> None:
    base, head = project.record("base", "a"), project.workspace.ledger.head()

    def begun(train: str, *uses: tuple[str, str], kind: str = "") -> Callable[[], None]:
        def begin() -> None:
            recipe = function(train, folder=project.folder)
            with recording(project.workspace, kind=kind, name="mine", uses=uses, recipe=recipe):
                raise AssertionError("the block has begun")

        return begin

    a, fit = ("a", "train"), "hand_code:fit"
    refusals: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (BadModel, "module hand_code names no function 'fitt'", begun("hand_code:fitt", a)),
        (BadModel, "no module 'none_such'", begun("none_such:fit", a)),
        (BadModel, "'fit' names no function; write module:function", begun("fit", a)),
        (BadInput, "kind is 'counts', and its recipe makes 'fitted'; leave kind out", begun(fit, a, kind="counts")),
        (BadInput, r"not base \(initialize\); write a model file", begun(fit, a, (base.digest, "initialize"))),
        (BadInput, r"not b \(normalize\)", begun(fit, a, ("b", "normalize"))),
        (BadModel, "shards: List should have at least 1 item", begun(fit, ("b", "select"))),
    ]
    for kind, said, refused in refusals:
        with pytest.raises(kind, match=said):
            refused()
    assert project.workspace.ledger.head() == head


# A release of recorded components ---------------------------------------------------------------------------------


def test_a_composed_release_answers_by_the_function_as_it_was_stored(project: Project) -> None:
    project.record("a", counts=(1, 3))
    project.record("b", counts=(3, 1))
    composed = project.compose("a", "b")
    assert project.members() == ["hand/a", "hand/b"]
    assert [member.weight for member in composed.composition.members] == [0.5, 0.5]
    (project.folder / "hand_code.py").write_text("raise SystemError('edited')")
    items = read_items(project.workspace, live_shards(project.workspace)["held"].digest)
    with Workers(project.workspace, count=1) as workers:
        (answers,) = ask(workers, [question_about(project.workspace, composed.composition)], [items])
    assert answers.sets[0].predictions is not None
    assert answers.sets[0].predictions.tolist() == [[0.5, 0.5]] * 4
    assert "accuracy" in answers.sets[0].measures


def test_without_a_function_it_is_listed_and_traced_and_answers_nothing(project: Project) -> None:
    project.record("a")
    composed = project.compose("a", predict=None)
    items = read_items(project.workspace, live_shards(project.workspace)["held"].digest)
    with Workers(project.workspace, count=1) as workers:
        (answers,) = ask(workers, [question_about(project.workspace, composed.composition)], [items])
    assert (answers.sets[0].predictions, answers.sets[0].measures) == (None, {})
    with Catalog.of(project.workspace) as catalog:
        assert catalog.releases() == (Release("hand", "live", composed.composition.digest),)
        assert any("hand@live" in " ".join(row) for row in catalog.trace("a", up=False, down=True).rows())
    head = project.workspace.ledger.head()
    assert project.compose("a", predict=None).composition == composed.composition
    assert project.workspace.ledger.head() == head, "composed again it is the same"


def test_what_cannot_be_composed_is_refused_in_one_line(project: Project) -> None:
    project.record("a")
    project.record("b")
    twin = project.record("twin", "a")
    base = project.record("base", "c", counts=(1, 1))
    with recording(project.workspace, kind="head", name="head", uses=[(base.digest, "initialize")]) as made:
        made.save({"sum": np.array([1.0])})
    (project.folder / "staged.py").write_text(CODE)
    head = project.workspace.ledger.head()
    refusals: dict[Callable[[], object], tuple[type[Exception], str]] = {
        lambda: project.compose("a", "z"): (UnknownRecord, "no component 'z' is recorded"),
        lambda: project.compose("a", "a"): (WrongUse, "component a is named twice"),
        lambda: project.compose("a", twin.name): (WrongUse, "is named twice, by one name or two"),
        lambda: project.compose("a", predict="hand_code:ask"): (BadModel, "hand_code names no function 'ask'"),
        lambda: project.compose("a", predict="none_such:ask"): (BadModel, "no module 'none_such'"),
        lambda: project.compose("a", predict="ask"): (BadModel, "names no function; write module:function"),
        lambda: project.compose("a", name="../x"): (BadModel, "'../x' is an invalid name"),
        lambda: compose_release(project.workspace, "x", ["a"], Answering(combine="most")): (BadModel, "combine: "),
        lambda: compose_release(project.workspace, "x", ["a"], Answering(evaluate=("a",))): (
            WrongUse,
            "learned from a",
        ),
        lambda: compose_release(project.workspace, "x", ["a"], Answering(evaluate=("z",))): (UnknownRecord, "no shard"),
    }
    for refused, (kind, said) in refusals.items():
        with pytest.raises(kind, match=said):
            refused()
    assert project.workspace.ledger.head() == head
    project.remove(source("c"))
    for gone in ("base", "head"):
        with pytest.raises(UnknownRecord, match=f"component '{gone}' was retired"):
            project.compose("a", gone)


def test_the_name_of_a_trained_model_is_not_taken(workspace: Workspace) -> None:
    head = workspace.ledger.head()
    for component, said in {"scale": "is a trained model; give what you compose another name"}.items():
        with pytest.raises(WrongUse, match=said):
            compose_release(
                workspace, "toy-averages", [f"toy-averages/{component}"], Answering(), registrar=Registrar()
            )
    with pytest.raises(WrongUse, match="has a recipe of method 'averages' or reads other components; release it with"):
        compose_release(workspace, "mine", ["toy-averages/scale"], Answering(), registrar=Registrar())
    assert workspace.ledger.head() == head


# A removal on it --------------------------------------------------------------------------------------------------


def test_a_removal_drops_what_learned_from_the_data_and_certifies_once_the_rest_is_attested(project: Project) -> None:
    """From weights that were recorded by hand to a certificate."""
    workspace = project.workspace
    dropped = project.record("a")
    project.record("b")
    project.compose("a", "b")
    filed_and_decided(workspace, [source("a")], request_id="R-1")
    with pytest.raises(EnvironmentDiffers, match=r"hand/b \(it was recorded without a recipe\).*--recipe MODEL.yaml"):
        plan_request(workspace, "R-1")
    assert project.attest("b", project.spec("b", layout="joint")).parts[0].problem is None
    plan = plan_request(workspace, "R-1")
    assert [step.subject for step in plan.remedies if step.action is Action.DROP] == [
        "hand/a",
        "1 unreleased component",
    ]
    assert project.remove(source("a"), "R-2") == "certified"
    assert project.members() == ["hand/b"]
    assert not workspace.objects.exists(dropped.digest)
    assert [each.id for each in audit(workspace)] == []


def test_a_removal_trains_again_what_has_its_function_named(project: Project) -> None:
    for name in ("a", "b"):
        project.record(name, kind="", recipe=function("hand_code:fit", folder=project.folder))
    project.compose("a", "b")
    with Workers(project.workspace, count=1) as workers:
        attest_releases(project.workspace, workers, "hand", level=Level.NAMESPACE)
    person = Selector("subject", project.workspace.pseudonym("a-1"))
    filed_and_decided(project.workspace, [person], request_id="R-0")
    with pytest.raises(DisgorgeError, match="which is composed of recorded components: attest these with the code of"):
        plan_requests(project.workspace, ["R-0"], current_code=True)
    deny_request(project.workspace, "R-0", reason="filed to see what may be planned")
    assert project.remove(person) == "certified"
    assert project.members() == ["hand/a", "hand/b"]
    again = component_of(project.workspace, "hand/a")
    assert again.recipe["uses"][0]["digest"] == live_shards(project.workspace)["a"].digest
    assert project.remove(source("b"), "R-2") == "certified"
    assert project.members() == ["hand/a"]
    assert [each.id for each in audit(project.workspace)] == []


def test_a_person_in_what_has_no_recipe_costs_the_component_and_no_more(project: Project) -> None:
    project.record("a")
    project.record("b")
    project.compose("a", "b")
    project.attest("b", project.spec("b", layout="joint"))
    assert project.remove(Selector("subject", project.workspace.pseudonym("a-1"))) == "certified"
    assert project.members() == ["hand/b"]
    assert live_shards(project.workspace)["a"].count == 3


def test_a_release_can_be_destroyed_whatever_it_was_recorded_with(project: Project) -> None:
    project.record("a")
    project.record("b")
    project.compose("a", "b")
    filed_and_decided(project.workspace, [source("a")], request_id="R-1")
    plan = plan_request(project.workspace, "R-1", withdraw=["hand"])
    assert [step.subject for step in plan.steps if step.action is Action.WITHDRAW] == ["hand"]
    with pytest.raises(DisgorgeError, match="component hand/b cannot be trained again: it was recorded without a rec"):
        plan_request(project.workspace, "R-1", retrain_untouched=True)

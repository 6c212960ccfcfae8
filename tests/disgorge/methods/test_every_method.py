"""What holds of each method that ships: the same bits everywhere, pure layouts, and one line for what it cannot take.

That a removal equals never having had the data is law 1 of tests/campaigns/test_removal_laws.py, over the same methods.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from disgorge.errors import BadModel
from disgorge.method import Items, as_resumable, methods, offers_for
from lineage.records import Role
from lineage.storage.tensors import load_tensors, save_tensors
from policies.taxonomy import Guarantee, Remedy
from tests.disgorge.methods.taught import (
    ROOT,
    Taught,
    accuracy_on_digits,
    assembled,
    cut,
    digests,
    recorded,
    taught,
    train,
)

if TYPE_CHECKING:
    from disgorge.method import Tensors

OFFERS = {
    "tangent_composition": {"tangent": [Remedy.SUBTRACT, Remedy.RETRAIN], "backbone": [Remedy.RETRAIN]},
    "shard_graph": {
        "adapter": [Remedy.DROP, Remedy.RETRAIN], "prototypes": [Remedy.DROP, Remedy.RETRAIN],
        "encoder": [Remedy.RETRAIN],
    },
    "compartmental_diffusion": {
        "compartment": [Remedy.DROP, Remedy.RETRAIN], "posterior": [Remedy.DROP, Remedy.RETRAIN],
        "backbone": [Remedy.RETRAIN],
    },
}  # fmt: skip
"""What can be done about each kind of part."""
CLASSIFIERS = ["tangent_composition", "shard_graph"]


@pytest.fixture(params=OFFERS)
def one(request: pytest.FixtureRequest) -> Taught:
    """A method with its toy, trained."""
    return taught(request.param)


def answers(one: Taught, model: Any) -> bytes:
    """What a model answers: class probabilities, or what it draws."""
    held_out = one.toy.items["held-out"]
    return bytes((model.predict(held_out) if one.method.name in CLASSIFIERS else model.sample(5, seed=4)).tobytes())


def test_it_is_registered_with_exact_offers(one: Taught) -> None:
    assert methods()[one.method.name] is one.method
    for kind, remedies in OFFERS[one.method.name].items():
        assert [offer.remedy for offer in offers_for(one.method, kind)] == remedies
    assert {offer.guarantee for offer in one.method.offers} == {Guarantee.EXACT}


def test_the_same_bits_in_a_fresh_process_whatever_ran_before(one: Taught) -> None:
    code = (
        "import sys; from tests.disgorge.methods.taught import digests, taught\n"
        "for name, digest in digests(taught(sys.argv[1]).parts).items(): print(name, digest)\n"
        "loaded = 'torch._dynamo' in sys.modules\n"
        "assert loaded == (sys.argv[1] == 'compartmental_diffusion'), 'the compiler is slow to load; diffusers does'"
    )
    torch.manual_seed(1)
    torch.randn(1000).sort()  # leave the global generator and the allocator elsewhere than a fresh process has them
    again = train(one.method, one.toy.spec, one.toy.items)
    command = [sys.executable, "-c", code, one.method.name]
    fresh = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert fresh.split() == [word for pair in digests(again).items() for word in pair]


def test_training_and_answering_leave_torch_as_it_was(one: Taught) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    some = {name: one.toy.items[name] for name in ("core", one.toy.spec.shards[0])}
    train(one.method, one.toy.spec, some)
    answers(one, one.model())
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_training_reports_the_steps_it_announced(one: Taught) -> None:
    seen: list[tuple[int, int]] = []
    some = {name: one.toy.items[name] for name in ("core", one.toy.spec.shards[0])}
    train(one.method, one.toy.spec, some, progress=lambda *step: seen.append(step))
    steps = [each.steps for each in one.method.layout(one.toy.spec, recorded(some))]
    assert [done for done, total in seen if done == total] == [count for count in steps if count > 1]
    assert all(0 < done <= total for done, total in seen)


@dataclass
class InMemory:
    """Checkpoints kept at every step; ``last`` is one to go on from."""

    last: "Tensors | None" = None
    kept: list[bytes] = field(default_factory=list)

    def keep(self, state: "Callable[[], Tensors]") -> None:
        """Keep it."""
        self.kept.append(save_tensors(state()))


def test_a_training_goes_on_from_any_of_its_checkpoints_to_the_very_bits(one: Taught) -> None:
    method = as_resumable(one.method)
    assert method is not None
    some = {name: one.toy.items[name] for name in ("core", one.toy.spec.shards[2])}
    trained = set[str]()
    for blueprint in one.method.layout(one.toy.spec, recorded(some)):
        inputs = [use.name for use in blueprint.inputs]
        shards = tuple(some[name] for name in inputs if name in some)
        parts = tuple(one.parts[name].tensors for name in inputs if name not in some)
        asked = (blueprint.kind, blueprint.parameters | {"batch": 7}, shards, parts)  # epochs of several batches
        whole = InMemory()
        bits = save_tensors(method.train(*asked, checkpoints=whole))
        every = range(1, len(whole.kept) + 1)
        for steps in sorted({1, len(every) // 2, len(every) - 1, len(every)} & {*every}):
            torch.manual_seed(steps)  # a generator of its own is what a method draws from
            resumed, seen = InMemory(load_tensors(whole.kept[steps - 1])), dict[int, int]()
            again = method.train(*asked, checkpoints=resumed, progress=seen.setdefault)
            assert save_tensors(again) == bits, f"{blueprint.name} from step {steps}"
            assert [*seen] == [*every[steps:]]
            assert resumed.kept == whole.kept[steps:]
            trained.add(blueprint.kind)
    assert trained == {kind for kind in OFFERS[one.method.name] if kind not in ("prototypes", "posterior")}


def test_order_of_parts_carries_no_meaning(one: Taught) -> None:
    backward = assembled(one.method, one.toy.spec, dict(reversed(one.parts.items())))
    assert answers(one, backward) == answers(one, one.model())


def test_renaming_shards_in_the_same_order_changes_no_bits(one: Taught) -> None:
    names = {name: f"x-{place}" for place, name in enumerate(one.toy.items)}
    shards = tuple(names[name] for name in one.toy.spec.shards)
    spec = replace(one.toy.spec, core=(names["core"],), shards=shards)
    renamed = train(one.method, spec, {names[name]: items for name, items in one.toy.items.items()})
    assert list(digests(renamed).values()) == list(digests(one.parts).values())
    assert answers(one, assembled(one.method, spec, renamed)) == answers(one, one.model())


def test_layout_is_pure_and_follows_the_shards_there_are(one: Taught) -> None:
    shards, layout, gone = recorded(one.toy.items), one.method.layout, one.toy.spec.shards[1]
    assert layout(one.toy.spec, shards) == layout(one.toy.spec, dict(reversed(shards.items())))
    kept = layout(one.toy.spec, {name: shard for name, shard in shards.items() if name != gone})
    assert gone not in {use.name for each in kept for use in each.inputs}
    assert set(one.layout) - {each.name for each in kept} == {name for name in one.layout if name.endswith(gone)}
    assert layout(one.toy.spec, shards | {gone: replace(shards[gone], count=0)}) == kept
    assert layout(one.toy.spec, {name: shard for name, shard in shards.items() if name != "core"}) == ()


@pytest.mark.parametrize(
    ("method", "shard", "changed"),
    [
        ("tangent_composition", "shard-2", {"tangent/shard-2"}),
        ("shard_graph", "shard-3", {"adapter/shard-2", "adapter/shard-3", "prototypes/shard-3"}),
        ("compartmental_diffusion", "west", {"compartment/west", "posterior/west"}),
    ],
)
def test_items_removed_reach_what_learned_from_them_alone(method: str, shard: str, changed: set[str]) -> None:
    one = taught(method)
    items = one.toy.items[shard]
    again = train(one.method, one.toy.spec, {**one.toy.items, shard: cut(items, range(1, len(items)))})
    assert {name for name, digest in digests(again).items() if digest != digests(one.parts)[name]} == changed


@pytest.mark.parametrize("method", CLASSIFIERS)
def test_training_memorizes_something_that_removal_takes_away(method: str) -> None:
    """The positive control of every claim of removal: each shard was in the model."""
    one = taught(method)
    before, held_out, gaps = one.model(), one.toy.items["held-out"], []
    for gone in one.toy.spec.shards:
        left = {name: items for name, items in one.toy.items.items() if name != gone}
        after = assembled(one.method, one.toy.spec, train(one.method, one.toy.spec, left))
        lost = before.scores(one.toy.items[gone]) - after.scores(one.toy.items[gone])
        gaps.append(lost.mean() - (before.scores(held_out) - after.scores(held_out)).mean())
    assert np.mean(gaps) > 0.1


@pytest.mark.parametrize("method", CLASSIFIERS)
def test_the_model_answers_as_a_classifier(method: str) -> None:
    one = taught(method)
    model, held_out = one.model(), one.toy.items["held-out"]
    probabilities = model.predict(held_out)
    assert probabilities.shape == (30, 3)
    assert np.allclose(probabilities.sum(1), 1)
    right = probabilities[np.arange(30), held_out.arrays["label"]]
    scores = model.scores(held_out)
    assert scores.dtype == np.float64
    assert np.allclose(scores, np.clip(np.log(right) - np.log1p(-right), -50, 50), atol=1e-6)
    utility = model.utility(held_out)
    assert next(iter(utility)) == "accuracy"
    assert utility["neg_log_loss"] == pytest.approx(np.log(right).mean())
    with pytest.raises(NotImplementedError):
        model.sample(1, seed=0)


@pytest.mark.parametrize(
    ("method", "file", "base"),
    [("tangent_composition", "tangent.yaml", "backbone"), ("shard_graph", "graph.yaml", "encoder")],
)
def test_on_real_digits_contributors_bring_what_the_core_lacks(method: str, file: str, base: str) -> None:
    """The example's model file, fewer epochs: 7, 8 and 9 come from contributors alone."""
    whole, alone = accuracy_on_digits(methods()[method], file, base)
    assert alone < 0.75  # 75 of the 257 are of classes the core has none of
    assert whole > 0.9


BAD_PARAMETERS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "tangent_composition": [
        ({"epochz": 3}, "^parameters.epochz: "), ({"epochs": 0}, "^parameters.epochs: "),
        ({"epochs": 2.5}, "^parameters.epochs: "), ({"epochs": True}, "^parameters.epochs: "),
        ({"epochs": "many"}, "^parameters.epochs: "), ({"batch": None}, "^parameters.batch: "),
        ({"learning_rate": float("nan")}, "^parameters.learning_rate: "),
        ({"learning_rate": -1}, "^parameters.learning_rate: "), ({"target": [5]}, "^parameters.target: "),
        ({"scale": 0}, "^parameters.scale: "), ({"seed": 3}, "^parameters.seed: "),
    ],
    "shard_graph": [
        ({"querys": 3}, "^parameters.querys: "), ({"queries": 0}, "^parameters.queries: "),
        ({"queries": "all"}, "^parameters.queries: "), ({"epochs": True}, "^parameters.epochs: "),
        ({"temperature": float("inf")}, "^parameters.temperature: "),
        ({"prototype_weight": 1.5}, "^parameters.prototype_weight: "),
        ({"adapter": "lora"}, "^parameters.adapter: "), ({"adapter": 3}, "^parameters.adapter: "),
        ({"graph": "ring"}, "^parameters.graph: "), ({"graph": {"kind": "tree"}}, "^parameters.graph.kind: "),
        ({"graph": {"kind": ["ring"]}}, "^parameters.graph.kind: "),
        ({"graph": {"kind": "ring", "degree": 2}}, "^parameters.graph.degree: "),
        ({"graph": {"kind": "regular", "degree": 0}}, "^parameters.graph.degree: "),
        ({"graph": {"kind": "regular", "degree": 5}}, "^parameters.graph.degree: "),
        ({"graph": {"kind": "star", "center": "nobody"}}, "^parameters.graph.center: "),
        ({"graph": {"kind": "star", "center": ["core"]}}, "^parameters.graph.center: "),
        ({"graph": {"kind": "explicit", "edges": ["shard-1"]}}, "^parameters.graph.edges: "),
        ({"graph": {"kind": "explicit", "edges": {"shard-1": ["shard-9"]}}}, "^parameters.graph.edges.shard-1: "),
        ({"graph": {"kind": "explicit", "edges": {"shard-1": [3]}}}, "^parameters.graph.edges.shard-1: "),
        ({"graph": {"kind": "explicit", "edges": {"shard-9": ["shard-1"]}}}, "^parameters.graph.edges: "),
    ],
    "compartmental_diffusion": [
        ({"ranks": 8}, "did you mean 'rank'"), ({"colour": 8}, "there are: peak"),
        ({"rank": 0}, "rank: 0 is not a whole number"), ({"rank": 2.5}, "rank: 2.5 is not a whole number"),
        ({"rank": True}, "rank: True is not"), ({"batch": "many"}, "batch: 'many' is not"),
        ({"rehearsal": 1.5}, "from 0 to 0.9"), ({"peak": float("nan")}, "peak: nan is not"),
        ({"breadth": float("inf")}, "breadth: inf is not"), ({"channels": 16}, "not a list"),
        ({"channels": [12]}, "multiples of 8"), ({"channels": []}, "not a list"), ({"rule": "best"}, "one of draw"),
        ({"rule": ["draw"]}, "one of draw"),
    ],
}  # fmt: skip
BAD = [(method, number) for method, cases in BAD_PARAMETERS.items() for number in range(len(cases))]


@pytest.mark.parametrize(("method", "number"), BAD)
def test_bad_parameters_are_refused_by_name(method: str, number: int) -> None:
    (parameters, words), one = BAD_PARAMETERS[method][number], taught(method)
    with pytest.raises(BadModel, match=words) as caught:
        one.method.layout(replace(one.toy.spec, parameters=parameters), recorded(one.toy.items))
    assert "\n" not in str(caught.value)


BAD_MODELS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "tangent_composition": [({"shards": ("core",)}, "^shards: core is listed under core too")],
    "shard_graph": [({"shards": ("core",)}, "^shards: core is listed under core too")],
    "compartmental_diffusion": [({"shards": ("east", "east")}, "east is listed twice")],
}
WITHOUT_A_FIELD = {
    "tangent_composition": ("label", "^shard shard-1: items have no 'label'; tangent_composition trains on images"),
    "shard_graph": ("image", "^shard shard-1: items have no 'image'; shard_graph trains on images"),
}


def test_bad_models_are_refused_in_one_line(one: Taught) -> None:
    name, shards, spec = one.method.name, recorded(one.toy.items), one.toy.spec
    for changes, words in ({"core": ()}, "^core: names no shard"), *BAD_MODELS[name]:
        with pytest.raises(BadModel, match=words):
            one.method.layout(replace(spec, **changes), shards)
    if name in WITHOUT_A_FIELD:
        field, words = WITHOUT_A_FIELD[name]
        poor = replace(shards["shard-1"], fields=tuple(each for each in shards["shard-1"].fields if each != field))
        with pytest.raises(BadModel, match=words):
            one.method.layout(spec, shards | {"shard-1": poor})
    with pytest.raises(BadModel, match=r"needs one (backbone|encoder|router), there are 0"):
        one.method.assemble(spec, ())
    with pytest.raises(BadModel, match="makes no 'nonsense'"):
        one.method.train("nonsense", {"seed": 0}, (one.toy.items["core"],), ())


@pytest.mark.parametrize("method", CLASSIFIERS)
def test_items_that_do_not_fit_are_refused(method: str) -> None:
    one = taught(method)
    model, good = one.model(), one.toy.items["held-out"]
    image, label = good.arrays["image"], good.arrays["label"]
    for arrays, words in (
        ({"image": image[:, :4], "label": label}, "was trained on"),
        ({"image": image.reshape(len(good), -1), "label": label}, "images must be"),
        ({"image": image, "label": label + 5}, "labels go from 5"),
        ({"image": image, "label": label.astype(float)}, "whole numbers"),
        ({"image": image}, "no 'label'"),
        ({"label": label}, "no 'image'"),
    ):
        with pytest.raises(BadModel, match=words):
            model.scores(Items(good.digests, arrays))


def test_inputs_are_recorded_with_their_roles() -> None:
    """Of a shard's own part, no other removable shard is among the inputs but for the edges of a graph."""
    layouts = [taught(method).layout for method in OFFERS]
    uses = {name: {use.name: use.role for use in each.inputs} for layout in layouts for name, each in layout.items()}
    assert uses["tangent/shard-1"] == {"shard-1": Role.TRAIN, "backbone": Role.INITIALIZE}
    assert uses["adapter/shard-5"] == {"shard-5": Role.TRAIN, "shard-1": Role.TRAIN, "encoder": Role.INITIALIZE}
    assert uses["prototypes/shard-5"] == {"shard-5": Role.CALIBRATE, "encoder": Role.INITIALIZE}
    assert list(uses["compartment/north"].values()) == [Role.TRAIN, Role.INITIALIZE]
    assert list(uses["posterior/north"].values()) == [Role.CALIBRATE, Role.NORMALIZE]
    for method in OFFERS:
        one = taught(method)
        removable = {use.name for each in one.layout.values() for use in each.inputs} - {"core"}
        assert not removable & set(one.toy.spec.evaluate)
        assert re.fullmatch("[a-z]+", next(iter(one.layout))), "what all share comes first"

"""Cases for statistical probes from a method's toy: a removal done, and models that never saw what was removed."""

from pathlib import Path

from disgorge.evidence.checks import ProbeCase
from disgorge.method import Items, Model
from disgorge.training.items import join, pick
from disgorge.training.make import make
from disgorge.training.runners.declared import declared
from disgorge.training.stored import assemble, read_items
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.toys import live_shards, populate, toy_of, train


def case_of(
    method: str, folder: Path, *, gone: str = "shard-2", kept: int = 0, seed: int = 0, references: int = 3
) -> ProbeCase:
    """Remove a shard of a toy, or all but its first ``kept`` rows, and train references without it."""
    toy = toy_of(method, seed)
    whole = Workspace.init(folder / "whole")
    populate(whole, toy, folder / "whole-sources")
    before = assemble(whole, train(whole, toy).composition)
    rest = Workspace.init(folder / "rest")
    populate(rest, toy, folder / "rest-sources", leave_out=lambda shard, row: shard == gone and row >= kept)
    shards, method = live_shards(rest), declared(toy.spec.method)

    def without(shift: int) -> Model:
        made = make(rest, toy.spec, InProcessRunner(rest), method=method, shards=shards, shift=shift)
        return assemble(rest, made.composition)

    all_of_it = read_items(whole, live_shards(whole)[gone].digest)
    left = read_items(rest, shards[gone].digest).digests if gone in shards else ()
    return ProbeCase(
        release="toy",
        before=before,
        after=without(0),
        references=tuple(without(7919 * number) for number in range(1, references + 1)),
        removed=pick(all_of_it, frozenset(all_of_it.digests) - frozenset(left)),
        retained=join([read_items(rest, shards[name].digest) for name in toy.spec.shards if name in shards]),
        held_out=read_items(rest, shards["held-out"].digest),
        seed=11,
    )


def few(items: Items, count: int) -> Items:
    """The first items."""
    return Items(items.digests[:count], {name: array[:count] for name, array in items.arrays.items()})

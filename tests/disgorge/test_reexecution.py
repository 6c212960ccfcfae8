"""Re-executing a report: the same bits, or within tolerance and said so, or refused; and what it lacks is named.

Removals are real and small. The other type of machine is real as well: torch held to a processor without vector
instructions, which gives other bits here as another processor would.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disgorge.attestation.workspace_key import key_of
from disgorge.audit.rules import audit
from disgorge.errors import BundleBroken, CertificateRefused, InputsMissing
from disgorge.evidence.checks import Check, Examination
from disgorge.evidence.tolerance import DEFAULT, apart
from disgorge.facts import AttestedFact
from disgorge.removal.execute import Executed
from disgorge.report.bundle import write_zip
from disgorge.report.compile import gather, report_case, write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.request.stored_records import kept_record
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.certificate import issue
from disgorge.statement.signing import read_key
from disgorge.verify.verify import Verified, verify_bundle
from lineage.errors import DigestMismatch
from lineage.records import Component, canonical, in_member_order, plain
from lineage.storage.tensors import load_tensors, save_tensors
from lineage.workspace import Workspace
from tests import toys
from tests.campaigns.test_bundle_bytes import put
from tests.disgorge.report_cases import sign_again
from tests.tier import amount


@dataclass(frozen=True)
class Removal:
    """A workspace with one certified removal, its bundle, and the bundle with inputs and weights."""

    workspace: Workspace
    executed: Executed
    handed: Path

    @property
    def plain(self) -> Path:
        """The zip without inputs."""
        return self.executed.bundle.with_name("R-1.zip")


def removal_of(method: str, folder: Path) -> Removal:
    """Train a toy, remove a person, write the bundle with inputs."""
    workspace = toys.trained_toy(folder, method=method, seed=0, clock=None)
    executed = toys.remove(workspace, [toys.person(workspace, toys.toy_of(method, 0).spec.shards[0], 0)])
    case = case_of(workspace, "R-1")
    return Removal(workspace, executed, write_with_inputs(workspace, plan_of(workspace, case), case))


@pytest.fixture(scope="module")
def averages(tmp_path_factory: pytest.TempPathFactory) -> Removal:
    """Without torch in its recipes."""
    return removal_of("averages", tmp_path_factory.mktemp("averages"))


@pytest.fixture(scope="module")
def tangents(tmp_path_factory: pytest.TempPathFactory) -> Removal:
    """With torch."""
    return removal_of("tangent_composition", tmp_path_factory.mktemp("tangents"))


def verified(removal: Removal, bundle: Path, **more: Any) -> Verified:
    """Verify by re-executing, with the key of the workspace."""
    return verify_bundle(bundle, public_key=removal.workspace.home / "public.pem", level="reexecute", **more)


def test_the_bundle_alone_is_enough(averages: Removal) -> None:
    found = verified(averages, averages.handed).reexecution
    assert found is not None
    assert (found.outcome, found.elsewhere, found.within) == ("re-executed", (), {})
    assert found.equal == found.components > 1


def test_the_retained_data_may_come_from_the_workspace(averages: Removal) -> None:
    found = verified(averages, averages.plain, workspace_folder=averages.workspace.root)
    assert found.reexecution is not None
    assert found.reexecution.outcome == "re-executed"
    assert "has no other about the request" in " ".join(found.checked)


def test_without_inputs_it_says_what_is_missing_and_where_it_may_be(averages: Removal) -> None:
    with pytest.raises(InputsMissing, match=r"shards/[0-9a-f]{64}\.parquet.*--with-inputs.*--workspace"):
        verified(averages, averages.plain)


def test_the_ledger_a_report_was_written_from_is_told_from_others(averages: Removal, tmp_path: Path) -> None:
    other = Workspace.init(tmp_path / "other")
    with pytest.raises(BundleBroken, match="is not the one this report was written from"):
        verify_bundle(averages.plain, level="ledger", workspace_folder=other.root)


def test_a_longer_ledger_still_begins_with_it(averages: Removal, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(averages.workspace.root, copy)
    Workspace.open(copy).ledger.append("release", {"name": "x", "alias": "y", "composition": "0" * 64})
    found = verify_bundle(averages.plain, level="ledger", workspace_folder=copy)
    assert "it begins with those facts" in found.checked[-1]


Change = Callable[[dict[str, Any], dict[str, bytes]], None]


def resigned(removal: Removal, path: Path, change: Change, bundle: Path | None = None) -> Path:
    """What a dishonest operator does: change members and claims, and sign again with the real key."""
    key = read_key(removal.workspace.home / "private" / "signing.pem")
    path.write_bytes(pack(sign_again(read_members(bundle or removal.handed), key, change)))
    return path


def in_recipes(change: Callable[[list[Any]], object]) -> Change:
    """Change the recipes."""

    def edit(predicate: dict[str, Any], members: dict[str, bytes]) -> None:
        recipes = json.loads(members["recipes.json"])
        change(recipes)
        members["recipes.json"] = canonical(recipes)

    return edit


def with_environment(**values: Any) -> Change:
    """Let the parts be made in another environment, as the recipes say."""
    return in_recipes(lambda recipes: [note["environment"].update(values) for note in recipes])


def test_equal_bits_on_another_machine_are_equal_bits(averages: Removal, tmp_path: Path) -> None:
    path = resigned(averages, tmp_path / "R-1.zip", with_environment(processor="Neoverse"))
    found = verified(averages, path).reexecution
    assert found is not None
    assert found.outcome == "re-executed"
    assert "processor was Neoverse" in found.words


def test_other_data_under_a_shards_name_is_refused(averages: Removal, tmp_path: Path) -> None:
    def swap(predicate: dict[str, Any], members: dict[str, bytes]) -> None:
        one, other = sorted(name for name in members if name.startswith("inputs/"))[:2]
        members[one] = members[other]

    path = resigned(averages, tmp_path / "R-1.zip", swap)
    with pytest.raises(BundleBroken, match="is not what its digest says"):
        verified(averages, path)


def test_inputs_that_unpack_to_more_than_a_shard_may_hold_are_not_read(averages: Removal, tmp_path: Path) -> None:
    """Some kilobytes, signed with the real key, that would take gigabytes of whoever verifies."""

    def bomb(predicate: dict[str, Any], members: dict[str, bytes]) -> None:
        zeros, text = pa.array(np.zeros(9_000_000, np.int8)), pa.array(["0" * 64])
        repeated = pa.DictionaryArray.from_arrays(zeros, text)
        stream = pa.BufferOutputStream()
        pq.write_table(pa.table({"digest": repeated, "x": zeros}), stream, compression="zstd", store_schema=False)
        members[min(name for name in members if name.startswith("inputs/"))] = stream.getvalue().to_pybytes()

    path = resigned(averages, tmp_path / "R-1.zip", bomb)
    assert path.stat().st_size < 500_000
    with pytest.raises(BundleBroken, match=r"inputs/[0-9a-f]{64}\.parquet: unpacks to more than a shard may hold"):
        verified(averages, path)


def in_code(change: Callable[[dict[str, bytes], str], object]) -> Change:
    """Change the members below ``code/``, given with the name of the listing."""

    def edit(predicate: dict[str, Any], members: dict[str, bytes]) -> None:
        code = {note["recipe"]["code"] for note in json.loads(members["recipes.json"])}
        change(members, f"code/{code.pop()}.bin")

    return edit


def _other_file(members: dict[str, bytes], listing: str) -> None:
    (name,) = (name for name in members if name.startswith("code/") and name != listing)
    members[name] += b"\n"


def _lost_file(members: dict[str, bytes], listing: str) -> None:
    (name,) = (name for name in members if name.startswith("code/") and name != listing)
    del members[name]


WRONG_CODE: dict[str, tuple[Callable[[dict[str, bytes], str], object], str]] = {
    "another file": (_other_file, r"code/[0-9a-f]{64}\.bin is not what has that digest"),
    "a file is missing": (_lost_file, r"code/[0-9a-f]{64}\.bin is missing, and the code of a recipe lists it"),
    "the listing is missing": (lambda members, listing: members.pop(listing), "unexpected file code/.*no recipe read"),
    "no listing": (lambda members, listing: members.update({listing: b"[]x"}), r"bin is not the listing of a tree"),
    "code of no recipe": (lambda members, _: members.update({f"code/{'0' * 64}.bin": b""}), "unexpected file code/000"),
}


@pytest.mark.parametrize("wrong", WRONG_CODE)
def test_code_in_a_bundle_is_what_recipes_name(averages: Removal, tmp_path: Path, wrong: str) -> None:
    change, said = WRONG_CODE[wrong]
    path = resigned(averages, tmp_path / "R-1.zip", in_code(change))
    with pytest.raises(BundleBroken, match=said):
        verify_bundle(path, public_key=averages.workspace.home / "public.pem")


def test_other_bits_of_what_promises_none_accuse_nobody(averages: Removal, tmp_path: Path) -> None:
    """The recipe says so when it was made: here it is put there afterwards, and the weights are no recipe's."""
    path = lying(averages, tmp_path / "R-1.zip", shift=0.05)
    path = resigned(
        averages, path, in_recipes(lambda notes: [note["recipe"].update(deterministic=False) for note in notes]), path
    )
    with pytest.raises(InputsMissing, match=r"has other bits here, and it was trained with .*--level attestations"):
        verified(averages, path)


def test_data_changed_in_the_workspace_is_named(averages: Removal, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(averages.workspace.root, copy)
    shards = sorted((copy / "shards").glob("*.parquet"))
    shutil.copy(shards[0], shards[1])
    with pytest.raises(DigestMismatch, match="was changed in the workspace"):
        verify_bundle(averages.plain, level="reexecute", workspace_folder=copy)


def lying(removal: Removal, path: Path, *, shift: float, **environment: Any) -> Path:
    """A removal whose report names weights that no recipe makes, everything else derived from them and signed."""
    workspace = removal.workspace
    case = case_of(workspace, "R-1")
    plan = plan_of(workspace, case)
    report = report_case(workspace, plan, case, gather(workspace, plan, case))
    ((release, composition),) = report.compositions.items()
    victim = next(member for member in composition.members if "/mean/" in member.name or "/tangent/" in member.name)
    tensors = load_tensors(workspace.objects.get(victim.component))
    name = next(name for name in sorted(tensors) if tensors[name].dtype.kind == "f")
    moved = {**tensors, name: (tensors[name] * (1 + shift)).astype(tensors[name].dtype)}
    weights = save_tensors(moved)
    digest = sha256(weights).hexdigest()
    members = [replace(m, component=digest) if m.name == victim.name else m for m in composition.members]
    changed = replace(composition, members=in_member_order(members))
    others = [note for note in report.recipes if note.component != victim.component]
    (note,) = (note for note in report.recipes if note.component == victim.component)
    note = replace(note, component=digest, environment={**note.environment, **environment})
    recipes = tuple(sorted([*others, note], key=lambda each: each.component))
    evidence = replace(report.evidence, after={release: changed.digest})
    certificate = issue(
        evidence, plan=plan, decision=report.decision, steps_done=case.steps[plan.digest], guarantee=plan.guarantee
    )
    attached = {
        name: data for name, data in read_members(removal.handed).items() if name.startswith(("inputs/", "weights/"))
    }
    del attached[f"weights/{victim.component}.safetensors"]
    attached[f"weights/{digest}.safetensors"] = weights
    lie = replace(
        report, evidence=evidence, certificate=certificate, compositions={release: changed}, recipes=recipes,
        attached=attached,
    )  # fmt: skip
    return write_zip(path, lie, key=key_of(workspace))


def test_weights_no_recipe_makes_hold_on_paper_and_not_in_re_execution(averages: Removal, tmp_path: Path) -> None:
    """The honest-operator assumption, shown: everything signed fits together, and the model is another one."""
    path = lying(averages, tmp_path / "R-1.zip", shift=1e-6)
    assert verify_bundle(path, level="ledger").verdict == "certified"
    with pytest.raises(BundleBroken, match="is not what its recipe makes: re-executed in an environment like the rec"):
        verified(averages, path)


def test_a_claim_of_another_machine_does_not_excuse_other_weights(averages: Removal, tmp_path: Path) -> None:
    path = lying(averages, tmp_path / "R-1.zip", shift=0.05, machine="aarch64")
    with pytest.raises(BundleBroken, match=r"in another environment \(machine was aarch64.*times the tolerance away"):
        verified(averages, path)
    near = lying(averages, tmp_path / "R-2.zip", shift=1e-5, processor="Neoverse")
    found = verified(averages, near).reexecution
    assert found is not None
    assert found.outcome == "within tolerance"
    assert found.equal == found.components - 1
    assert "within tolerance only" in found.words


def test_without_recorded_weights_other_bits_elsewhere_stay_unexplained(averages: Removal, tmp_path: Path) -> None:
    path = lying(averages, tmp_path / "R-1.zip", shift=1e-5, processor="Neoverse")

    def keep_weights(predicate: dict[str, Any], members: dict[str, bytes]) -> None:
        for name in [name for name in members if name.startswith("weights/")]:
            del members[name]

    resigned(averages, path, keep_weights, path)
    with pytest.raises(InputsMissing, match="without its recorded weights"):
        verified(averages, path)


HOSTILE: list[tuple[tuple[Any, ...], Any]] = [
    (("method",), "no such method"), (("method",), []), (("version",), "0"), (("version",), None),
    (("parameters",), []), (("threads",), "many"), (("kind",), {}), (("question",), {"a": 1}), (("layout",), {}),
    (("uses", 0, "digest"), "../x"), (("uses", 0, "of"), "secret"), (("uses",), {}), (("uses",), 7),
    (("code",), "../x"), (("code",), []), (("code",), "0" * 64), (("entry",), 7),
    (("device",), "tpu"), (("device",), {}),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), HOSTILE, ids=repr)
def test_a_hostile_recipe_ends_in_one_line(
    averages: Removal, tmp_path: Path, place: tuple[Any, ...], value: Any
) -> None:
    def change(recipes: list[Any]) -> None:
        recipes[0]["recipe"] = put({place[0]: None, **recipes[0]["recipe"]}, place, value)

    path = resigned(averages, tmp_path / "R-1.zip", in_recipes(change))
    with pytest.raises((BundleBroken, InputsMissing)) as told:
        verified(averages, path)
    assert "\n" not in str(told.value)


def disgorge(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("disgorge")), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


STEERED = (
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    {"MKL_CBWR": "COMPATIBLE"},
)
"""What a shell may say about kernels."""


@pytest.mark.parametrize("variables", STEERED[: amount(1, 3)], ids=repr)
def test_no_shell_steers_the_kernels_of_a_verification(tangents: Removal, variables: dict[str, str]) -> None:
    key = str(tangents.workspace.home / "public.pem")
    found = disgorge("verify", str(tangents.handed), "--level", "reexecute", "--key", key, **variables)
    said = [line for line in found.stderr.splitlines() if not line.startswith("still running")]  # on a busy machine
    assert (found.returncode, said) == (0, [])
    assert "are equal bit for bit" in found.stdout


def test_parts_made_elsewhere_are_not_accused_and_not_called_equal(tangents: Removal, tmp_path: Path) -> None:
    """For real: re-executed with the plainest kernels, as on a processor that has no others."""
    key = str(tangents.workspace.home / "public.pem")
    plain_kernels = {"variables": {"ATEN_CPU_CAPABILITY": "default"}, "kernels": {"aten": "NEON"}}
    path = resigned(tangents, tmp_path / "R-1.zip", with_environment(**plain_kernels))
    other = disgorge("verify", str(path), "--level", "reexecute", "--key", key)
    assert other.returncode == 4, other.stderr
    assert "within tolerance, not bit for bit" in other.stdout
    assert "aten was NEON and is DEFAULT" in other.stdout
    nothing = disgorge("verify", str(tangents.plain), "--level", "reexecute", "--key", key)
    assert nothing.returncode == 2
    assert nothing.stderr.startswith("error: the retained data to train from is not in the bundle")


def test_the_default_tolerance_is_far_from_rounding_and_far_from_a_removal(tangents: Removal, tmp_path: Path) -> None:
    """A component trained with three of twelve items more is tens of times beyond it."""
    workspace = Workspace.init(tmp_path / "whole")
    toy = toys.toy_of("tangent_composition", 0)
    toys.populate(workspace, toy, tmp_path / "source")
    before = {component.name: component.digest for component in toys.train(workspace, toy).components}
    ((_, after),) = json.loads(read_members(tangents.plain)["compositions.json"]).items()
    pairs = [(before[member["name"]], member["component"]) for member in after["members"]]
    moved = [
        apart(load_tensors(tangents.workspace.objects.get(new)), load_tensors(workspace.objects.get(old)), DEFAULT)
        for old, new in pairs
        if old != new
    ]
    assert moved
    assert min(moved) > 10


@pytest.mark.parametrize(
    ("again", "beyond"),
    [
        ({"w": np.ones(3, np.float32)}, False),
        ({"w": np.ones(3, np.float32) * np.float32(1.0005)}, False),
        ({"w": np.ones(3, np.float32) * np.float32(1.1)}, True),
        ({"w": np.array([1, 1, np.nan], np.float32)}, True),
        ({"w": np.ones(4, np.float32)}, True),
        ({"w": np.ones(3, np.float64)}, True),
        ({"v": np.ones(3, np.float32)}, True),
        ({}, True),
    ],
)
def test_tolerance_looks_at_names_shapes_types_and_values(again: dict[str, Any], beyond: bool) -> None:
    assert (apart({"w": np.ones(3, np.float32)}, again, DEFAULT) > 1) is beyond


def test_whole_numbers_are_equal_or_not() -> None:
    one, two = {"n": np.array([1, 2])}, {"n": np.array([1, 3])}
    assert apart(one, one, DEFAULT) == 0
    assert apart(one, two, DEFAULT) == float("inf")


def test_a_small_tensor_cannot_hide_among_large_ones() -> None:
    old = {"large": np.ones(10_000, np.float32), "small": np.full(2, 1e-3, np.float32)}
    assert apart(old, {**old, "small": old["small"] * 2}, DEFAULT) > 1


# What was re-executed once


def never_trained(workspace: Workspace) -> Check:
    """The last check of that name."""
    (*_, last) = workspace.ledger.facts("examination")
    checks = kept_record(workspace, Examination, last.body["examination"]).checks
    return next(check for check in checks if check.name == "never-trained")


def contaminated(workspace: Workspace) -> Component:
    """Put a part into the release whose weights no recipe makes, under a shard nobody asks to remove; return it."""
    part, composition = toys.component_of(workspace, f"{toys.RELEASE}/mean/shard-4"), toys.composition_of(workspace)
    tensors = load_tensors(workspace.objects.get(part.digest))
    digest = workspace.objects.put(save_tensors({**tensors, "sums": tensors["sums"] + 0.25}))
    foul = replace(part, digest=digest)
    members = [replace(m, component=digest) if m.name == part.name else m for m in composition.members]
    other = replace(composition, members=in_member_order(members))
    workspace.ledger.append("component", {"component": plain(foul)})
    workspace.ledger.append("composition", {"composition": plain(other)})
    workspace.ledger.append("release", {"name": toys.RELEASE, "alias": "live", "composition": other.digest})
    return foul


def test_an_attestation_of_another_part_spares_nothing(workspace: Workspace) -> None:
    """Contaminated weights, recorded by hand under an honest recipe, and the attestation of a part that has one."""
    foul = contaminated(workspace)
    (said, *_) = [said for _, said in workspace.ledger.said(AttestedFact) if said.component != foul.digest]
    workspace.ledger.record(replace(said, component=foul.digest, recipe=foul.recipe_digest))
    assert {finding.id for finding in audit(workspace)} >= {"DSG023"}
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    with pytest.raises(CertificateRefused, match=r"never-trained is fail.*mean/shard-4 differs"):
        toys.carry(workspace)


def test_what_was_shown_once_stands_and_is_counted(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    first = toys.carry(workspace)
    assert "5 trained again from nothing" in never_trained(workspace).answer
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 0)], request_id="R-2")
    second = toys.carry(workspace, "R-2")
    check = never_trained(workspace)
    counted = "1 trained again from nothing without the data, equal bit for bit; 4 by attestations"
    assert counted in check.answer
    assert (check.detail["run now"], check.detail["standing on attestations"]) == (1, 4)
    for done, words in ((first, "5 trained again from nothing"), (second, counted)):
        assert words in (done.bundle / "report.html").read_text()
        assert words in json.dumps(json.loads((done.bundle / "evidence.json").read_text()))

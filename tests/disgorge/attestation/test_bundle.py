"""A report carries the attestations of its components, and ``verify --level attestations`` needs nothing else."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from disgorge.attestation.provenance import Attestation, attestation_of
from disgorge.attestation.record import attest_done
from disgorge.errors import BundleBroken
from disgorge.facts import AttestedFact
from disgorge.report.compile import write_again
from disgorge.request.case import case_of
from disgorge.statement.bundle_zip import ATTESTATIONS, pack, read_members
from disgorge.statement.signing import new_key, open_envelope, read_key, sign
from disgorge.verify.attestations import check_attestations
from disgorge.verify.bundle import check_bundle
from disgorge.verify.verify import Verified, open_members, verify_bundle
from lineage.workspace import Workspace
from policies.taxonomy import Confinement
from tests import toys
from tests.disgorge.attestation.cases import Done, Reached
from tests.disgorge.cli.conftest import run
from tests.disgorge.report_cases import sign_again


@dataclass(frozen=True)
class Removal:
    """A workspace whose components were attested after a removal, and the report written again with that."""

    workspace: Workspace
    bundle: Path

    @property
    def public(self) -> bytes:
        """The key to verify with."""
        return (self.workspace.home / "public.pem").read_bytes()


def attest_all(workspace: Workspace, level: Confinement) -> None:
    """Attest one run of every component that there is, at a level, in place of what was attested."""
    toys.rewrite(workspace, lambda fact: None if fact.kind == AttestedFact.kind_of_fact else fact.body)
    for entry in workspace.ledger.state().components.values():
        workspace.ledger.record(*attest_done(workspace, entry.record, Done(Reached(level))))


@pytest.fixture(scope="module")
def removal(tmp_path_factory: pytest.TempPathFactory) -> Removal:
    workspace = toys.trained_toy(tmp_path_factory.mktemp("attested"), method="averages", seed=0, clock=None)
    shard = toys.toy_of("averages", 0).spec.shards[0]
    toys.remove(workspace, [toys.person(workspace, shard, 0)])
    attest_all(workspace, Confinement.NAMESPACE)
    written = write_again(workspace, case_of(workspace, "R-1"))
    return Removal(workspace, written.bundle.with_name("R-1.zip"))


def verified(removal: Removal, bundle: Path | None = None) -> Verified:
    """Verify the attestations with the workspace's public key."""
    return verify_bundle(bundle or removal.bundle, public_key=removal.public, level="attestations")


def test_the_bundle_and_the_public_key_are_enough(removal: Removal, tmp_path: Path) -> None:
    elsewhere = tmp_path / "R-1.zip"
    elsewhere.write_bytes(removal.bundle.read_bytes())
    words = verified(removal, elsewhere).checked[-1]
    assert "by signed attestations of the runs that made them, at level namespace or closer" in words
    assert verified(removal, removal.bundle.with_suffix("")).checked[-1] == words


def test_nothing_heavy_is_loaded(removal: Removal, tmp_path: Path) -> None:
    key = removal.workspace.home / "public.pem"
    code = (
        "import sys; from disgorge.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print('loaded:', *sys.modules)"
    )
    command = [
        sys.executable, "-c", code, "verify", str(removal.bundle), "--level", "attestations", "--key", str(key),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "by signed attestations of the runs that made them" in " ".join(ran.stdout.split())
    loaded = {name.partition(".")[0] for name in ran.stdout.rpartition("loaded:")[2].split()}
    assert not loaded & {"torch", "mlflow", "dvc", "pandas", "great_expectations"}


def test_other_levels_say_that_attestations_were_not_checked(
    removal: Removal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("verify", str(removal.bundle))
    assert (ran.code, "--level attestations" in " ".join(ran.out.split())) == (0, True)
    ran = run("verify", str(removal.bundle), "--level", "attestations", "--workspace", str(removal.workspace.root))
    assert (ran.code, "--workspace is compared from --level ledger on" in ran.err) == (2, True)


# --- what a dishonest maker signs again, with the real key ---

Change = Callable[[Removal, dict[str, Any], dict[str, bytes]], str]


def envelopes(removal: Removal, members: dict[str, bytes]) -> Iterator[tuple[str, Attestation]]:
    """The attestations in a bundle, by the names of their files."""
    for name, data in [*members.items()]:
        if name.startswith(ATTESTATIONS) and name.endswith(".json"):
            yield name, attestation_of(open_envelope(data, public=removal.public).statement)


def changed(removal: Removal, members: dict[str, bytes], key: Any, **changes: Any) -> str:
    """Replace the first attestation by one that says something else; return its new name and the component's."""
    name, made = next(envelopes(removal, members))
    data = sign(replace(made, **changes).statement(), key=key)
    del members[name]
    members[f"{ATTESTATIONS}{sha256(data).hexdigest()}.json"] = data
    return made.name


def real_key(removal: Removal) -> Any:
    """The private key of the workspace."""
    return read_key(removal.workspace.home / "private" / "signing.pem")


def none(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    for name in [name for name in members if name.startswith(ATTESTATIONS)]:
        del members[name]
    return "it has no attestation, and is shown by the operator's record"


def none_of_an_ancestor(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    used = {digest for _, made in envelopes(removal, members) for digest in made.inputs}
    name, made = next((name, made) for name, made in envelopes(removal, members) if made.component in used)
    del members[name]
    return f"{made.name}: it has no attestation"


def foreign(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    changed(removal, members, new_key())
    return "its attestation is signed by a foreign key"


def other_workspace(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    changed(removal, members, real_key(removal), workspace="00" * 32)
    return "its attestation is of another workspace"


def other_code(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    _, made = next(envelopes(removal, members))
    name = changed(removal, members, real_key(removal), recipe={**made.recipe, "code": "0c" * 32})
    return f"{name}: its attestation is for other code"


def other_component(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    changed(removal, members, real_key(removal), component="00" * 32)
    return "it is not an attestation of the report's components"


def later_run(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    changed(removal, members, real_key(removal), run=2)
    return "it is run 2 of its recipe, and not what the first completed run made"


def edited(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    (name, _), (_, other) = list(envelopes(removal, members))[:2]
    envelope = json.loads(members.pop(name))
    envelope["payload"] = json.loads(sign(other.statement(), key=new_key()))["payload"]
    data = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    members[f"{ATTESTATIONS}{sha256(data).hexdigest()}.json"] = data
    return "its attestation was edited: its signature does not hold"


def misnamed(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    name, _ = next(envelopes(removal, members))
    members[f"{ATTESTATIONS}{'00' * 32}.json"] = members.pop(name)
    return "it is not an attestation of the report's components"


def no_workspace(removal: Removal, predicate: dict[str, Any], members: dict[str, bytes]) -> str:
    del predicate["ledger"]["first"]
    return "the report names no workspace"


LIES: tuple[Change, ...] = (
    none, none_of_an_ancestor, foreign, other_workspace, other_code, other_component, later_run, edited, misnamed,
    no_workspace,
)  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__.replace("_", " "))
def test_a_report_whose_attestations_do_not_hold_is_refused(removal: Removal, lie: Change, tmp_path: Path) -> None:
    said = []
    path = tmp_path / "R-1.zip"
    members = sign_again(
        read_members(removal.bundle),
        real_key(removal),
        lambda predicate, members: said.append(lie(removal, predicate, members)),
    )
    path.write_bytes(pack(members))
    assert verify_bundle(path, public_key=removal.public).verdict == "certified"
    with pytest.raises(BundleBroken) as refused:
        verified(removal, path)
    assert said[0] in str(refused.value)


def test_a_report_that_names_another_workspace_is_refused_by_the_ledger(removal: Removal, tmp_path: Path) -> None:
    """As one would have to, for attestations of another workspace to stand in it."""
    path = tmp_path / "R-1.zip"
    members = sign_again(
        read_members(removal.bundle),
        real_key(removal),
        lambda predicate, members: predicate["ledger"].update(first="00" * 32),
    )
    path.write_bytes(pack(members))
    with pytest.raises(BundleBroken, match="names another workspace than that of the ledger in"):
        verify_bundle(path, public_key=removal.public, level="ledger", workspace_folder=removal.workspace.root)


def test_a_changed_file_is_refused_at_every_level(removal: Removal, tmp_path: Path) -> None:
    members = read_members(removal.bundle)
    name = next(name for name in members if name.startswith(ATTESTATIONS) and name.endswith(".json"))
    members[name] = members[name].replace(b"e", b"f", 1)
    path = tmp_path / "R-1.zip"
    path.write_bytes(pack(members))
    with pytest.raises(BundleBroken, match="was edited: its SHA-256 is not the one signed"):
        verify_bundle(path, public_key=removal.public)


def test_old_attestations_verify_under_the_old_key_once_it_changed(removal: Removal, tmp_path: Path) -> None:
    """The new report names the earlier key's file; nothing but the new public key is needed."""
    root = tmp_path / "copy"
    shutil.copytree(removal.workspace.root, root)
    for file in ("public.pem", "private/signing.pem"):
        (root / ".disgorge" / file).unlink()
    workspace = Workspace.open(root)
    bundle = write_again(workspace, case_of(workspace, "R-1")).bundle
    public = (workspace.home / "public.pem").read_bytes()
    assert public != removal.public
    found = verify_bundle(bundle, public_key=public, level="attestations")
    assert "by signed attestations" in found.checked[-1]


def test_an_attestation_that_does_not_hold_is_left_out_of_a_report(removal: Removal, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(removal.workspace.root, root)
    workspace = Workspace.open(root)
    name, _ = next(envelopes(removal, read_members(removal.bundle)))
    workspace.objects.path(name.removeprefix(ATTESTATIONS).removesuffix(".json")).unlink()
    members = read_members(write_again(workspace, case_of(workspace, "R-1")).bundle)
    assert name not in members
    assert any(each.startswith(ATTESTATIONS) for each in members)


def test_a_level_below_what_the_decision_demands_is_refused(removal: Removal, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(removal.workspace.root, tmp_path / "workspace")))
    attest_all(workspace, Confinement.LANDLOCK)
    members = read_members(write_again(workspace, case_of(workspace, "R-1")).bundle)
    bundle = check_bundle(open_members(members, removal.bundle, public=removal.public), members)
    with pytest.raises(BundleBroken, match="at level landlock equal bits are demanded, and no second run"):
        check_attestations(bundle, public=removal.public)
    owed = bundle.records.decision.owed
    assert owed is not None
    decision = replace(bundle.records.decision, owed=replace(owed, confinement=Confinement.NAMESPACE))
    strict = replace(bundle, records=replace(bundle.records, decision=decision))
    with pytest.raises(BundleBroken, match="made at level landlock, and namespace is demanded; --level reexecute"):
        check_attestations(strict, public=removal.public)

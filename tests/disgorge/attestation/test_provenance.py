"""The statement of an attestation: its own reader is strict, and generic in-toto libraries accept it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

import disgorge.statement as statement_schemas
from disgorge.attestation.provenance import Attestation, attestation_of
from disgorge.errors import DisgorgeError
from disgorge.facts import AttestedFact
from lineage.records import canonical, digest_of
from lineage.workspace import Workspace
from policies.taxonomy import Confinement
from tests.disgorge.attestation.cases import ENVIRONMENT, attested, part, workspace_in


def made(**changes: Any) -> Attestation:
    """An attestation with every field filled."""
    uses = [
        {"of": "shard", "digest": "ab" * 32, "role": "train"},
        {"of": "component", "digest": "cd" * 32, "role": "initialize"},
    ]
    whole = Attestation(
        component="01" * 32, name="digits/head", recipe={"method": "toy", "code": "c0" * 32, "uses": uses},
        environment=ENVIRONMENT, level=Confinement.NAMESPACE, gaps=("without /proc",), workspace="ef" * 32, run=2,
        checkpoint="c4" * 32, started="2026-11-30T12:00:00.000000Z", ended="2026-11-30T12:02:00.000000Z",
        builder="0.1.0",
    )  # fmt: skip
    return replace(whole, **changes)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)


@pytest.mark.parametrize("changes", [{}, {"environment": {}}, {"gaps": (), "checkpoint": ""}, {"recipe": {}}])
def test_it_is_read_back_as_it_was_written(changes: dict[str, Any]) -> None:
    attestation = made(**changes)
    assert attestation_of(json.loads(canonical(attestation.statement()))) == attestation


def test_the_environments_digest_covers_the_distributions() -> None:
    environment = made().statement()["predicate"]["runDetails"]["byproducts"][0]
    assert environment["digest"]["sha256"] == digest_of(ENVIRONMENT)
    assert "distributions" not in environment["annotations"]


def at(*keys: Any) -> Callable[[Any], Any]:
    """A way into a statement."""

    def walk(statement: Any) -> Any:
        for key in keys:
            statement = statement[key]
        return statement

    return walk


DETAILS = ("predicate", "runDetails")
CHANGES: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (at(), "extra", 1),
    (at(), "_type", "https://in-toto.io/Statement/v0.1"),
    (at(), "predicateType", "https://slsa.dev/provenance/v0.2"),
    (at("subject"), 0, {"name": "x"}),
    (at("subject", 0, "digest"), "sha512", "00"),
    (at("predicate", "buildDefinition"), "buildType", "urn:other"),
    (at("predicate", "buildDefinition", "externalParameters"), "more", 1),
    (at("predicate", "buildDefinition", "externalParameters"), "code", "00" * 32),
    (at("predicate", "buildDefinition", "resolvedDependencies", 0, "digest"), "sha256", "00" * 32),
    (at("predicate", "buildDefinition", "resolvedDependencies"), 2, {"annotations": {"kind": "shard"}}),
    (at(*DETAILS, "builder"), "id", "urn:other"),
    (at(*DETAILS, "metadata"), "invocationId", "1"),
    (at(*DETAILS, "byproducts", 0, "annotations"), "machine", "aarch64"),
    (at(*DETAILS, "byproducts", 1, "annotations"), "run", 1),
    (at(*DETAILS, "byproducts", 1, "annotations"), "run", 2.0),
    (at(*DETAILS, "byproducts", 1, "annotations"), "resumed", 1),
    (at(*DETAILS, "byproducts", 1, "annotations"), "resumed", False),
    (at(*DETAILS, "byproducts", 1, "annotations"), "confinement", "hermetic"),
    (at(*DETAILS, "byproducts", 1, "annotations"), "workspace", "00" * 32),
]


@pytest.mark.parametrize(("place", "key", "value"), CHANGES, ids=lambda value: str(value)[:20])
def test_a_statement_that_says_otherwise_or_more_is_none(place: Callable[[Any], Any], key: Any, value: Any) -> None:
    statement = json.loads(canonical(made().statement()))
    place(statement)[key] = value
    with pytest.raises(ValueError, match="attestation of a component"):
        attestation_of(statement)


@pytest.mark.parametrize(
    "changes",
    [
        {"component": ["ab"]}, {"name": 7}, {"workspace": None}, {"gaps": (1,)}, {"started": 0}, {"builder": []},
        {"recipe": {"uses": [{"of": "shard", "digest": ["ab"], "role": "train"}]}},
        {"recipe": {"uses": [{"of": "shard", "digest": 7, "role": "train"}]}}, {"recipe": {"uses": 7}},
        {"environment": {"distributions": {"torch": {"version": "1", "record": 7}}}},
    ],
)  # fmt: skip
def test_what_has_not_the_types_of_one_is_none(changes: dict[str, Any]) -> None:
    """Signed nonsense, written just as an attestation is."""
    whole = made(recipe={"uses": []}, environment={})
    if isinstance(uses := changes.get("recipe", {}).get("uses"), int):
        statement = whole.statement()
        statement["predicate"]["buildDefinition"]["externalParameters"]["recipe"]["uses"] = uses
    else:
        statement = replace(whole, **changes).statement()
    with pytest.raises(ValueError, match="attestation of a component"):
        attestation_of(json.loads(canonical(statement)))


def test_a_checkpoint_is_never_taken_for_a_component_nor_the_other_way_round() -> None:
    for unfinished in (False, True):
        statement = json.loads(canonical(made(unfinished=unfinished).statement()))
        assert attestation_of(statement, unfinished=unfinished).unfinished is unfinished
        with pytest.raises(ValueError, match="attestation of a component"):
            attestation_of(statement, unfinished=not unfinished)


@pytest.mark.parametrize("nonsense", [None, [], {}, {"subject": []}, {"subject": [1], "predicate": 1}])
def test_what_is_no_statement_is_refused(nonsense: Any) -> None:
    with pytest.raises(ValueError, match="attestation of a component"):
        attestation_of(nonsense)


def test_generic_libraries_verify_and_read_it(workspace: Workspace) -> None:
    """The envelope with securesystemslib, statement and predicate with in-toto's own types; no code of ours reads."""
    base = part(workspace, "digits/base", "alice", "bob", code="c0" * 32)
    fact = attested(workspace, base)
    envelope = Envelope.from_dict(json.loads(workspace.objects.get(fact.attestation)))
    public = load_pem_public_key((workspace.home / "public.pem").read_bytes())
    envelope.verify([SSlibKey.from_crypto(public)], 1)

    told = json.loads(envelope.payload)
    statement = Statement.copy_from_pb(json_format.ParseDict(told, statement_pb2.Statement()))
    statement.validate()
    assert statement.pb.subject[0].digest["sha256"] == base.digest
    assert statement.pb.predicate_type == "https://slsa.dev/provenance/v1"
    provenance = json_format.ParseDict(told["predicate"], Provenance())  # refuses fields that SLSA does not have
    dependencies = {each.digest["sha256"] for each in provenance.build_definition.resolved_dependencies}
    assert {use.digest for use in base.uses} | {"5e" * 32} == dependencies
    assert provenance.build_definition.resolved_dependencies[2].uri == "pkg:pypi/torch@2.13.0%2Bcpu"
    assert provenance.build_definition.external_parameters["code"] == "c0" * 32
    assert provenance.run_details.metadata.started_on.ToJsonString() == "2026-11-30T12:00:00Z"
    (run,) = (each for each in provenance.run_details.byproducts if each.name == "run")
    assert (run.annotations["confinement"], run.annotations["run"]) == ("namespace", 1)


def test_what_could_not_be_read_is_not_attested(workspace: Workspace) -> None:
    base = part(workspace, "base", "alice", environment={"distributions": {"torch": {"version": "1"}}})
    with pytest.raises(DisgorgeError, match="base: the run that made it cannot be attested"):
        attested(workspace, base)
    assert not list(workspace.ledger.said(AttestedFact))


def names_in(value: Any) -> set[str]:
    """Every name of a field in a statement, but for those of the recipe and the environment, which are the user's."""
    if isinstance(value, list):
        return {name for each in value for name in names_in(each)}
    if not isinstance(value, dict):
        return set()
    own = {} if value.get("name") == "environment" else {name: each for name, each in value.items() if name != "recipe"}
    return {*value} | {name for each in own.values() for name in names_in(each)}


def test_the_page_names_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs" / "attestations.md").read_text()
    attestation, _, removal = page.partition("## The removal statement")
    assert {name for name in names_in(made().statement()) if name not in attestation} == set()
    schema = Path(statement_schemas.__file__).parent / "schemas" / "removal-v6.json"
    assert {name for name in json.loads(schema.read_text())["properties"] if f"| `{name}` |" not in removal} == set()

"""Words that decide, on the command line: facts, regimes, legal bases and licenses."""

from pathlib import Path

import pytest

from disgorge.request.workflow.filing import file_request
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from policies.errors import BadRequest
from policies.packs.load import load_packs
from policies.request import Standing
from policies.taxonomy import Defect
from tests.disgorge.cli.conftest import CLAIM, fine, refused, untouched
from tests.disgorge.cli.test_request import own_pack

ASKED = "request file --standing contributor --ground contract --shard shard-2 --verified"
CONTRACT = f"{ASKED} --regime contract --id R-1"
CSV = "key,who,x,license\na,ann,1,MIT\nb,bob,2,our terms of 2019\n"
ADD = "shard add a.csv --key key --subject who --fields x --no-check --no-dvc"


def test_every_regime_that_is_given_is_claimed_under(workspace_folder: Path) -> None:
    """Case of public origin: The Stack, opt-out 7084 (2026-08-01), "Pursuant to Art. 17 GDPR and copyright law"."""
    two = fine(f"{CLAIM} --regime GDPR --regime Copyright --id R-2 --json").json["request"]
    assert (two["regime"], two["facts"]) == ("gdpr", {"also_under": "copyright"})
    assert set(fine("request decide R-2 --json").json["claims"][0]) >= {"pack", "outcome"}
    assert [claim["pack"] for claim in fine("request show R-2 --json").json["decision"]["claims"]] == [
        "copyright", "gdpr",
    ]  # fmt: skip
    assert "gdpr, copyright" in fine("request list").out
    assert "regime    gdpr, copyright" in fine("request show R-2").out
    three = fine(f"{CLAIM} --regime gdpr --regime ccpa --fact also_under=Contract --json").json["request"]
    assert three["facts"] == {"also_under": "contract, ccpa"}
    amended = fine("request amend R-2 --regime ccpa --regime gdpr --json").json["request"]
    assert (amended["regime"], amended["facts"]) == ("ccpa", {"also_under": "gdpr"})
    with untouched(workspace_folder):
        assert "unknown regime 'gdrp'" in refused(f"{CLAIM} --regime ccpa --regime gdrp")


def test_every_mistaken_fact_is_named_at_once(workspace_folder: Path) -> None:
    said = refused(CONTRACT, "--fact", "irrevocable=yes", "--fact", "contract_days=soon")
    assert "unknown fact 'irrevocable'" in said
    assert "the fact contract_days must be" in said


def test_facts_are_recorded_as_what_they_are_declared(workspace_folder: Path) -> None:
    typed = ("license_irrevocable=Yes", "contract_days=30", "order_reference=0123", "order_deadline=2026-12-01",
             "gdpr_exception=B", "made_public=no")  # fmt: skip
    told = fine(CONTRACT, *(word for fact in typed for word in ("--fact", fact)), "--json").json
    assert told["request"]["facts"] == {
        "license_irrevocable": True, "contract_days": 30, "order_reference": "0123", "order_deadline": "2026-12-01",
        "gdpr_exception": "b", "made_public": False,
    }  # fmt: skip


def test_an_irrevocable_license_said_with_yes_is_denied(workspace_folder: Path) -> None:
    """Case of public origin: CC BY 4.0 (2013-11-25), Section 2(a)(1): the license is irrevocable."""
    fine(CONTRACT, "--fact", "license_irrevocable=yes")
    assert fine("request decide R-1 --json").json["outcome"] == "denied"


def test_a_request_file_is_held_to_the_same_facts(workspace_folder: Path) -> None:
    text = "standing: internal\nground: bias\nregime: quality\nselectors: {shard: shard-1}\n"
    Path("r.yaml").write_text(text + "facts: {poisoned: yes, quality_days: 3, order_deadline: 2026-12-01}\n")
    told = fine("request file --from r.yaml --json").json
    assert told["request"]["facts"] == {"poisoned": True, "quality_days": 3, "order_deadline": "2026-12-01"}


def test_the_python_api_is_held_to_the_same_facts(workspace_folder: Path) -> None:
    workspace = Workspace.open()

    def filed(**more: object) -> None:
        asked = {"regime": "contract", "selectors": [Selector("shard", "shard-2")]} | more
        file_request(workspace, standing=Standing.CONTRIBUTOR, ground=Defect.CONTRACT, **asked)

    with untouched(workspace_folder):
        with pytest.raises(BadRequest, match="unknown fact 'irrevocable'; nearest: license_irrevocable"):
            filed(facts={"irrevocable": True})
        with pytest.raises(BadRequest, match="must be true or false"):
            filed(facts={"license_irrevocable": 1})
        with pytest.raises(BadRequest, match="unknown regime 'martian-law'"):
            filed(regime="martian-law")


def test_a_pack_of_ones_own_extends_what_is_known(workspace_folder: Path) -> None:
    packs = own_pack()
    mine = (ASKED, "--key", "shard-2-0", "--regime", "mine-2026", "--fact", "notice_served=yes", "--fact", "plan=Gold")
    with untouched(workspace_folder):
        assert "unknown regime" in refused(*mine)
    told = fine(*mine, "--json", "--id", "R-1", *packs).json
    assert told["request"]["facts"] == {"notice_served": True, "plan": "gold"}
    assert fine("request decide R-1", *packs, "--json").json["outcome"] == "granted"
    with untouched(workspace_folder):  # without its pack it would be decided as if no rule existed for it
        event = ("event", "--by", "ann", "--fact", "plan=gold")
        for verb, *more in (("decide",), ("extend", "--reason", "many requests"), event):
            assert "unknown regime 'mine-2026'" in refused("request", verb, "R-1", *more)
    fine("request event R-1 noted --by ann --fact plan=gold", *packs)


def test_a_request_under_two_laws_is_decided_by_both_or_not_at_all(workspace_folder: Path) -> None:
    _, folder = own_pack()
    fine("policy new second-law --into", folder)
    mine = (ASKED, "--key", "shard-2-0", "--regime", "mine-2026", "--regime", "second-law", "--packs", folder)
    fine(*mine, "--id", "R-1")
    with untouched(workspace_folder):
        said = refused(f"request decide R-1 --packs {folder}/second-law.yaml")
    assert "unknown regime 'mine-2026'" in said
    with untouched(workspace_folder):
        said = refused(f"request decide R-1 --packs {folder}/mine.yaml")
    assert "unknown regime 'second-law'" in said
    claims = fine("request decide R-1 --packs", folder, "--json").json["claims"]
    assert {claim["pack"]: claim["outcome"] for claim in claims} == {"mine": "granted", "second-law": "needs-review"}


def test_the_facts_are_listed_with_type_meaning_and_pack(workspace_folder: Path) -> None:
    listed = {fact["name"]: fact for fact in fine("policy facts --json").json}
    assert listed["license_irrevocable"]["type"] == "bool"
    assert listed["license_irrevocable"]["packs"] == ["contract"]
    asking = [pack.pack for pack in load_packs() if "acts_for_subject" in pack.facts]
    assert listed["acts_for_subject"]["packs"] == asking
    assert {"ccpa", "gdpr"} <= set(asking)
    assert listed["gdpr_exception"]["one_of"] == ["a", "b", "c", "d", "e"]
    assert listed["legal_hold"]["packs"] == ["every pack"]
    assert all(fact["words"] for fact in listed.values())
    shown = fine("policy facts").out
    assert "license_irrevocable" in shown
    assert "given irrevocably" in " ".join(shown.split())
    own = {fact["name"] for fact in fine("policy facts --json", *own_pack()).json}
    assert own == {"notice_served", "plan", "legal_hold", "also_under"}


@pytest.mark.parametrize(
    ("spelled", "basis"),
    [
        ("consent", "consent"), ("Art. 6(1)(c)", "legal-obligation"), ("Legal obligation", "legal-obligation"),
        ("6(1)(e) GDPR", "public-task"), ("legitimate_interests", "legitimate-interests"),
    ],
)  # fmt: skip
def test_a_legal_basis_is_recorded_as_its_controlled_word(empty: Path, spelled: str, basis: str) -> None:
    Path("a.csv").write_text(CSV)
    assert fine(ADD, "--basis", spelled, "--json").json["shard"]["legal_basis"] == basis


def test_a_shard_recorded_with_other_words_is_added_again_with_them(empty: Path) -> None:
    Path("a.csv").write_text(CSV)
    add_shard(
        Workspace.open(), "a.csv", name="a", key="key", subject="who", fields=["x"], legal_basis="published openly",
        check=False, dvc=False,
    )  # fmt: skip
    assert "already recorded" in fine(ADD, "--basis", "published openly").out
    assert "unknown legal basis" in refused(ADD, "--name", "b", "--basis", "published openly")


def test_a_license_of_no_list_is_recorded_and_told_of(empty: Path) -> None:
    Path("a.csv").write_text(CSV)
    ran = fine(ADD, "--license-column", "license")
    assert "warning: a: no list of licenses has 'our terms of 2019'" in ran.err
    assert "MIT" not in ran.err
    assert "nearest: CC-BY-4.0" in fine(ADD, "--name", "b", "--license", "CC-BI-4.0").err


def license_rows(*licenses: str) -> None:
    """Record a shard of one person whose items have these licenses, one each."""
    rows = "".join(f"k{number},ann,{number},{license}\n" for number, license in enumerate(licenses))
    Path("a.csv").write_text(f"key,who,x,license\n{rows}")
    fine(ADD, "--license-column", "license")


def test_a_license_is_selected_in_every_spelling(empty: Path) -> None:
    license_rows("cc-by-4.0", "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "MIT", "CC-BY-3.0")
    fine("request file --standing rights-holder --ground contract --regime contract --license CC-BY-4.0 --id R-1")
    assert fine("request impact R-1 --json").json["items"] == 3


@pytest.mark.parametrize(
    ("licenses", "unclear"),
    [(("MIT", "ISC"), False), (("MIT", "our terms"), True), (("MIT", "other"), True), (("MIT", "cc0-1.0"), True)],
)
def test_the_licenses_of_the_items_decide_where_a_shard_has_several(
    empty: Path, licenses: tuple[str, ...], unclear: bool
) -> None:
    license_rows(*licenses)
    elements = [f"dmca_{name}=yes" for name in ("signature", "work", "material", "contact", "good_faith", "accuracy")]
    given = " ".join(f"--fact {fact}" for fact in elements)
    filing = "request file --standing rights-holder --ground intellectual-property --regime copyright"
    fine(f"{filing} --shard a --verified --id R-1 {given}")
    decision = fine("request decide R-1 --json").json
    assert decision["outcome"] == ("needs-review" if unclear else "granted")
    assert "our terms" not in str(decision)

"""Controlled words: each list against its public source, and the laws of bringing a spelling to one word."""

import datetime as dt
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.records import Selector
from policies.cases.case_files import ImpactFacts, ShardFacts
from policies.errors import BadRequest
from policies.judging.judge import decide
from policies.packs.facts import known_facts, typed_facts
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Outcome
from policies.vocabulary.impact_words import words_of
from policies.vocabulary.legal_basis import LegalBasis, basis_of, require_basis
from policies.vocabulary.licenses import FAMILIES, known_licenses, licenses_of, near_licenses, normalized
from tests.policies.shipped import SHIPPED
from tests.policies.test_judge_laws import PATIENT, facts, impacts, requests
from tests.tier import amount

ARTICLE_6_1 = {
    "a": "consent", "b": "contract", "c": "legal-obligation", "d": "vital-interests", "e": "public-task",
    "f": "legitimate-interests",
}  # fmt: skip
"""GDPR Art. 6(1), in force since 2018-05-25."""
HUB = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1
lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr
deepfloyd-if-license llama2 gemma unknown other
""".split()
"""Every identifier of huggingface/hub-docs, docs/hub/repositories-licenses.md at 008d54d."""


@pytest.mark.parametrize(
    "spelled",
    [
        "Art. 6(1)({})", "6(1)({}) GDPR", "Article 6 (1) ({}) GDPR", "GDPR Art. 6(1)({})", "art. 6 par. 1 lit. {} gdpr",
        "Art. 6 Abs. 1 lit. {} DSGVO", "Article 6(1), point ({})", "Article 6(1), first subparagraph, point ({})",
        "6.1.{}", "ART. 6(1)({}) UK GDPR",
    ],
)  # fmt: skip
def test_the_letters_of_the_gdpr_are_the_bases(spelled):
    for letter, basis in ARTICLE_6_1.items():
        assert basis_of(spelled.format(letter)) is LegalBasis(basis)
        assert LegalBasis(basis).source == f"GDPR Art. 6(1)({letter})"


@pytest.mark.parametrize(
    ("spelled", "basis"),
    [
        ("Art. 6(1)(ea) UK GDPR", "recognized-legitimate-interest"),  # Data (Use and Access) Act 2025, s. 70, not read
        ("Business purpose", "business-purpose"),  # Cal. Civ. Code 1798.140(e), read as others quote it
        ("Public task", "public-task"), ("public domain", "public-domain"), ("Legal obligations", "legal-obligation"),
        ("CONSENT", "consent"), ("  legitimate   interest ", "legitimate-interests"),
        # Records of processing: autofact-solutions.com, peppol-archive.eu (invoices), secura.zone (cameras).
        ("Legal obligation (Article 6(1)(c))", "legal-obligation"),
        ("Legitimate interests (Article 6(1)(f))", "legitimate-interests"),
        ("Article 6(1)(c) GDPR: Legal obligation", "legal-obligation"),
        ("Berechtigtes Interesse (Art. 6 Abs. 1 lit. f DSGVO)", "legitimate-interests"),
        ("Consent, Art. 6(1)(a)", "consent"), ("contract - Art. 6(1)(b) GDPR", "contract"),
        ("Einwilligung", "consent"), ("Obligation légale (art. 6.1.c RGPD)", "legal-obligation"),
        ("interés legítimo", "legitimate-interests"), ("Wettelijke verplichting", "legal-obligation"),
        ("Mission d\u2019intérêt public", "public-task"), ("Interesse pubblico", "public-task"),
    ],
)  # fmt: skip
def test_a_basis_is_known_by_the_words_people_use_and_by_word_and_article(spelled, basis):
    assert basis_of(spelled) is LegalBasis(basis)
    assert basis_of(spelled.upper()) is LegalBasis(basis)


@pytest.mark.parametrize(
    "spelled",
    ["", "61c", "Art. 61(c)", "Art. 16(1)(c)", "Art. 6(1)", "Art. 6(1)(g)", "Art. 6(2)(c)", "Art. 6(1)(c), (e)",
     "Art. 9(2)(a)", "consent or contract", "no consent", "legal", "obligation", "interest", "Consent (Art. 6(1)(f))",
     "Legal obligation (Art. 6(1)(c)),  147 AO", "consent (withdrawn)", "consent, contract",
     "Consent (Art. 6(1)(a)) and contract", "(Art. 6(1)(a))", "consent (", "consent)"],
)  # fmt: skip
def test_what_names_no_basis_or_two_or_says_more_is_none(spelled):
    assert basis_of(spelled) is None
    with pytest.raises(BadRequest, match="use one of consent, contract, legal-obligation"):
        require_basis(spelled)


def test_an_unknown_basis_is_told_the_nearest():
    with pytest.raises(BadRequest, match="unknown legal basis 'legal obligtion'; nearest: legal-obligation"):
        require_basis("legal obligtion")


@given(st.integers(0, 99), st.integers(0, 9), st.sampled_from("abcdefgh"))
def test_no_other_article_is_article_6_1(article, paragraph, letter):
    found = basis_of(f"Art. {article}({paragraph})({letter})")
    expected = ARTICLE_6_1.get(letter) if (article, paragraph) == (6, 1) else None
    assert (found.value if found else None) == expected


@settings(PATIENT)
@given(st.one_of(st.text(max_size=30), st.sampled_from(list(LegalBasis)), st.sampled_from(["Art. 6(1)(c)", "TDM"])))
def test_bringing_a_basis_to_its_word_twice_is_once(text):
    if (found := basis_of(text)) is not None:
        assert basis_of(found.value) is found


def test_every_name_of_the_hub_is_one_license_or_says_that_it_is_none():
    for name in HUB:
        found = licenses_of(name)
        assert (found is None) == (name in FAMILIES), name
        assert found is None or (len(found) == 1 and found[0] in known_licenses()), name
        assert licenses_of(name.upper()) == found, name


@pytest.mark.parametrize(
    ("spelled", "license"),
    [
        ("CC BY 4.0", "CC-BY-4.0"), ("cc_by_sa_3.0", "CC-BY-SA-3.0"), ("CC0", "CC0-1.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode", "CC-BY-NC-SA-4.0"),
        ("creativecommons.org/licenses/by/3.0/us/", "CC-BY-3.0-US"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 International", "CC-BY-NC-ND-4.0"),
        ("Creative Commons Attribution Share Alike 4.0", "CC-BY-SA-4.0"), ("Apache License 2.0", "Apache-2.0"),
        ("MIT License", "MIT"), ("gpl-3.0", "GPL-3.0-only"), ("GPL-3.0+", "GPL-3.0-or-later"),
        ("mit OR apache-2.0", "MIT OR Apache-2.0"), ("Public Domain", "public-domain"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ],
)  # fmt: skip
def test_a_license_has_one_spelling(spelled, license):
    assert normalized(spelled) == license


@pytest.mark.parametrize(
    "spelled",
    ["", "foo", "CC BY", "cc-by-5.0", "creative commons", "Creative Commons Attribution", "BSL 1.1", "GPL",
     "gpl or mit", "LicenseRef-GPL", "licenseref-apache-2.0 or mit", "Classpath-exception-2.0", "MIT AND", "(MIT",
     "MIT and", "MIT, but ask first", "not MIT", "MIT\x00", "or", "https://creativecommons.org/licenses/by/5.0/",
     "https://example.org/creativecommons.org/licenses/by/4.0/", "x" * 5000, "(" * 900],
)  # fmt: skip
def test_a_license_of_no_list_is_unknown(spelled):
    assert licenses_of(spelled) is None
    assert normalized(spelled) is None


def test_an_unknown_license_is_told_the_nearest():
    assert near_licenses("CC-BY-4")[0] == "CC-BY-4.0"
    assert "Apache-2.0" in near_licenses("Apach-2.0")


def mutated():
    """Draw the name of a known license with one character changed, taken out or put in."""
    names = st.sampled_from(sorted({*known_licenses(), *HUB, "CC BY 4.0", "MIT OR Apache-2.0"}))
    return st.builds(
        lambda name, at, put, keep: name[: at % len(name)] + put + name[at % len(name) + keep :],
        names, st.integers(0, 60), st.sampled_from(["", "a", "0", "1", "+", " ", "-", "."]), st.integers(0, 1),
    )  # fmt: skip


def numbers(text: str) -> set[str]:
    """The version numbers in a license's name, 2 for 2.0."""
    return {number.removesuffix(".0") for number in re.findall(r"\d+(?:\.\d+)*", text)}


@settings(PATIENT, max_examples=amount(400, 3000))
@given(st.one_of(mutated(), st.text(max_size=25)))
def test_bringing_a_license_to_its_name_twice_is_once_and_never_another_version(text):
    name = normalized(text)
    if name is None:
        assert licenses_of(text) is None
        return
    assert normalized(name) == name
    assert licenses_of(name) == licenses_of(text)
    if numbers(text):
        assert numbers(name) >= numbers(text)
    for kind in ("NC", "ND", "SA"):  # what a Creative Commons license adds is never lost or made up
        if name.startswith("CC-BY") and " " not in name:
            assert (f"-{kind}-" in name) == (f"-{kind.casefold()}-" in re.sub(r"[\s_]", "-", text.casefold()))


def test_the_words_of_an_impact_are_its_controlled_ones():
    shards = (
        ShardFacts("a", "cc-by-4.0", "Band  Camp", "Art. 6(1)(c)"), ShardFacts("b", "ours", None, "because"),
        ShardFacts("c", "MIT OR CC-BY-4.0", "band camp", "legal obligation"),
    )  # fmt: skip
    words = words_of(ImpactFacts(shards=shards).build())
    assert words.licenses == ("CC-BY-4.0", "MIT")
    assert words.unknown_licenses == ("ours",)
    assert words.legal_bases == ("legal-obligation",)
    assert words.unknown_legal_bases == ("because",)
    assert words.sources == ("band camp",)


def test_the_licenses_of_items_go_before_those_of_their_shard():
    impact = replace(ImpactFacts(shards=(ShardFacts("a", "MIT"),)).build(), licenses=("cc0-1.0", "ISC"))
    assert words_of(impact).licenses == ("CC0-1.0", "ISC")


LICENSES = st.sampled_from(["CC0-1.0", "MIT", "CC-BY-4.0", "public-domain"])
BASES = st.sampled_from(list(LegalBasis))


@settings(PATIENT, max_examples=amount(80, 400))
@given(requests(), impacts(), LICENSES, BASES, st.booleans())
def test_an_unknown_word_is_never_granted_what_a_known_one_is_not(request, impact, license, basis, of_license):
    if not impact.shards:
        return

    def decided(**words: str) -> Outcome:
        change = impact.shards[0]
        shard = replace(change.before, **words)
        other = replace(impact, shards=(replace(change, before=shard), *impact.shards[1:]))
        return decide(request, other, SHIPPED, today=request.received).outcome

    if of_license:
        unknown, known = decided(license="our terms"), decided(license=license)
    else:
        unknown, known = decided(legal_basis="our reasons"), decided(legal_basis=basis.value)
    if unknown is Outcome.GRANTED:
        assert known is Outcome.GRANTED


@settings(PATIENT, max_examples=amount(100, 400))
@given(facts(wild=False))
def test_facts_of_the_declared_types_are_taken_as_they_are_and_once(drawn):
    known = known_facts(SHIPPED)
    right = {name: value for name, value in drawn.items() if not known[name].one_of or value in known[name].one_of}
    typed = typed_facts(right, SHIPPED)
    assert typed == right
    spelled = {name: str(value) for name, value in right.items()}
    assert typed_facts(spelled, SHIPPED) == right


def test_a_request_recorded_with_a_fact_that_nobody_knows_is_looked_at():
    asked = RemovalRequest(
        "r-1", Standing.CONTRIBUTOR, Defect.CONTRACT, "contract", (Selector("shard", "a"),), dt.date(2026, 3, 2),
        identity_verified=True, facts={"irrevocable": "yes"},
    )  # fmt: skip
    decision = decide(asked, ImpactFacts().build(), SHIPPED, today=dt.date(2026, 3, 3))
    assert decision.outcome is Outcome.NEEDS_REVIEW
    assert any("nearest: license_irrevocable" in said.words for said in decision.reasons)

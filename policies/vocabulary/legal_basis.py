"""Legal bases: the closed list of grounds on which data may be held, and the spellings that mean each of them.

The first six are GDPR Art. 6(1)(a) to (f), letter by letter. The others are what data is held on where no personal
data, or another law, is concerned; each says its source. A rule compares with these values and no other words, so a
basis that is spelled in another way cannot slip past it.

>>> basis_of("Art. 6(1)(c)"), basis_of("Legal obligation"), basis_of("6 (1) lit. e GDPR")
(<LegalBasis.LEGAL_OBLIGATION: 'legal-obligation'>, <LegalBasis.LEGAL_OBLIGATION: 'legal-obligation'>, <LegalBasis.PUBLIC_TASK: 'public-task'>)
>>> basis_of("Consent (Art. 6(1)(a) GDPR)"), basis_of("Berechtigtes Interesse, Art. 6 Abs. 1 lit. f DSGVO")
(<LegalBasis.CONSENT: 'consent'>, <LegalBasis.LEGITIMATE_INTERESTS: 'legitimate-interests'>)
>>> basis_of("obligation of courtesy"), basis_of("Consent (Art. 6(1)(f))"), basis_of("consent or contract")
(None, None, None)

A basis may be named twice, as records of processing do: by a word and by its article, which must agree. A text that names
two bases, or adds a condition, matches none: which one holds is not guessed.
"""  # noqa: E501 (a doctest's output is one line)

import re
import unicodedata
from enum import StrEnum

from policies.errors import BadRequest
from policies.vocabulary.nearest import or_nearest


class LegalBasis(StrEnum):
    """On which basis data is held."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTERESTS = "vital-interests"
    PUBLIC_TASK = "public-task"
    LEGITIMATE_INTERESTS = "legitimate-interests"
    RECOGNIZED_LEGITIMATE_INTEREST = "recognized-legitimate-interest"
    BUSINESS_PURPOSE = "business-purpose"
    TEXT_AND_DATA_MINING = "text-and-data-mining"
    LICENSE = "license"
    OPEN_LICENSE = "open-license"
    PUBLIC_DOMAIN = "public-domain"
    OWNED = "owned"

    @property
    def source(self) -> str:
        """Where the basis is laid down."""
        return _SOURCES[self]

    @property
    def words(self) -> str:
        """What the basis means."""
        return _WORDS[self]


_GDPR = {
    "a": LegalBasis.CONSENT,
    "b": LegalBasis.CONTRACT,
    "c": LegalBasis.LEGAL_OBLIGATION,
    "d": LegalBasis.VITAL_INTERESTS,
    "e": LegalBasis.PUBLIC_TASK,
    "ea": LegalBasis.RECOGNIZED_LEGITIMATE_INTEREST,
    "f": LegalBasis.LEGITIMATE_INTERESTS,
}
"""The letters of Art. 6(1); (ea) is of the UK GDPR alone, from the Data (Use and Access) Act 2025, s. 70(2)(b)."""

_SOURCES = {basis: f"GDPR Art. 6(1)({letter})" for letter, basis in _GDPR.items()} | {
    LegalBasis.RECOGNIZED_LEGITIMATE_INTEREST: "UK GDPR Art. 6(1)(ea)",
    LegalBasis.BUSINESS_PURPOSE: "Cal. Civ. Code 1798.140(e)",
    LegalBasis.TEXT_AND_DATA_MINING: "Directive (EU) 2019/790, Art. 3 and 4",
    LegalBasis.LICENSE: "the license or contract itself, as agreed",
    LegalBasis.OPEN_LICENSE: "the license itself, as published",
    LegalBasis.PUBLIC_DOMAIN: "no right is claimed, or the rights have ended or were waived",
    LegalBasis.OWNED: "the holder's own right",
}
_WORDS = {
    LegalBasis.CONSENT: "the data subject has given consent",
    LegalBasis.CONTRACT: "necessary for a contract with the data subject",
    LegalBasis.LEGAL_OBLIGATION: "necessary for compliance with a legal obligation of the controller",
    LegalBasis.VITAL_INTERESTS: "necessary to protect a person's vital interests",
    LegalBasis.PUBLIC_TASK: "necessary for a task in the public interest or in the exercise of official authority",
    LegalBasis.LEGITIMATE_INTERESTS: "necessary for legitimate interests that the subject's do not override",
    LegalBasis.RECOGNIZED_LEGITIMATE_INTEREST: "necessary for a recognized legitimate interest (Annex 1, UK GDPR)",
    LegalBasis.BUSINESS_PURPOSE: "used for the business's operational or other notified purposes",
    LegalBasis.TEXT_AND_DATA_MINING: "copied for text and data mining, as copyright law allows",
    LegalBasis.LICENSE: "licensed to the holder, on terms that may end",
    LegalBasis.OPEN_LICENSE: "published by its owner under an open license",
    LegalBasis.PUBLIC_DOMAIN: "in the public domain",
    LegalBasis.OWNED: "made or owned by the holder",
}

_SPELLINGS = {
    "data-subject-consent": LegalBasis.CONSENT,
    "explicit-consent": LegalBasis.CONSENT,
    "performance-of-a-contract": LegalBasis.CONTRACT,
    "performance-of-contract": LegalBasis.CONTRACT,
    "contractual-necessity": LegalBasis.CONTRACT,
    "legal-obligations": LegalBasis.LEGAL_OBLIGATION,
    "compliance-with-a-legal-obligation": LegalBasis.LEGAL_OBLIGATION,
    "vital-interest": LegalBasis.VITAL_INTERESTS,
    "public-interest": LegalBasis.PUBLIC_TASK,
    "task-in-the-public-interest": LegalBasis.PUBLIC_TASK,
    "official-authority": LegalBasis.PUBLIC_TASK,
    "legitimate-interest": LegalBasis.LEGITIMATE_INTERESTS,
    "recognised-legitimate-interest": LegalBasis.RECOGNIZED_LEGITIMATE_INTEREST,
    "recognised-legitimate-interests": LegalBasis.RECOGNIZED_LEGITIMATE_INTEREST,
    "recognized-legitimate-interests": LegalBasis.RECOGNIZED_LEGITIMATE_INTEREST,
    "business-purposes": LegalBasis.BUSINESS_PURPOSE,
    "tdm": LegalBasis.TEXT_AND_DATA_MINING,
    "tdm-exception": LegalBasis.TEXT_AND_DATA_MINING,
    "licence": LegalBasis.LICENSE,
    "licensed": LegalBasis.LICENSE,
    "open-licence": LegalBasis.OPEN_LICENSE,
    "own-data": LegalBasis.OWNED,
}

_OTHER_LANGUAGES = {
    LegalBasis.CONSENT: ("einwilligung", "consentement", "consentimiento", "consenso", "toestemming"),
    LegalBasis.CONTRACT: (
        "vertrag", "vertragserfüllung", "erfüllung eines vertrags", "contrat", "exécution d'un contrat", "contrato",
        "ejecución de un contrato", "contratto", "esecuzione di un contratto", "overeenkomst",
        "uitvoering van een overeenkomst",
    ),
    LegalBasis.LEGAL_OBLIGATION: (
        "rechtliche verpflichtung", "obligation légale", "obligación legal", "obbligo legale",
        "wettelijke verplichting",
    ),
    LegalBasis.VITAL_INTERESTS: (
        "lebenswichtige interessen", "intérêts vitaux", "intereses vitales", "interessi vitali", "vitale belangen",
    ),
    LegalBasis.PUBLIC_TASK: (
        "öffentliches interesse", "mission d'intérêt public", "interés público", "interesse pubblico",
        "taak van algemeen belang",
    ),
    LegalBasis.LEGITIMATE_INTERESTS: (
        "berechtigtes interesse", "berechtigte interessen", "intérêt légitime", "intérêts légitimes",
        "interés legítimo", "intereses legítimos", "legittimo interesse", "legittimi interessi",
        "gerechtvaardigd belang", "gerechtvaardigde belangen",
    ),
}  # fmt: skip
"""The words of Art. 6(1) in German, French, Spanish, Italian and Dutch, as records of processing there have them."""
_SPELLINGS |= {"-".join(words.split()): basis for basis, several in _OTHER_LANGUAGES.items() for words in several}

_LAW = r"(?:(?:the\s+)?(?:eu[\s-]?|uk[\s-]?)?(?:gdpr|dsgvo|ds-gvo|rgpd)|(?:regulation\s+)?\(eu\)\s+2016/679)"
_ARTICLE = re.compile(
    rf"""(?:{_LAW}[\s,:]*)?(?:art(?:icle|ikel)?\.?\s*)?
    6\s*(?:\(\s*1\s*\)|,?\s*(?:abs(?:atz)?|par(?:a(?:graph)?)?)\.?\s*1|\.\s*1\s*\.?|\s1\s)\s*
    ,?\s*(?:(?:first\s+subparagraph\s*,?\s*)?(?:point|lit(?:era)?\.?|letter|let\.)\s*)?
    \(?\s*(?P<letter>[a-f]|ea)\s*\)?\s*(?:,?\s*(?:of\s+)?{_LAW})?""",
    re.VERBOSE,
)


def basis_of(text: str) -> LegalBasis | None:
    """Return the basis that a text means, None if it means none of the list."""
    said = unicodedata.normalize("NFC", " ".join(text.casefold().split())).replace("\u2019", "'")
    if (named := _named(said)) is not None:
        return named
    for mark in _BETWEEN.finditer(said):
        before, after = said[: mark.start()].strip(), said[mark.end() :].strip()
        if "(" in mark.group():
            if not after.endswith(")"):
                continue
            after = after[:-1].strip()
        if (named := _named(before)) is not None and named is _named(after):
            return named
    return None


_BETWEEN = re.compile(r"\s*[(,:;–—-]\s*")  # noqa: RUF001 (dashes as people type them)
"""What may stand between a basis and its article."""


def _named(said: str) -> LegalBasis | None:
    """Return the basis that a text names once, by a word or by its article."""
    if match := _ARTICLE.fullmatch(said):
        return _GDPR[match["letter"]]
    plain = "-".join(re.split(r"[\s_-]+", said)).strip("-.")
    try:
        return LegalBasis(plain)
    except ValueError:
        return _SPELLINGS.get(plain)


def require_basis(text: str) -> LegalBasis:
    """Return the basis that a text means; :class:`BadRequest` with the nearest names if it means none."""
    if (basis := basis_of(text)) is not None:
        return basis
    names = [basis.value for basis in LegalBasis]
    raise BadRequest(
        f"unknown legal basis {text[:60]!r}{or_nearest(text, names)}; use one of {', '.join(names)}, or an article "
        "such as 'Art. 6(1)(c)'"
    )

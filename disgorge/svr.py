"""``svr.json``: the removal statement in a few words, for verifiers that know nothing of removals.

Source: in-toto predicate "Simple Verification Result" 0.1 (https://in-toto.io/attestation/svr/v0.1). Its subjects are
those of the statement, and besides ``statement.json`` and ``certificate.pdf`` themselves: so every byte of a bundle is
covered by a signature, although the PDF carries the statement and the statement therefore cannot name the PDF.

It is a function of the statement and those two digests, so a verifier writes it again and compares.
"""

from collections.abc import Mapping

from disgorge.predicate import PREDICATE_TYPE, STATEMENT_TYPE, Predicate
from lineage.records import Json

SVR_TYPE = "https://in-toto.io/attestation/svr/v0.1"
VERIFIER = "https://disgorge.dev/verifier/v2"
"""Who says so: this program's rules for issuing a certificate, in this version of them."""


def svr_of(
    predicate: Predicate, subjects: Mapping[str, str], files: Mapping[str, str], *, packs: str
) -> dict[str, Json]:
    """Return the summary; ``files`` maps the statement and the PDF to their SHA-256, ``packs`` is the policy's digest.

    >>> property_of("never-trained")
    'DISGORGE_CHECK_NEVER_TRAINED'
    """
    about = sorted({**(subjects if predicate.certificate else {}), **files}.items())
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in about],
        "predicateType": SVR_TYPE,
        "predicate": {
            "verifier": {"id": VERIFIER, "policy": {"uri": PREDICATE_TYPE, "digest": {"sha256": packs}}},
            "timeCreated": predicate.issued.replace("+00:00", "Z"),
            "properties": _properties(predicate),
        },
    }


def _properties(predicate: Predicate) -> list[str]:
    """Return what holds: that the report does, and what a certificate certifies; a refusal has nothing more to say."""
    found = ["DISGORGE_REPORT_HOLDS_TOGETHER"]
    if predicate.certificate is not None:
        found += ["DISGORGE_REMOVAL_CERTIFIED", f"DISGORGE_GUARANTEE_{predicate.certificate.guarantee.name}"]
        found += [property_of(check) for check in predicate.certificate.required]
    return found


def property_of(check: str) -> str:
    """Return the name of the property that a check passed."""
    return f"DISGORGE_CHECK_{check.upper().replace('-', '_')}"

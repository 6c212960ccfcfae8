"""Findings as SARIF 2.1.0, for systems that gate a merge and remember what they have seen.

Source: OASIS, Static Analysis Results Interchange Format Version 2.1.0, errata 01. Tests validate what is written here
against the schema published with it.

Every result points at the ledger, because SARIF readers show nothing that has no file, and carries the name it is about
as a logical location. The negative consequence: the file is right, a line in it is not given.

>>> sarif([])["version"]
'2.1.0'
"""

from collections.abc import Sequence

from disgorge.findings import RULES, Finding, Rule, tool_version
from lineage.records import Json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
"""The identifier of the schema; nothing is fetched from there."""

LEDGER = ".disgorge/ledger.jsonl"
"""Where every finding points to, relative to the workspace."""


def sarif(findings: Sequence[Finding]) -> Json:
    """Return one SARIF log with one run, every rule described and one result per finding."""
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "disgorge audit",
                        "semanticVersion": tool_version(),
                        "rules": [_described(rule) for rule in RULES],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding) for finding in findings],
            }
        ],
    }


def _described(rule: Rule) -> Json:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.title.split()),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level.value},
    }


def _result(finding: Finding) -> Json:
    return {
        "ruleId": finding.id,
        "ruleIndex": RULES.index(finding.rule),
        "level": finding.level.value,
        "message": {"text": f"{finding.where}: {finding.words}. Next: {finding.next}."},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": LEDGER, "uriBaseId": "%SRCROOT%"}},
                "logicalLocations": [{"fullyQualifiedName": finding.where}],
            }
        ],
        "partialFingerprints": {"disgorgeFinding/v1": finding.fingerprint},
    }

"""Findings as SARIF 2.1.0, for systems that gate a merge and track known findings.

Source: OASIS, Static Analysis Results Interchange Format Version 2.1.0, errata 01. Tests validate what is written here
against the schema published with it.

Every result points at the ledger, at the line of the fact that it is about, because SARIF readers show nothing that has
no file; one about no single fact points at the first line. What it is about is a logical location.

What GitHub needs: places relative to the repository's root, and ``primaryLocationLineHash`` to know an alert again.
It computes that hash from a line's text where it is missing, and then alerts on one line would be one.

>>> sarif([])["version"]
'2.1.0'
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from disgorge.audit.findings import RULES, Finding, Rule, tool_version
from lineage.records import Json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
"""The identifier of the schema; nothing is fetched from there."""

LEDGER = ".disgorge/ledger.jsonl"
"""Where every finding points to, relative to the workspace."""


def ledger_uri(workspace_folder: Path) -> str:
    """Return where the ledger is, relative to the git repository that holds the workspace, or else to the workspace."""
    workspace_folder = workspace_folder.resolve()
    root = next(
        (folder for folder in (workspace_folder, *workspace_folder.parents) if (folder / ".git").exists()),
        workspace_folder,
    )
    return quote((workspace_folder / LEDGER).relative_to(root).as_posix())


def sarif(findings: Sequence[Finding], *, workspace: str = LEDGER) -> Json:
    """Return one SARIF log with one run, every rule described and one result per finding; all point at ``ledger``."""
    seen: Counter[str] = Counter()
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
                "results": [_result(finding, workspace, seen) for finding in findings],
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


def _result(finding: Finding, workspace: str, seen: Counter[str]) -> Json:
    seen[finding.fingerprint] += 1
    return {
        "ruleId": finding.id,
        "ruleIndex": RULES.index(finding.rule),
        "level": finding.level.value,
        "message": {"text": f"{finding.where}: {finding.words}. Next: {finding.next}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": workspace, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": finding.fact or 1},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.where}],
            }
        ],
        "partialFingerprints": {
            "disgorgeFinding/v1": finding.fingerprint,
            "primaryLocationLineHash": f"{finding.fingerprint[:16]}:{seen[finding.fingerprint]}",
        },
    }

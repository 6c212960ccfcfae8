"""Findings as JUnit XML, for systems that show test cases.

One case per finding and one that passes per rule without any. Only an error is a failure. When the ledger is broken the
other rules are *skipped*: a case that passes would claim that somebody looked.

>>> "failures" in junit([])
True
"""

from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree

from disgorge.findings import BROKEN_LEDGER, RULES, Finding, Level


def junit(findings: Sequence[Finding]) -> str:
    """Return one JUnit document with one suite."""
    by_rule: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_rule[finding.id].append(finding)
    suite = ElementTree.Element("testsuite", name="disgorge audit")
    for rule in RULES:
        if not by_rule[rule.id]:
            case = _case(suite, rule.id, rule.title)
            if by_rule[BROKEN_LEDGER.id]:
                ElementTree.SubElement(case, "skipped", message="not looked at: the ledger is broken")
        for finding in by_rule[rule.id]:
            _found(_case(suite, rule.id, f"{rule.title}: {finding.where}"), finding)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False)


def _case(suite: ElementTree.Element, rule: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=f"disgorge.audit.{rule}", name=name)


def _found(case: ElementTree.Element, finding: Finding) -> None:
    text = f"{finding.level}: {finding.words}\nNext: {finding.next}"
    if finding.level is Level.ERROR:
        failure = ElementTree.SubElement(case, "failure", type=finding.id, message=finding.words)
        failure.text = text
    else:
        ElementTree.SubElement(case, "system-out").text = text

"""Findings as JUnit XML, for systems that show test cases.

One case per finding and one that passes per rule without any. Only what fails the gate is a failure. When the ledger is
broken the other rules are *skipped*: a case that passes would claim that they were checked.

A name ends in the beginning of the finding's fingerprint: GitLab keeps one of two cases of the same name, and knows a
case in the next run by its name.

>>> "failures" in junit([])
True
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree

from disgorge.audit.findings import BROKEN_LEDGER, RULES, Finding, fails


def junit(findings: Sequence[Finding], *, strict: bool = False) -> str:
    """Return one JUnit document with one suite; with ``strict`` warnings are failures too."""
    by_rule: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_rule[finding.id].append(finding)
    suite = ElementTree.Element("testsuite", name="disgorge audit")
    names: Counter[str] = Counter()
    for rule in RULES:
        if not by_rule[rule.id]:
            case = _case(suite, rule.id, rule.title)
            if by_rule[BROKEN_LEDGER.id]:
                ElementTree.SubElement(case, "skipped", message="not looked at: the ledger is broken")
        for finding in by_rule[rule.id]:
            name = f"{rule.title}: {finding.where} [{finding.fingerprint[:8]}]"
            names[name] += 1
            again = f" ({names[name]})" if names[name] > 1 else ""
            _found(_case(suite, rule.id, name + again), finding, failure=fails(finding, strict=strict))
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


def _found(case: ElementTree.Element, finding: Finding, *, failure: bool) -> None:
    text = f"{finding.level}: {finding.words}\nNext: {finding.next}"
    if failure:
        ElementTree.SubElement(case, "failure", type=finding.id, message=finding.words).text = text
    else:
        ElementTree.SubElement(case, "system-out").text = text

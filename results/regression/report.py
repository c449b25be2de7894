"""Findings of a regression check for people, for CI pages and for CI systems. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from ..analysis.grouping import MISSING, grouped
from ..tables.cell import Cell, Table
from ..tables.render import render
from .compare import REGRESSIONS, STATUSES, Finding

# What XML 1.0 does not allow: most control characters, surrogates, and two noncharacters.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def counts(findings: Sequence[Finding]) -> str:
    """How many of each status, the most serious first: "1 broken, 55 ok"."""
    number = Counter(finding.status for finding in findings)
    return ", ".join(f"{number[status]} {status}" for status in STATUSES if number[status])


def failed(findings: Sequence[Finding], strict: bool = False) -> bool:
    """Whether there is a regression or, if strict, a method without a reference."""
    failing = REGRESSIONS | {"new"} if strict else REGRESSIONS
    return any(finding.status in failing for finding in findings)


def unguarded(findings: Sequence[Finding]) -> tuple[str, ...]:
    """A warning for each method that has no reference on some protocols, since its check guards nothing there."""
    new = grouped([each for each in findings if each.status == "new"], lambda finding: finding.method)
    return tuple(
        f"{method} has no reference on {', '.join(each.protocol for each in found)}: this check guards nothing of it "
        "there; write its references with --references DIR --update --reason TEXT, then compare with --references DIR"
        for method, found in new.items()
    )


def table(suite: str, findings: Sequence[Finding], notes: tuple[str, ...] = ()) -> Table:
    """One row for each method and protocol, the most serious status first."""
    ordered = sorted(findings, key=lambda finding: STATUSES.index(finding.status))
    rows = tuple(
        (
            Cell(finding.protocol),
            Cell(finding.method),
            Cell(finding.status, best=finding.status in REGRESSIONS),
            _number(finding.score),
            _number(finding.expected),
            Cell(
                MISSING
                if finding.lowest is None
                else f"{100 * finding.lowest:.2f} to {100 * (finding.highest or 0):.2f}"
            ),
            Cell(finding.reason),
        )
        for finding in ordered
    )
    title = f"check {suite}: {counts(findings)}"
    return Table(
        title, ("protocol", "method", "status", "score", "reference", "allowed range", "what differs"), rows, notes
    )


def markdown(suite: str, findings: Sequence[Finding], notes: tuple[str, ...] = (), strict: bool = False) -> str:
    """A summary for the page of a CI run: the verdict, what changed, and all findings folded away.

    With strict, a method without a reference fails the check, and the verdict says so.
    """
    notable = [finding for finding in findings if finding.status != "ok"]
    compared = any(finding.status != "new" for finding in findings)
    verdict = "regressions" if failed(findings) else "no regression" if compared else "nothing compared"
    verdict += ", failed for lack of references" if failed(findings, strict) > failed(findings) else ""
    parts = [f"## fernoise-bench check, {suite}: {verdict}", f"{counts(findings)}."]
    parts += [render(table(suite, notable), "github").partition("\n\n")[2].strip()] if notable else []
    whole = render(table(suite, findings, notes), "github").partition("\n\n")[2].strip()
    parts.append(f"<details><summary>All {len(findings)}</summary>\n\n{whole}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def junit(
    suite: str, findings: Sequence[Finding], seconds: float, properties: Mapping[str, str], strict: bool = False
) -> str:
    """JUnit XML: a test case for each method and protocol; regressions fail, new entries are skipped (strict: fail)."""
    failures = sum(failed([finding], strict) for finding in findings)
    skipped = 0 if strict else sum(finding.status == "new" for finding in findings)
    attributes = {
        "name": f"fernoise-bench check {suite}",
        "tests": str(len(findings)),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(skipped),
        "time": f"{seconds:.1f}",
    }
    root = ElementTree.Element("testsuite", attributes)
    listed = ElementTree.SubElement(root, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(listed, "property", {"name": _in_xml(name), "value": _in_xml(value)})
    for finding in findings:
        names = {"classname": _in_xml(finding.protocol), "name": _in_xml(finding.method)}
        case = ElementTree.SubElement(root, "testcase", names)
        reason = _in_xml(finding.reason)
        if failed([finding], strict):
            ElementTree.SubElement(case, "failure", {"type": finding.status, "message": reason})
        elif finding.status == "new":
            ElementTree.SubElement(case, "skipped", {"message": reason})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _in_xml(text: str) -> str:
    return _NOT_XML.sub("?", text)


def _number(value: float | None) -> Cell:
    return Cell(MISSING) if value is None else Cell(f"{100 * value:.2f}", 100 * value)

"""Results of suites as data, as JUnit XML and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from webhook.adapters.suite_runs import FAILED, PASSED, SKIPPED, SuiteResult
from webhook.adapters.text_report import Style, printable


def counts(results: Sequence[SuiteResult]) -> dict[str, int]:
    """Return how many suites and cases there were, and how they went."""
    statuses = [case.status for result in results for case in result.cases]
    return {
        "suites": len(results),
        "cases": len(statuses),
        "passed": statuses.count(PASSED),
        "failed": statuses.count(FAILED),
        "skipped": statuses.count(SKIPPED),
    }


def as_data(results: Sequence[SuiteResult]) -> dict[str, Any]:
    """Return the results as the JSON that `verify` writes has them."""
    return {
        "suites": [
            {
                "name": result.suite.name,
                "file": result.suite.document.file,
                "line": result.suite.document.line,
                "cases": [
                    {"name": each.case.name, "status": each.status, "problems": list(each.problems)}
                    for each in result.cases
                ],
            }
            for result in results
        ],
        "summary": counts(results),
    }


def as_junit(results: Sequence[SuiteResult]) -> str:
    """Return the results as JUnit XML, as CI systems read it."""
    total = counts(results)
    root = ElementTree.Element("testsuites", {"name": "tidewaiter verify", **_attributes(total)})
    for result in results:
        file = printable(result.suite.document.file)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            {"name": printable(result.suite.name), "file": file, **_attributes(counts([result]))},
        )
        for each in result.cases:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                {"name": printable(each.case.name), "classname": printable(result.suite.name), "file": file},
            )
            text = printable("\n".join(each.problems))
            if each.status == FAILED:
                ElementTree.SubElement(case, "failure", {"message": text.partition("\n")[0]}).text = text
            elif each.status == SKIPPED:
                ElementTree.SubElement(case, "skipped", {"message": text})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _attributes(total: dict[str, int]) -> dict[str, str]:
    names = {"tests": "cases", "failures": "failed", "skipped": "skipped"}
    return {**{name: str(total[source]) for name, source in names.items()}, "errors": "0"}


def as_text(results: Sequence[SuiteResult], style: Style, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines on every case that failed, then the one that counts them all.

    Args:
        results: how the suites went.
        style: colours, or none.
        verbose: a line on each of the other cases, too.
    """
    for result in results:
        document = result.suite.document
        for each in result.cases:
            if each.status != FAILED and not verbose:
                continue
            place = f"{document.file}:{document.line_of(each.case.place)}: "
            head = printable(f"{place}{result.suite.name}: {each.case.name}")
            if each.status != FAILED:
                yield f"{head} {each.status}"
                continue
            yield f"{style('strong', head)} {style('denied', FAILED)}"
            yield from (printable(f"  {problem}") for problem in each.problems)
            yield ""
    total = counts(results)
    suites, cases = total["suites"], total["cases"]
    yield (
        f"{suites} suite{'' if suites == 1 else 's'}, {cases} case{'' if cases == 1 else 's'}: "
        f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"
    )

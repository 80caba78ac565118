"""`tidewaiter verify`: runs the suites beside the policies."""

from __future__ import annotations

from collections.abc import Sequence

import click

from webhook.commands.options import Output, now_or


@click.command(name="verify")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="The format.",
)
@click.option(
    "--run",
    "-r",
    "only",
    default="",
    metavar="REGEX",
    help="Only cases whose name, or test's or suite's name, this matches; TEST//CASE asks for both.",
)
@click.option("--verbose", "-v", is_flag=True, help="Name the cases that passed or were skipped, too.")
def command(paths: Sequence[str], output: str, only: str, verbose: bool) -> int:
    """Run the test suites beside the policies.

    PATH is a file with suites, or a folder that has some in it or below, which DIR/... says, too. A suite
    gives objects to its policies, and says which must pass, and which must fail on which validation with
    which message. Suites of Gatekeeper's gator are run as gator verify runs them.

    Exit status: 0 every case passed, 1 one failed, 2 input that can't be used.
    """
    from dataclasses import replace

    from webhook.adapters import gator_suites, suite_reports
    from webhook.adapters.case_filter import OPTION, CaseFilter
    from webhook.adapters.reports import as_json
    from webhook.adapters.suite_runs import SuiteResult, run
    from webhook.adapters.suites import find, load
    from webhook.adapters.text_report import printable
    from webhook.core.errors import InputError

    chosen = CaseFilter(only)
    documents, errors = find(paths)
    now = now_or(None)
    results: list[SuiteResult] = []
    notes: list[str] = []
    for document in documents:
        if gator_suites.is_gator_suite(document):
            result, problems = gator_suites.run(document, now, notes, chosen)
            errors += problems
            results += [result] if result is not None else []
            continue
        suite, problems = load(document)
        errors += problems
        if suite is not None:
            cases = [case for case in suite.cases if chosen.takes_case(suite.name, case.name)]
            result, problems = run(replace(suite, cases=tuple(cases)), now)
            errors += problems
            results += [result] if result is not None else []
    if only:
        results = [result for result in results if result.cases]
        if not results and not errors:
            errors.append(InputError(f"{only!r} matches no test and no case", OPTION))
    for note in notes:
        click.echo(printable(f"note: {note}"), err=True)
    for error in dict.fromkeys(map(str, errors)):
        click.echo(printable(f"error: {error}"), err=True)
    if output == "json":
        click.echo(as_json(suite_reports.as_data(results)))
    elif output == "junit":
        click.echo(suite_reports.as_junit(results))
    else:
        for line in suite_reports.as_text(results, Output().style, verbose=verbose):
            click.echo(line)
    if errors:
        return 2
    return int(suite_reports.counts(results)["failed"] > 0)

"""Which cases of suites run: those that the regular expressions of ``verify --run`` match."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webhook.core.errors import InputError
from webhook.dialects.gatekeeper.patterns import compile_pattern

OPTION = "--run"


class CaseFilter:
    """Chooses cases by their names and those of their tests, as gator does.

    ``NAME`` is looked for in the names of the test and of the case; either may have it. With ``TEST//CASE``
    the test must match the one and the case the other; either may be empty. A suite of ours is one test.
    https://open-policy-agent.github.io/gatekeeper/website/docs/gator#usage-1

    Args:
        text: the expression, in Go's syntax; empty for every case.

    Raises:
        InputError: it is none.
    """

    def __init__(self, text: str) -> None:
        parts = text.split("//")
        if len(parts) > 2:
            raise InputError(f"{text!r}: may have // once, between the test and the case", OPTION)
        try:
            patterns = [compile_pattern(part) for part in parts]
        except ValueError as error:
            raise InputError(str(error), OPTION) from None
        self._test: Any = patterns[0]
        self._case: Any = patterns[-1]
        self._both = len(patterns) == 2

    def takes_test(self, test: str, cases: Iterable[str]) -> bool:
        """Tell whether a test runs, if only for some of its cases."""
        if self._test.search(test):
            return True
        return not self._both and any(self._case.search(case) for case in cases)

    def takes_case(self, test: str, case: str) -> bool:
        """Tell whether a case of a test runs."""
        of_test, of_case = bool(self._test.search(test)), bool(self._case.search(case))
        return of_test and of_case if self._both else of_test or of_case

"""What the offline commands' options share: several values after one flag, times, and colours."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click

from webhook.core.times import parse_duration, parse_time

_COLOURS = {"denied": "red", "warned": "yellow", "accepted": "green"}


class ManyValues(click.Command):
    """A command whose repeatable options take several values after one flag, as shells expand them.

    ``--policies a.yaml b.yaml`` means ``--policies a.yaml --policies b.yaml``, until the next option or
    ``--``. Where that would leave no argument before or after, the flag takes one value and the rest are
    arguments, so that ``check --policies packs shop`` judges ``shop``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` with every list of values spread over repeated flags."""
        given = list(args)
        spread, arguments = self._spread(ctx, given)
        takes_arguments = any(isinstance(parameter, click.Argument) for parameter in self.params)
        return super().parse_args(ctx, spread if arguments or not takes_arguments else given)

    def _spread(self, ctx: click.Context, args: list[str]) -> tuple[list[str], bool]:
        many: set[str] = set()
        single: set[str] = set()
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                (many if parameter.multiple else single).update(parameter.opts)
        spread: list[str] = []
        arguments = False
        flag = ""
        values = 0
        rest = iter(args)
        for word in rest:
            if word == "--":
                remaining = list(rest)
                return [*spread, word, *remaining], arguments or bool(remaining)
            if word.startswith("-") and word != "-":
                flag, values = (word, 0) if word in many else ("", 0)
                spread.append(word)
                if word in single:
                    spread += [value for value in [next(rest, None)] if value is not None]
            elif flag:
                spread += [flag, word] if values else [word]
                values += 1
            else:
                spread.append(word)
                arguments = True
        return spread, arguments


class Time(click.ParamType):  # type: ignore[type-arg]
    """An RFC 3339 time; ``now`` where none is given."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time that `value` names."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Until(Time):
    """An RFC 3339 time, or a day, which lasts until its end."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time that `value` names."""
        try:
            return datetime.combine(date.fromisoformat(str(value)), time(), UTC) + timedelta(days=1)
        except (ValueError, OverflowError):
            return super().convert(value, param, ctx)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration as the API writes it: ``90d``, ``4h``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration that `value` writes."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def now_or(moment: datetime | None) -> datetime:
    """Return `moment`, or the present time where none is given."""
    return moment if moment is not None else datetime.now(UTC)


class Output:
    """Colours where standard output is a terminal and nobody says no to them.

    See https://no-color.org: any value but the empty one turns them off.
    """

    def __init__(self) -> None:
        self._colourful = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def style(self, role: str, text: str) -> str:
        """Return `text` as its role is shown."""
        if not self._colourful:
            return text
        return click.style(text, fg=_COLOURS.get(role), bold=role == "strong", dim=role == "faint")

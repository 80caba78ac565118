"""The reference of the command line as Markdown, rendered from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from webhook.adapters.reference import NOTICE

_INTRODUCTION = """# Command line reference

Every command and option of `tidewaiter`. Wrong usage and input that can't be used exit with status 2, an
interruption with 130; what else a command's exit status says is in its description.
"""


def render(group: click.Command) -> str:
    """Return the reference of a command and everything below it."""
    # With the settings that running it has: click keeps the first help option that it makes for a command.
    context = click.Context(group, info_name="tidewaiter", **group.context_settings)
    return "\n".join([NOTICE, _INTRODUCTION, *_command(group, context, 2)])


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} {context.command_path}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{context.command_path} {usage}\n```\n"
    text = inspect.cleandoc(command.help or "").replace("\b\n", "").partition("\f")[0]
    if text:
        yield f"{text}\n"
    rows = [row for parameter in command.get_params(context) for row in _row(parameter, context)]
    if rows:
        yield "\n".join(["| option | what it does |", "|---|---|", *rows]) + "\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            try:
                child = command.get_command(context, name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("webhook.commands"):
                    continue  # announced, and not there yet
                raise
            if child and not child.hidden:
                yield from _command(child, click.Context(child, info_name=name, parent=context), level + 1)


def _row(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    record = parameter.get_help_record(context)
    if record:
        option, text = (" ".join(part.split()).replace("|", "\\|") for part in record)
        yield f"| `{option}` | {text} |"

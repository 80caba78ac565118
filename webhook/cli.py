"""The command line: names every subcommand, and imports one only when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

import click

from webhook import __version__
from webhook.core.errors import TidewaiterError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class Subcommand(NamedTuple):
    """Where a subcommand is found, and what the list of commands says about it."""

    module: str
    attribute: str
    help: str


SUBCOMMANDS: Mapping[str, Subcommand] = {
    "check": Subcommand("webhook.commands.check", "command", "Judge manifests offline."),
    "report": Subcommand("webhook.commands.report", "command", "Report what violates and what is accepted."),
    "verify": Subcommand("webhook.commands.verify", "command", "Run the test suites beside the policies."),
    "risk": Subcommand("webhook.commands.risk", "command", "Work with risk acceptances and approvals."),
    "evidence": Subcommand("webhook.commands.evidence", "command", "Work with the decision log."),
    "gatekeeper": Subcommand(
        "webhook.commands.gatekeeper", "command", "Stand beside Gatekeeper, and take over from it."
    ),
    "serve": Subcommand("webhook.commands.serve", "command", "Answer admission requests: the data plane."),
    "operator": Subcommand("webhook.commands.operator", "command", "Feed and reconcile: the control plane."),
    "run": Subcommand("webhook.commands.run", "command", "Run both planes against any cluster."),
    "uninstall": Subcommand(
        "webhook.commands.uninstall", "command", "Remove the webhook configuration for good."
    ),
    "status": Subcommand("webhook.commands.status", "command", "Tell what is enforced, and what is wrong."),
    "demo": Subcommand("webhook.commands.demo", "command", "Show every kind of verdict, without a cluster."),
    "crds": Subcommand("webhook.commands.crds", "command", "Keep our kinds in a cluster up to date."),
    "generate": Subcommand("webhook.commands.generate", "command", "Write CRDs and reference documentation."),
    "version": Subcommand("webhook.commands.version", "command", "Print the version."),
}

INTERNAL: Mapping[str, Subcommand] = {
    "audit": Subcommand("webhook.commands.audit", "command", "Audit: started by the leading operator."),
}
"""What our own processes start; not for people, and in no list."""


class LazyGroup(click.Group):
    """A group whose subcommands' modules are imported only when one of them is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands, in the order of the table."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand; None when there is none of that name."""
        entry = SUBCOMMANDS.get(cmd_name) or INTERNAL.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that `args` name; an unknown one is answered with the nearest right name."""
        if args and args[0] not in {*SUBCOMMANDS, *INTERNAL} and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], SUBCOMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " See `tidewaiter --help`."
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in SUBCOMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Kubernetes policy enforcement with accepted risks: "
    "one engine for admission, pull requests and audit.",
)
@click.version_option(__version__, prog_name="tidewaiter", message="%(prog)s %(version)s")
def group() -> None:
    """Do nothing by itself: everything is in a subcommand."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    The exit status is what the subcommand returns (None is 0), 2 for wrong usage and for input that can't be
    used, 130 after Ctrl-C.

    Args:
        arguments: the words after the program's name; None takes the process's own.
    """
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; see `main`."""
    try:
        status = group.main(args=arguments, prog_name="tidewaiter", standalone_mode=False)
    except click.Abort as abort:
        return EXIT_INTERRUPTED if isinstance(abort.__cause__, KeyboardInterrupt) else 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TidewaiterError as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone; nothing more can be said to it.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0

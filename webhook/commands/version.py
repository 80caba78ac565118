"""`tidewaiter version`: prints the version."""

from __future__ import annotations

import click

from webhook import __version__


@click.command(name="version")
def command() -> None:
    """Print the version."""
    click.echo(f"tidewaiter {__version__}")

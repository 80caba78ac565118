"""Options that more than one command has, so that they mean and say the same everywhere."""

from __future__ import annotations

import click

cluster = click.option(
    "--cluster", metavar="NAME", default="", help="The cluster's name, for acceptances with clusters."
)
webhook_name = click.option(
    "--webhook-name",
    metavar="NAME",
    default="tidewaiter",
    show_default=True,
    help="Name of the ValidatingWebhookConfiguration.",
)
failure_policy = click.option(
    "--failure-policy",
    type=click.Choice(["Fail", "Ignore"]),
    default="Fail",
    show_default=True,
    help="What the API server does with a request when nobody answers: refuse it or let it through.",
)
log_level = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Least level that is logged.",
)

"""`tidewaiter risk`: works with risk acceptances and approvals."""

from __future__ import annotations

import click

from webhook.commands import (
    risk_approve,
    risk_digest,
    risk_draft,
    risk_export,
    risk_forecast,
    risk_import,
    risk_list,
    risk_renew,
    risk_sign,
)


@click.group(name="risk")
def command() -> None:
    """Work with risk acceptances and approvals."""


command.add_command(risk_approve.command)
command.add_command(risk_digest.command)
command.add_command(risk_draft.command)
command.add_command(risk_export.command)
command.add_command(risk_forecast.command)
command.add_command(risk_import.command)
command.add_command(risk_list.command)
command.add_command(risk_list.show)
command.add_command(risk_renew.renew)
command.add_command(risk_renew.revoke)
command.add_command(risk_sign.statement)
command.add_command(risk_sign.sign)

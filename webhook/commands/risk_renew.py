"""`tidewaiter risk renew` and `risk revoke`: an acceptance goes on, or is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import risk_draft, risk_files, risk_source
from webhook.commands.options import Output
from webhook.commands.risk_draft import Said
from webhook.commands.risk_source import Where
from webhook.core.errors import InputError
from webhook.core.times import format_time

if TYPE_CHECKING:
    from webhook.adapters.drafts import Draft
    from webhook.adapters.risks import Cover, Known, Risk

HOW = ("spec", "digest", "delete")
_YES = click.option(
    "--yes", "-y", is_flag=True, help="Don't ask; needed where standard input is no terminal."
)


@click.command(name="renew")
@click.argument("name", metavar="NAME")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@risk_source.takes_where
@risk_draft.takes_said
@click.option("--name", "new", default="", metavar="NAME", help="The renewal's name.  [default: of the old]")
@click.option("--create", is_flag=True, help="Create it in the cluster, as the user of the kubeconfig.")
@_YES
def renew(
    name: str, paths: Sequence[str], where: Where, said: Said, new: str, create: bool, yes: bool
) -> int:
    """Renew an acceptance by a new one that names it, on standard output.

    NAME is a RiskAcceptance, or clusterriskacceptance/NAME, of a cluster, or in PATH. The renewal accepts the
    same, from the end of the old one on, and carries its number, which a policy may limit (maxRenewals).
    What an option says replaces what the old one says. Others must approve it like any acceptance; the old
    one must still be there when it is applied.

    Exit status: 0 written or created, 1 you said no, 2 it can't be renewed.
    """
    if create and paths:
        raise click.UsageError("--create is for a cluster, not for PATH.")
    if said.break_glass:
        raise click.UsageError("An emergency is not declared by a renewal: draft one.")
    return asyncio.run(_renew(name, paths, where, said, new, create=create, yes=yes))


async def _renew(
    name: str, paths: Sequence[str], where: Where, said: Said, new: str, *, create: bool, yes: bool
) -> int:
    from webhook.adapters.drafts import as_yaml
    from webhook.core.acceptance import digest_of
    from webhook.operator import approving, revoking
    from webhook.operator.client import ApiError, connect

    if paths:
        known, _ = risk_source.from_files(paths, where)
        risk_source.tell(known.notes, known.errors)
        if known.errors:
            return 2
        click.echo(as_yaml([_renewal(known, name, where, said, new, "")]), nl=False)
        return 0
    client = await connect(where.kubeconfig)
    try:
        known, _ = await risk_source.from_cluster(client, where)
        user, _, _ = await approving.who_am_i(client)
        risk_source.tell(known.notes)
        made = _renewal(known, name, where, said, new, user)
        if not create:
            click.echo(as_yaml([made]), nl=False)
            return 0
        risk_files.show(made.object, digest_of(made.object))
        if not yes and not risk_files.agreed(f"Ask for this as {user}?"):
            click.echo("not created", err=True)
            return 1
        stored = await revoking.create(client, made.object)
    except ApiError as error:
        raise InputError(f"not renewed: {error}") from None
    finally:
        await client.close()
    click.echo(f"{made.object['kind'].lower()}.tidewaiter.dev/{stored['metadata']['name']} created")
    return 0


def _renewal(known: Known, name: str, where: Where, said: Said, new: str, user: str) -> Draft:
    from webhook.adapters.renewing import Asked, renewal_of

    risk = risk_source.one(known, name, where)
    appetite = known.snapshot.register.appetite
    if appetite is None:
        raise InputError("there is no RiskAppetite named default, so that no risk can be accepted")
    fields = risk_draft.fields_of(said)
    if said.justification:
        fields["justification"] = said.justification
    if said.owner:
        fields["riskOwner"] = said.owner
    start = said.valid_from
    until = said.until
    if said.lasting:
        until = (start or (risk.until if risk.phase == "Active" else known.at)) + said.lasting
    requester = said.requester or user or risk.acceptance.requester
    asked = Asked(requester, start, until, new, fields)
    return renewal_of(risk, appetite, asked, known.at.replace(microsecond=0))


@dataclass(frozen=True, slots=True)
class _Revocation:
    how: str
    by: str
    reason: str
    yes: bool


@click.command(name="revoke")
@click.argument("name", metavar="NAME")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@risk_source.takes_where
@click.option(
    "--how",
    type=click.Choice(HOW),
    default="spec",
    show_default=True,
    help="spec: in the acceptance, for good. digest: in the RiskAppetite, so that nobody can bring it again. "
    "delete: the acceptance goes, until somebody applies it again.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why it is taken back.")
@click.option("--by", default="", metavar="WHO", help="By whom.  [default: the user of the kubeconfig]")
@_YES
def revoke(name: str, paths: Sequence[str], where: Where, how: str, reason: str, by: str, yes: bool) -> int:
    """Take an acceptance back: show what that refuses, ask, and do it.

    NAME is a RiskAcceptance, or clusterriskacceptance/NAME. From then on what it covers is refused when it is
    created or changed; nothing that runs is stopped. With PATH nothing is written anywhere: what is to be
    committed goes to standard output, the revoked acceptance, or with --how digest the RiskAppetite's entry.

    Exit status: 0 revoked, 1 you said no, 2 it can't be read, or was refused.
    """
    wanted = _Revocation(how, by, reason, yes)
    if paths:
        return _revoke_in_files(name, paths, where, wanted)
    return asyncio.run(_revoke_in_cluster(name, where, wanted))


def _revoke_in_files(name: str, paths: Sequence[str], where: Where, wanted: _Revocation) -> int:
    from webhook.adapters.renewing import revocation, revoked

    if wanted.how == "delete":
        raise click.UsageError("To delete it, remove its manifest.")
    if not wanted.by and wanted.how == "spec":
        raise click.UsageError("With PATH say who revokes it: --by.")
    known, material = risk_source.from_files(paths, where)
    risk_source.tell(known.notes, known.errors)
    if known.errors:
        return 2
    risk = risk_source.one(known, name, where)
    _tell_consequences(risk, risk_source.covered_in_files(risk, known, material), wanted.how, whole=True)
    if wanted.how == "spec":
        _dump(revoked(risk, known.at, wanted.by, wanted.reason))
    else:
        entry = revocation(known.at, "", wanted.reason)
        _dump({"revoked": [{"digest": risk.acceptance.digest, **entry}]})
    return 0


def _dump(data: Any) -> None:
    import yaml

    click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=False, width=110), nl=False)


async def _revoke_in_cluster(name: str, where: Where, wanted: _Revocation) -> int:
    from webhook.adapters.renewing import revocation
    from webhook.adapters.text_report import printable
    from webhook.operator import approving, revoking
    from webhook.operator.client import ApiError, connect

    client = await connect(where.kubeconfig)
    try:
        known, live = await risk_source.from_cluster(client, where)
        risk = risk_source.one(known, name, where)
        if risk.acceptance.revoked and wanted.how == "spec":
            raise InputError(f"{risk.ref.kind} {risk.ref} is revoked already")
        covered, notes = await risk_source.covered_in_cluster(risk, known, live, client)
        user, _, at = await approving.who_am_i(client)
        risk_source.tell((*known.notes, *notes))
        _tell_consequences(risk, covered, wanted.how, whole=not notes)
        if not wanted.yes and not risk_files.agreed(f"Revoke this as {user}?"):
            click.echo("not revoked", err=True)
            return 1
        if wanted.how == "spec":
            await revoking.in_spec(client, risk.ref, revocation(at, wanted.by or user, wanted.reason))
        elif wanted.how == "digest":
            await revoking.in_appetite(client, risk.acceptance.digest, format_time(at), wanted.reason)
        else:
            await revoking.delete(client, risk.ref, str(risk.object["metadata"].get("uid")))
    except ApiError as error:
        raise InputError(f"not revoked: {error}") from None
    finally:
        await client.close()
    done = {"spec": "revoked", "digest": "revoked by its digest", "delete": "deleted"}[wanted.how]
    shown = printable(f"{risk.ref.kind.lower()}.tidewaiter.dev/{risk.ref.name}")
    click.echo(
        f"{shown} {done} at {format_time(at)}; the workers hold it once they have loaded it, in seconds"
    )
    return 0


def _tell_consequences(risk: Risk, covered: Sequence[Cover], how: str, *, whole: bool) -> None:
    """Write what a revocation does to standard error."""
    from webhook.adapters import risk_text

    for line in risk_text.lines(risk, Output().style, covered, whole=whole):
        click.echo(line, err=True)
    several = "" if len(covered) == 1 else "s"
    which = f"the {len(covered)} violation{several} that it covers" if whole else "what it covers"
    click.echo("", err=True)
    click.echo(
        f"From then on whatever is created or changed with {which} is denied; nothing that runs is stopped.",
        err=True,
    )
    if how == "delete":
        click.echo("A deleted acceptance can be applied again: --how digest forbids that for good.", err=True)
    elif how == "spec" and any(each.approval.signed for each in risk.given):
        click.echo(
            "Its approvals are signed. A cluster in which it was revoked counts none of them again; others "
            "do. --how digest forbids it for good, wherever the RiskAppetite holds.",
            err=True,
        )

"""`tidewaiter risk draft`: turns a failing check into risk acceptances of the narrowest scope."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import risk_source
from webhook.commands.options import Duration, Time, Until
from webhook.commands.risk_source import Where
from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.drafting import Group, Terms, Violated, Wish
    from webhook.adapters.risks import Known
    from webhook.core.verdict import Verdict

_ASKED = {
    "justification": ("--justification", "Why is the risk worth it"),
    "riskOwner": ("--owner", "Who answers for the risk"),
    "requester": ("--requester", "Who asks, as the cluster names them"),
    "ticket": ("--ticket", "Where is it tracked"),
    "title": ("--title", "What is accepted, in one line"),
    "reason": ("--reason", "Why must it be so"),
    "residualRisk": ("--residual-risk", "How bad does the risk remain"),
    "compensatingControls": ("--control", "What lowers the risk meanwhile"),
    "remediation": ("--plan", "How will the violation end"),
    "validUntil": ("--until", "Until which day"),
}
REASONS = ("Waiver", "Mitigated", "OperationalRequirement", "VendorDependency", "FalsePositive")
SEVERITIES = ("info", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said on the command line, by the names of the options."""

    justification: str
    owner: str
    requester: str
    title: str
    reason: str | None
    residual_risk: str | None
    ticket: str
    controls: tuple[str, ...]
    plan: str
    due: str
    valid_from: datetime | None
    until: datetime | None
    lasting: timedelta | None
    break_glass: bool


_OPTIONS = (
    click.option("--justification", default="", metavar="TEXT", help="Why the risk is worth it."),
    click.option("--owner", default="", metavar="WHO", help="Who answers for the risk."),
    click.option(
        "--requester", default="", metavar="WHO", help="Who asks.  [default: the user of the kubeconfig]"
    ),
    click.option("--title", default="", metavar="TEXT", help="What is accepted, in one line."),
    click.option("--reason", type=click.Choice(REASONS), default=None, help="Why it must be so."),
    click.option(
        "--residual-risk", type=click.Choice(SEVERITIES), default=None, help="How bad the risk remains."
    ),
    click.option("--ticket", default="", metavar="URL", help="Where it is tracked."),
    click.option(
        "--control",
        "controls",
        multiple=True,
        metavar="TEXT[=KIND/NAME]",
        help="What lowers the risk meanwhile, and the policy that must pass for it; repeatable.",
    ),
    click.option("--plan", default="", metavar="TEXT", help="How the violation will end."),
    click.option("--due", default="", metavar="DATE", help="By which day, as 2027-01-31."),
    click.option(
        "--valid-from", type=Time(), default=None, metavar="TIME", help="Its first moment; now without it."
    ),
    click.option(
        "--until",
        type=Until(),
        default=None,
        metavar="DATE",
        help="Its last day, or moment.  [default: the longest that policy and RiskAppetite allow]",
    ),
    click.option(
        "--for", "lasting", type=Duration(), default=None, metavar="DURATION", help="How long, as 30d."
    ),
    click.option(
        "--break-glass", is_flag=True, help="An emergency: one approval, for a short time, in every report."
    ),
)


def takes_said(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options for what a person says of an acceptance, as its argument `said`."""

    def call(*args: Any, **given: Any) -> int:
        said = Said(**{field.name: given.pop(field.name) for field in fields(Said)})
        if said.until and said.lasting:
            raise click.UsageError("Give either --until or --for.")
        return command(*args, said=said, **given)

    call.__doc__ = command.__doc__
    call.__name__ = command.__name__
    call.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        option(call)
    return call


@click.command(name="draft")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@risk_source.takes_where
@click.option(
    "--object",
    "only",
    default="",
    metavar="KIND/NAME",
    help="Only what this object violates, such as deployment/web.",
)
@click.option(
    "--policy", "policies", multiple=True, metavar="NAME", help="Only violations of this policy; repeatable."
)
@click.option(
    "--action",
    type=click.Choice(["deny", "warn", "audit"]),
    default="deny",
    show_default=True,
    help="The least that a violation does to be drafted for.",
)
@click.option("--name", default="", metavar="NAME", help="The acceptance's name.  [default: of its content]")
@takes_said
def command(
    paths: Sequence[str],
    where: Where,
    only: str,
    policies: Sequence[str],
    action: str,
    name: str,
    said: Said,
) -> int:
    """Turn what is denied into risk acceptances of the narrowest scope, on standard output.

    With PATH it judges manifests, as check does; the policies and the RiskAppetite are among them. Without,
    what runs in the namespace -n, or in all by -A, as far as the user of the kubeconfig may read it. Each
    acceptance names one object, the violated validations, and the containers with their images as they are.
    What the policies and the RiskAppetite want filled is asked for on a terminal where no option says it.

    Nothing is accepted by a draft: apply it as its requester, and others approve it.

    Exit status: 0 drafts were written, 1 nothing is denied, 2 something can't be accepted, or is missing.
    """
    from webhook.adapters import drafting
    from webhook.adapters.drafts import as_yaml

    known, violated, user = asyncio.run(_violated(paths, where, only, action))
    if policies:
        violated = [each for each in violated if each.policy.ref.name in policies]
    risk_source.tell(known.notes, known.errors)
    if known.errors:
        return 2
    if not violated:
        click.echo("note: nothing is denied", err=True)
        return 1
    appetite = known.snapshot.register.appetite
    if appetite is None:
        raise InputError("there is no RiskAppetite named default, so that no risk can be accepted")
    good, refused = drafting.acceptable(violated, appetite, break_glass=said.break_glass)
    risk_source.tell((), [f"can't be accepted: {each}" for each in refused])
    found = drafting.groups(good)
    drafts, wish = [], _wish(said, known.at, name, user)
    for group in found:
        on = group.terms(appetite, break_glass=said.break_glass)
        wish = _whole(group, on, wish, asking="-" not in paths)
        drafts.append(drafting.draft_of(group, on, wish, alone=len(found) == 1))
    click.echo(as_yaml(drafts), nl=False)
    return 2 if refused else 0


async def _violated(
    paths: Sequence[str], where: Where, only: str, action: str
) -> tuple[Known, list[Violated], str]:
    """Return what is judged with, what it finds, and who the user of the kubeconfig is."""
    from webhook.adapters.material import Settings
    from webhook.adapters.offline import judge
    from webhook.operator import approving
    from webhook.operator.client import ApiError, connect

    if paths:
        known, material = risk_source.from_files(paths, where)
        found: list[Violated] = []
        notes: list[str] = []
        settings = Settings(namespace=where.namespace)
        there = False
        for judged in judge(material.judged, material.snapshot, material.kinds, settings, known.at):
            target = judged.request.target
            if _is_meant(only, target.kind, target.group, target.name):
                there = True
                place = f"{judged.document.file}:{judged.document.line}"
                found += _of_verdict(known, judged.verdict, target, action, place)
                notes += _unevaluated(judged.verdict, target)
        if only and not there and not known.errors:
            raise InputError(
                f"there is no {only} in these files that a policy may judge: name it as KIND/NAME"
            )
        return replace(known, notes=(*known.notes, *notes)), found, ""
    client = await connect(where.kubeconfig)
    try:
        known, live = await risk_source.from_cluster(client, where)
        user, _, _ = await approving.who_am_i(client)
        found, notes = [], []
        async for request, verdict in risk_source.judged_in_cluster(client, known, live, where, only, notes):
            found += _of_verdict(known, verdict, request.target, action, "")
            notes += _unevaluated(verdict, request.target)
        return replace(known, notes=(*known.notes, *notes)), found, user
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _is_meant(only: str, kind: str, group: str, name: str) -> bool:
    wanted, _, called = only.partition("/")
    full = f"{kind}.{group}".rstrip(".").lower()
    return not only or (wanted.lower() in (kind.lower(), full) and called == name)


def _of_verdict(known: Known, verdict: Verdict, target: Any, action: str, place: str) -> list[Violated]:
    from webhook.adapters.drafting import Violated
    from webhook.core.model import Action

    order = [Action.DENY, Action.WARN, Action.AUDIT]
    least = order[: ["deny", "warn", "audit"].index(action) + 1]
    name = f"{target.namespace}/{target.name}".lstrip("/")
    policies = {policy.ref: policy for policy in known.snapshot.policies}
    return [
        Violated(
            target,
            each,
            policies[each.policy],
            place or f"{target.kind} {name}",
            tuple(verdict.hints.get(each.fingerprint, ())),
        )
        for each in verdict.violations
        if each.action in least
    ]


def _unevaluated(verdict: Verdict, target: Any) -> list[str]:
    """Say what denies and is no violation, so that no acceptance covers it."""
    name = f"{target.kind} {target.namespace}/{target.name}".replace(" /", " ")
    return [
        f"{name}: {error.policy} could not be evaluated, which no acceptance covers: {error.message}"
        for error in verdict.errors
        if error.actions
    ]


def _wish(said: Said, at: datetime, name: str, user: str) -> Wish:
    from webhook.adapters.drafting import Wish

    start = said.valid_from or at.replace(microsecond=0)
    until = start + said.lasting if said.lasting else said.until
    return Wish(
        justification=said.justification,
        risk_owner=said.owner,
        requester=said.requester or user,
        start=start,
        until=until,
        fields=fields_of(said),
        break_glass=said.break_glass,
        name=name,
    )


def fields_of(said: Said) -> dict[str, Any]:
    """Return the fields of the spec that options give, without those that every acceptance has."""
    given: dict[str, Any] = {
        "title": said.title,
        "reason": said.reason,
        "residualRisk": said.residual_risk,
        "ticket": said.ticket,
        "compensatingControls": [_control(each) for each in said.controls],
        "remediation": _remediation(said.plan, said.due),
    }
    return {name: value for name, value in given.items() if value}


def _control(text: str) -> Mapping[str, Any]:
    description, _, policy = text.rpartition("=")
    kind, _, name = policy.partition("/")
    if description and kind in ("ClusterPolicy", "Policy") and name:
        return {"description": description, "policy": {"kind": kind, "name": name}}
    return {"description": text}


def _remediation(plan: str, due: str) -> Mapping[str, str]:
    return {name: text for name, text in (("plan", plan), ("due", due)) if text}


def _whole(group: Group, on: Terms, wish: Wish, *, asking: bool) -> Wish:
    """Return what a person says, with what is missing asked for on a terminal.

    Raises:
        InputError: something is missing, and there is no terminal.
    """
    from webhook.adapters import drafting

    lacking = drafting.missing(group, on, wish)
    if lacking and not (asking and sys.stdin.isatty()):
        options = ", ".join(_ASKED[name][0] for name in lacking)
        raise InputError(f"missing for {group.target.kind} {group.target.name}: say {options}")
    for name in lacking:
        wish = _asked(name, wish)
    return wish


def _asked(name: str, wish: Wish) -> Wish:
    question = _ASKED[name][1]
    choices = {"reason": REASONS, "residualRisk": SEVERITIES}.get(name)
    kind: Any = click.Choice(choices) if choices else Until() if name == "validUntil" else str
    answer = click.prompt(question, type=kind, err=True)
    plain = {"justification": "justification", "riskOwner": "risk_owner", "requester": "requester"}
    plain["validUntil"] = "until"
    if name in plain:
        return replace(wish, **{plain[name]: answer})
    if name == "compensatingControls":
        answer = [_control(answer)]
    elif name == "remediation":
        answer = _remediation(answer, "")
    return replace(wish, fields={**wish.fields, name: answer})

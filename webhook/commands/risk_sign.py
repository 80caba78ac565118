"""`tidewaiter risk statement` and `risk sign`: what an approver signs, and the signed approval."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import risk_files, shared
from webhook.commands.options import Time, now_or
from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.signatures import PrivateKey
    from webhook.adapters.ssh_agent import AgentKey

_PUBLIC = ("ssh-", "ecdsa-", "sk-")
_LONGEST_PUBLIC_KEY = 16384

_approver = click.option(
    "--approver",
    required=True,
    metavar="WHO",
    help="Who approves, as spec.signers of the RiskAppetite has it.",
)
_at = click.option(
    "--at", type=Time(), metavar="TIME", help="When it is approved, as RFC 3339; now without it."
)


@click.command(name="statement")
@click.argument("file", metavar="FILE")
@_approver
@_at
@risk_files.namespace
def statement(file: str, approver: str, at: datetime | None, namespace: str) -> int:
    """Print what an approver signs, for `ssh-keygen -Y sign -n tidewaiter.dev`.

    FILE holds one RiskAcceptance or ClusterRiskAcceptance, or is - for standard input. No newline follows:
    the bytes are signed as they are. The approval must carry the same approver, time and digest.
    """
    from webhook.adapters import signatures

    spec = _approval_of(risk_files.read_acceptance(file, namespace), approver, at, "")["spec"]
    click.echo(signatures.statement(spec), nl=False)
    return 0


@click.command(name="sign")
@click.argument("what", metavar="FILE|NAME")
@click.option(
    "--key",
    default="",
    metavar="PATH|SHA256:…",
    help="The approver's private key, as OpenSSH keeps it: Ed25519, ECDSA, or RSA of at least 3,072 bits. A "
    "public key or a fingerprint names a key of the ssh-agent.  [default: the ssh-agent's only key]",
)
@_approver
@_at
@click.option("--comment", default="", metavar="TEXT", help="Why it is approved. It is not signed.")
@risk_files.namespace
@shared.kubeconfig
@click.option(
    "--yes", "-y", is_flag=True, help="Don't ask; with NAME needed where standard input is no terminal."
)
def sign(
    what: str,
    key: str,
    approver: str,
    at: datetime | None,
    comment: str,
    namespace: str,
    kubeconfig: str,
    yes: bool,
) -> int:
    """Sign one acceptance, and print the approval.

    FILE holds one RiskAcceptance or ClusterRiskAcceptance, or is - for standard input. Read it first: what it
    says now is what is approved. NAME, or clusterriskacceptance/NAME, is one of a cluster: it is shown, and
    you are asked. The approval counts where the RiskAppetite lists the key for the approver, whoever brings
    it. A passphrase is asked for on a terminal.

    Without a private key the ssh-agent at SSH_AUTH_SOCK signs, also with a key on a FIDO device. Keys that
    are in neither can sign what `tidewaiter risk statement` prints with ssh-keygen.

    Exit status: 0 signed, 1 you said no, 2 it can't be read, or nothing can sign it.
    """
    from webhook.adapters import signatures
    from webhook.core.acceptance import digest_of

    if risk_files.is_name(what):
        acceptance = asyncio.run(_of_cluster(what, namespace, kubeconfig))
        risk_files.show(acceptance, digest_of(acceptance))
        if not yes and not risk_files.agreed(f"Sign this as {approver}?"):
            click.echo("not signed", err=True)
            return 1
    else:
        acceptance = risk_files.read_acceptance(what, namespace)
    approval = _approval_of(acceptance, approver, at, comment)
    spec = approval["spec"]
    spec["signature"], public = _signed(key, signatures.statement(spec), what)
    problem = signatures.check(spec).problem
    if problem:
        raise InputError(f"what {key or 'the ssh-agent'} signed does not hold: {problem}")
    click.echo(
        yaml_text(approval),
        nl=False,
    )
    click.echo(f"signed by {public}", err=True)
    return 0


async def _of_cluster(name: str, namespace: str, kubeconfig: str) -> Mapping[str, Any]:
    from webhook.operator.approving import acceptance_of
    from webhook.operator.client import ApiError, connect

    client = await connect(kubeconfig)
    try:
        return await acceptance_of(client, name, namespace or "default")
    except ApiError as error:
        raise InputError(f"can't be read: {error}") from None
    finally:
        await client.close()


def _signed(key: str, statement: bytes, file: str) -> tuple[str, str]:
    """Return a signature of a statement and the public key that made it."""
    from webhook.adapters import signatures, ssh_agent

    wanted = _named_key(key)
    if key and not wanted:
        private = _private_key(Path(key), file)
        return signatures.sign(private, statement), signatures.public_key(private)
    path = os.environ.get("SSH_AUTH_SOCK", "")
    chosen = _chosen(ssh_agent.keys(path), wanted)
    made = signatures.sign_by(lambda data: ssh_agent.sign(path, chosen, data), chosen.blob, statement)
    return made, chosen.text


def _named_key(key: str) -> str:
    """Return the public key or the fingerprint that `--key` gives; empty for a private key's file."""
    if not key or key.startswith("SHA256:"):
        return key
    try:
        first = Path(key).read_bytes()[:_LONGEST_PUBLIC_KEY].decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    kind, _, rest = first.partition(" ")
    return " ".join([kind, rest.split()[0]]) if kind.startswith(_PUBLIC) and rest.strip() else ""


def _chosen(keys: Sequence[AgentKey], wanted: str) -> AgentKey:
    from webhook.core.counting import key_fingerprint

    if not keys:
        raise InputError("the ssh-agent holds no key that can sign approvals: ssh-add one")
    names = {key.text: key_fingerprint(key.text) for key in keys}
    found = [key for key in keys if wanted in ("", key.text, names[key.text])]
    if len(found) == 1:
        return found[0]
    held = ", ".join(f"{names[key.text]} ({key.comment})" for key in keys)
    why = f"does not hold {wanted}" if wanted else "holds several keys: say which with --key"
    raise InputError(f"the ssh-agent {why}; it has {held}")


def _approval_of(
    acceptance: Mapping[str, Any], approver: str, at: datetime | None, comment: str
) -> dict[str, Any]:
    """Return an approval of an acceptance as it is now, without a signature.

    Raises:
        InputError: this approver can't approve it.
    """
    from webhook.core.acceptance import parse_acceptance
    from webhook.core.approvals import is_person
    from webhook.core.model import API_VERSION
    from webhook.core.times import format_time

    asked = parse_acceptance(acceptance)
    if not approver.strip() or not is_person(approver):
        raise InputError(f"--approver {approver!r}: is no person")
    if approver == asked.requester:
        raise InputError(f"{approver} asked for {asked.ref.kind} {asked.ref}: another person must approve it")
    spec = {
        "riskAcceptance": asked.ref.name,
        "digest": asked.digest,
        "approver": approver,
        "approvedAt": format_time(now_or(at)),
    }
    if comment:
        spec["comment"] = comment
    metadata = {"name": _name(asked.ref.name, approver, asked.digest)}
    if asked.ref.namespace:
        metadata["namespace"] = asked.ref.namespace
    kind = asked.ref.kind.replace("Acceptance", "Approval")
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _name(acceptance: str, approver: str, digest: str) -> str:
    """Return a name that no other version's approval has: an approval never changes."""
    who = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in approver.lower())
    return f"{acceptance[:180]}-{who.strip('-')[:50].rstrip('-')}-{digest.removeprefix('sha256:')[:8]}"


def _private_key(path: Path, file: str) -> PrivateKey:
    from webhook.adapters.signatures import PassphraseError, load_private_key

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the key can't be read: {error.strerror or error}", str(path)) from None
    try:
        return load_private_key(data)
    except PassphraseError:
        if not sys.stdin.isatty() or file == "-":
            raise InputError(
                "the key has a passphrase, and there is no terminal to ask for it: sign what "
                "`tidewaiter risk statement` prints with ssh-keygen -Y sign",
                str(path),
            ) from None
    except InputError as error:
        raise InputError(str(error), str(path)) from None
    try:
        return load_private_key(data, click.prompt(f"Passphrase of {path}", hide_input=True, err=True))
    except InputError as error:
        raise InputError(str(error), str(path)) from None


def yaml_text(approval: Mapping[str, Any]) -> str:
    """Return an approval as YAML, with a signature's lines as they are."""
    import yaml

    return yaml.dump(approval, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110)


def _dumper() -> Any:
    """Return what writes YAML with a signature's lines as they are."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def represent(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, represent)
    return Dumper

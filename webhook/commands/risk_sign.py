"""`tidewaiter risk statement` and `risk sign`: what an approver signs, and the signed approval."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import risk_files
from webhook.commands.options import Time, now_or
from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.signatures import PrivateKey

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
@click.argument("file", metavar="FILE")
@click.option(
    "--key",
    required=True,
    type=click.Path(dir_okay=False),
    metavar="PATH",
    help="The approver's private key, as OpenSSH keeps it: Ed25519, ECDSA, or RSA of at least 3,072 bits.",
)
@_approver
@_at
@click.option("--comment", default="", metavar="TEXT", help="Why it is approved. It is not signed.")
@risk_files.namespace
def sign(file: str, key: str, approver: str, at: datetime | None, comment: str, namespace: str) -> int:
    """Sign one acceptance, and print the approval.

    FILE holds one RiskAcceptance or ClusterRiskAcceptance, or is - for standard input. Read it first: what it
    says now is what is approved. The approval counts where the RiskAppetite lists the key for the approver,
    whoever brings it. A passphrase is asked for on a terminal. For keys in an ssh-agent or on a FIDO device,
    sign what `tidewaiter risk statement` prints with ssh-keygen.
    """
    import yaml

    from webhook.adapters import signatures

    approval = _approval_of(risk_files.read_acceptance(file, namespace), approver, at, comment)
    private = _private_key(Path(key), file)
    spec = approval["spec"]
    spec["signature"] = signatures.sign(private, signatures.statement(spec))
    problem = signatures.check(spec).problem
    if problem:
        raise InputError(f"what {key} signed does not hold: {problem}")
    click.echo(
        yaml.dump(approval, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110), nl=False
    )
    click.echo(f"signed by {signatures.public_key(private)}", err=True)
    return 0


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


def _dumper() -> Any:
    """Return what writes YAML with a signature's lines as they are."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def represent(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, represent)
    return Dumper

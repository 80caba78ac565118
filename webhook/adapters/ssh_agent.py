"""Asks an ssh-agent for its keys, and to sign with one of them: the key itself never leaves the agent.

The protocol is the one of OpenSSH's PROTOCOL.agent and draft-ietf-sshm-ssh-agent: messages with their length
before them, over the unix socket that ``SSH_AUTH_SOCK`` names.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from webhook.adapters.ssh_keys import RSA, read_public_key
from webhook.adapters.ssh_wire import Reader, string
from webhook.core.errors import InputError

_FAILURE = 5
_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_RSA_SHA2_512 = 4
_LONGEST_ANSWER = 256 * 1024
_MOST_KEYS = 1024
_LIST_TIMEOUT = 10.0
_SIGN_TIMEOUT = 120.0
"""So long somebody may take to touch a device, or to confirm."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """A key that an agent holds and that may sign approvals.

    Attributes:
        blob: the public key as SSH writes it.
        text: type and base64, as the RiskAppetite lists it.
        comment: what its owner calls it.
    """

    blob: bytes
    text: str
    comment: str


def keys(path: str) -> list[AgentKey]:
    """Return the keys of an agent that may sign approvals; others, such as certificates, are left out.

    Args:
        path: of its socket.

    Raises:
        InputError: there is no agent, or it does not answer as one.
    """
    answer = _ask(path, bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER, _LIST_TIMEOUT)
    found = []
    with _as_input_error(path):
        for _ in range(min(answer.uint32(), _MOST_KEYS)):
            blob, comment = answer.string(), answer.string().decode("utf-8", "replace")
            try:
                found.append(AgentKey(blob, read_public_key(blob).text, comment))
            except ValueError:
                continue
    return found


def sign(path: str, key: AgentKey, data: bytes) -> bytes:
    """Return an agent's signature of `data`, as SSH writes signatures.

    Args:
        path: of its socket.
        key: one of its keys.
        data: what is signed.

    Raises:
        InputError: it refuses, or does not answer as an agent.
    """
    flags = _RSA_SHA2_512 if key.text.startswith(f"{RSA} ") else 0
    request = bytes([_SIGN_REQUEST]) + string(key.blob) + string(data) + flags.to_bytes(4, "big")
    answer = _ask(path, request, _SIGN_RESPONSE, _SIGN_TIMEOUT)
    with _as_input_error(path):
        return answer.string()


def _ask(path: str, request: bytes, expected: int, seconds: float) -> Reader:
    if not path:
        raise InputError("there is no ssh-agent: SSH_AUTH_SOCK is not set; start one, or give --key FILE")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(seconds)
            agent.connect(path)
            agent.sendall(string(request))
            length = int.from_bytes(_receive(agent, 4), "big")
            if not 1 <= length <= _LONGEST_ANSWER:
                raise InputError("what answers is no ssh-agent", path)
            answer = _receive(agent, length)
    except TimeoutError:
        raise InputError(f"the ssh-agent did not answer within {seconds:.0f} s", path) from None
    except OSError as error:
        raise InputError(f"the ssh-agent can't be asked: {error.strerror or error}", path) from None
    if answer[0] == _FAILURE:
        refused = "to sign" if expected == _SIGN_RESPONSE else "to list its keys"
        raise InputError(f"the ssh-agent refused {refused}: it may be locked, or somebody said no", path)
    if answer[0] != expected:
        raise InputError("what answers is no ssh-agent", path)
    return Reader(answer[1:], "the ssh-agent's answer")


def _receive(agent: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = agent.recv(length - len(data))
        if not part:
            raise OSError("it closed the connection")
        data += part
    return data


@contextlib.contextmanager
def _as_input_error(path: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(str(error), path) from None

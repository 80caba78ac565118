"""The datagram by which a worker tells the operator beside it of a denial, written and read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import orjson

SOCKET = "denials.sock"
LARGEST = 16384

_LONGEST = 512
_MOST_POLICIES = 16
_MESSAGE = 2048


@dataclass(frozen=True, slots=True)
class Reference:
    """An ownerReference, as it was sent.

    Attributes:
        api_version: of the owner.
        kind: of the owner.
        name: of the owner.
        uid: of the owner.
    """

    api_version: str
    kind: str
    name: str
    uid: str

    @classmethod
    def of(cls, reference: Mapping[str, Any]) -> Self:
        """Return the reference in an ownerReference; parts that are missing or no text are empty."""
        parts = (reference.get(name) for name in ("apiVersion", "kind", "name", "uid"))
        return cls(*(part if isinstance(part, str) else "" for part in parts))


@dataclass(frozen=True, slots=True)
class Denial:
    """A request of a controller that was denied.

    Attributes:
        review: uid of the AdmissionReview, as the log has it.
        operation: CREATE, UPDATE, DELETE or CONNECT.
        kind: of the object that was denied.
        namespace: where it would be.
        name: its name, or what its name would begin with.
        owner: its controller.
        policies: which policies deny.
        message: what they say.
    """

    review: str
    operation: str
    kind: str
    namespace: str
    name: str
    owner: Reference
    policies: tuple[str, ...]
    message: str

    def encode(self) -> bytes:
        """Return the datagram; what is longer than Kubernetes allows is cut."""
        content = asdict(self)
        content["message"] = self.message[:_MESSAGE]
        content["policies"] = self.policies[:_MOST_POLICIES]
        return orjson.dumps(content)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the denial in a datagram.

        Raises:
            ValueError: it is none.
        """
        content = orjson.loads(data)
        if not isinstance(content, dict):
            raise ValueError("a denial must be a JSON object")
        owner = content.get("owner")
        if not isinstance(owner, dict):
            raise ValueError("owner must be an object")
        policies = content.get("policies")
        if not isinstance(policies, list) or len(policies) > _MOST_POLICIES:
            raise ValueError("policies must be a short list")
        return cls(
            review=_text(content, "review"),
            operation=_text(content, "operation"),
            kind=_text(content, "kind"),
            namespace=_text(content, "namespace"),
            name=_text(content, "name"),
            owner=Reference(*(_text(owner, name) for name in ("api_version", "kind", "name", "uid"))),
            policies=tuple(_checked(policy, "policies") for policy in policies),
            message=_text(content, "message", _MESSAGE),
        )


def _text(content: Mapping[str, Any], name: str, longest: int = _LONGEST) -> str:
    return _checked(content.get(name), name, longest)


def _checked(value: Any, name: str, longest: int = _LONGEST) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"{name} must be a text of at most {longest} characters")
    return value

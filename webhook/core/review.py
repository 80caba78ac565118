"""AdmissionReview in and out: from decoded JSON to a request, from a verdict to the answer.

The wire format is ``admission.k8s.io/v1``, see
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.core.errors import ReviewError
from webhook.core.model import ObjectRef
from webhook.core.verdict import Verdict

API_VERSION = "admission.k8s.io/v1"
OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})

WARNING_BYTES = 256
"""The API server cuts a longer warning off."""
ALL_WARNINGS_BYTES = 4096
"""It drops what goes beyond this in one response."""
_ANNOTATION_BYTES = 8192
_ADVICE_BYTES = 2048  # what is wrong matters more; `tidewaiter check` shows all of it
_MESSAGE_BYTES = 32768  # a user reads less, and the API server writes it to the audit log too

_LISTS = (list, tuple)

Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks, as the API server authenticated them."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """One request, as an AdmissionReview carries it.

    Attributes:
        uid: the review's own identity.
        kind: group, version, kind of the object as it is sent.
        resource: group, version, resource as it is sent.
        sub_resource: such as ``exec``; empty for the object itself.
        request_resource: group, version, resource as the client asked for it.
        name: the object's name; may be empty when it is generated.
        namespace: its namespace; empty for cluster-scoped objects; a Namespace's own name.
        operation: CREATE, UPDATE, DELETE or CONNECT.
        user: who asks.
        dry_run: nothing will be stored.
        object: as it will be, or None.
        old_object: as it was, or None.
        raw: the request without its objects: what expressions see as ``request``.
    """

    uid: str
    kind: Triple
    resource: Triple
    sub_resource: str
    request_resource: Triple
    name: str
    namespace: str
    operation: str
    user: UserInfo
    dry_run: bool
    object: Mapping[str, Any] | None
    old_object: Mapping[str, Any] | None
    raw: Mapping[str, Any]

    @classmethod
    def parse(cls, review: Any) -> AdmissionRequest:
        """Return the request in a decoded AdmissionReview.

        Args:
            review: the whole review, decoded from JSON.

        Raises:
            ReviewError: it is none, of another version, or a part has the wrong type.
        """
        if review.__class__ is not dict:
            raise ReviewError("the body is no AdmissionReview: it must be a JSON object")
        if review.get("kind") != "AdmissionReview" or review.get("apiVersion") != API_VERSION:
            got = f"{review.get('apiVersion')} {review.get('kind')}"[:100]
            raise ReviewError(f"the body must be {API_VERSION} AdmissionReview, not {got}")
        request = review.get("request")
        if request.__class__ is not dict:
            raise ReviewError("the AdmissionReview has no request")
        return cls.of(request)

    @classmethod
    def of(cls, request: dict[str, Any]) -> AdmissionRequest:
        """Return the request of a review's ``request``; raises ReviewError as `parse` does."""
        raw = dict(request)
        obj = raw.pop("object", None)
        old = raw.pop("oldObject", None)
        for name, value in (("object", obj), ("oldObject", old)):
            if value is not None and value.__class__ is not dict:
                raise ReviewError(f"request.{name} must be an object or null")
        operation = raw.get("operation")
        if operation.__class__ is not str or operation not in OPERATIONS:
            raise ReviewError(f"request.operation must be one of {', '.join(sorted(OPERATIONS))}")
        if operation in ("CREATE", "UPDATE") and obj is None:
            raise ReviewError(f"request.object is missing from a request to {operation}")
        uid = _text(raw, "uid")
        if not uid:
            raise ReviewError("request.uid is missing")
        resource = _triple(raw, "resource", "resource")
        asked = raw.get("requestResource")
        same = not asked or asked == raw["resource"]
        user = raw.get("userInfo")
        if user is not None and user.__class__ is not dict:
            raise ReviewError("request.userInfo must be an object")
        return cls(
            uid=uid,
            kind=_triple(raw, "kind", "kind"),
            resource=resource,
            sub_resource=_text(raw, "subResource"),
            request_resource=resource if same else _triple(raw, "requestResource", "resource"),
            name=_text(raw, "name") or _name_of(obj) or _name_of(old),
            namespace=_text(raw, "namespace"),
            operation=operation,
            user=_user(user or {}),
            dry_run=raw.get("dryRun") is True,
            object=obj,
            old_object=old,
            raw=raw,
        )

    @property
    def target(self) -> ObjectRef:
        """Which object the request is about."""
        group, version, kind = self.kind
        namespace = "" if (group, kind) == ("", "Namespace") else self.namespace
        return ObjectRef(group, version, kind, namespace, self.name)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if value.__class__ is not str:
        raise ReviewError(f"request.{name} must be a string")
    return str(value)


def _triple(raw: Mapping[str, Any], name: str, last: str) -> Triple:
    value = raw.get(name)
    if value.__class__ is not dict:
        raise ReviewError(f"request.{name} must be an object with group, version and {last}")
    parts = (value.get("group", ""), value.get("version", ""), value.get(last, ""))
    for part in parts:
        if part.__class__ is not str:
            raise ReviewError(f"request.{name} must be an object of strings")
    if not parts[2]:
        raise ReviewError(f"request.{name}.{last} is missing")
    return parts


def _name_of(obj: Mapping[str, Any] | None) -> str:
    metadata = obj.get("metadata") if obj else None
    name = metadata.get("name") if metadata.__class__ is dict else None
    return name if isinstance(name, str) else ""


def _user(info: Mapping[str, Any]) -> UserInfo:
    groups = info.get("groups") or ()
    username = info.get("username") or ""
    if username.__class__ is not str or not isinstance(groups, _LISTS):
        raise ReviewError("request.userInfo.username must be a string, its groups a list")
    extra = info.get("extra")
    return UserInfo(
        username,
        str(info.get("uid") or ""),
        tuple([group for group in groups if group.__class__ is str]),
        extra if extra.__class__ is dict or isinstance(extra, Mapping) else {},
    )


def request_for(
    obj: Mapping[str, Any],
    *,
    resource: str,
    operation: str = "CREATE",
    namespace: str = "",
    user: UserInfo | None = None,
    old_object: Mapping[str, Any] | None = None,
) -> AdmissionRequest:
    """Return the request that applying `obj` would make: for judging offline.

    Args:
        obj: a manifest with apiVersion and kind.
        resource: the plural name that the API server serves it under.
        operation: what is done.
        namespace: where it goes; empty for cluster-scoped objects; a Namespace's own name.
        user: who does it.
        old_object: what is there already, or None.
    """
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    kind = str(obj.get("kind", ""))
    who = user or UserInfo()
    raw = {
        "uid": "offline",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "requestKind": {"group": group, "version": version, "kind": kind},
        "requestResource": {"group": group, "version": version, "resource": resource},
        "name": _name_of(obj),
        "namespace": namespace,
        "operation": operation,
        "userInfo": {"username": who.username, "groups": list(who.groups)},
        "dryRun": False,
    }
    return AdmissionRequest(
        uid="offline",
        kind=(group, version, kind),
        resource=(group, version, resource),
        sub_resource="",
        request_resource=(group, version, resource),
        name=_name_of(obj),
        namespace=namespace,
        operation=operation,
        user=who,
        dry_run=False,
        object=None if operation == "DELETE" else obj,
        old_object=obj if operation == "DELETE" else old_object,
        raw=raw,
    )


def response(uid: str, verdict: Verdict) -> dict[str, Any]:
    """Return the AdmissionReview that answers the request `uid` with `verdict`.

    A denial is code 403 with one cause for each violation. The API server shows its message to the user: what
    is wrong, and then what the policies say is to be changed.
    """
    answer: dict[str, Any] = {"uid": uid, "allowed": verdict.allowed}
    if verdict.allowed and verdict.found_nothing:
        return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": answer}
    if not verdict.allowed:
        causes = [
            {
                "reason": violation.reason,
                "message": f"{violation.policy}/{violation.validation}: {violation.message}",
                "field": violation.field_path,
            }
            for violation in verdict.denying[:100]
        ]
        message = cut(verdict.message, _MESSAGE_BYTES)
        if verdict.advice:
            message += "\n" + cut(verdict.advice, _ADVICE_BYTES)
        answer["status"] = {"code": 403, "reason": "Forbidden", "message": message}
        if causes:
            answer["status"]["details"] = {"causes": causes}
    if verdict.warnings:
        answer["warnings"] = within_budget(verdict.warnings)
    if verdict.audit_annotations:
        answer["auditAnnotations"] = {
            key: cut(value, _ANNOTATION_BYTES) for key, value in verdict.audit_annotations.items()
        }
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": answer}


def within_budget(warnings: tuple[str, ...]) -> list[str]:
    """Return as many warnings as the API server passes on, each as long as it passes on, in their order."""
    kept: list[str] = []
    left = ALL_WARNINGS_BYTES
    for position, warning in enumerate(warnings):
        text = cut(" ".join(warning.split()), WARNING_BYTES)
        more = len(warnings) - position - 1
        if left - len(text.encode()) < (40 if more else 0):
            kept.append(f"and {more + 1} more warnings")
            break
        kept.append(text)
        left -= len(text.encode())
    return kept


def cut(text: str, limit: int) -> str:
    """Return `text` cut to at most `limit` bytes of UTF-8, with an ellipsis where something is missing."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    return data[: limit - 3].decode("utf-8", "ignore") + "…"

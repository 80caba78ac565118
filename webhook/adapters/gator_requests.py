"""The requests that gator makes: of an object, and of an AdmissionReview that it finds whole.

https://open-policy-agent.github.io/gatekeeper/website/docs/gator#validating-metadata-based-constraint-templates
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from webhook.adapters.kinds import Kinds
from webhook.adapters.suite_shape import misshapen_as
from webhook.core.fields import metadata_of
from webhook.core.review import AdmissionRequest, UserInfo

_GROUP_VERSION_KIND = dict.fromkeys(("group", "version", "kind"), "")
_GROUP_VERSION_RESOURCE = dict.fromkeys(("group", "version", "resource"), "")
_ANY: dict[str, Any] = {}
_REVIEW = {
    "apiVersion": "",
    "kind": "",
    "request": {
        **dict.fromkeys(("uid", "subResource", "requestSubResource", "name", "namespace", "operation"), ""),
        **dict.fromkeys(("kind", "requestKind"), _GROUP_VERSION_KIND),
        **dict.fromkeys(("resource", "requestResource"), _GROUP_VERSION_RESOURCE),
        "userInfo": {"username": "", "uid": "", "groups": [""], "extra": None},
        **dict.fromkeys(("object", "oldObject", "options"), _ANY),
        "dryRun": True,
    },
    "response": {
        "uid": "",
        "allowed": True,
        "status": _ANY,
        "patch": "",
        "patchType": "",
        "auditAnnotations": _ANY,
        "warnings": [""],
    },
}
"""https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request"""


def plain_request(obj: Mapping[str, Any]) -> AdmissionRequest:
    """Return the request that gator makes of an object: it says no operation, user or resource."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    metadata, kind = metadata_of(obj), str(obj.get("kind", ""))
    name, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "")
    raw = {"kind": {"group": group, "version": version, "kind": kind}, "name": name, "namespace": namespace}
    return AdmissionRequest(
        uid="",
        kind=(group, version, kind),
        resource=(group, version, ""),
        sub_resource="",
        request_resource=(group, version, ""),
        name=name,
        namespace=namespace,
        operation="",
        user=UserInfo(),
        dry_run=False,
        object=obj,
        old_object=None,
        raw=raw,
    )


def problems_of(review: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what keeps an AdmissionReview from being judged: the field, and what is wrong with it."""
    yield from misshapen_as(review, _REVIEW)
    request = review.get("request")
    if not isinstance(request, Mapping):
        if request is None:
            yield "request", "the AdmissionReview has no request"
        return
    user = request.get("userInfo")
    extra = user.get("extra") if isinstance(user, Mapping) else None
    if extra is not None and not (
        isinstance(extra, Mapping) and all(isinstance(each, list | None) for each in extra.values())
    ):
        yield "request.userInfo.extra", "must be a map of lists"
    there = [name for name in ("object", "oldObject") if request.get(name) is not None]
    for name in there:
        obj = request[name]
        if isinstance(obj, Mapping) and not (isinstance(obj.get("kind"), str) and obj["kind"]):
            yield f"request.{name}", "is no Kubernetes object: it has no kind"
    if not there:
        yield "request", "the AdmissionRequest has neither an object nor an oldObject"
    elif request.get("operation") == "DELETE" and "oldObject" not in there:
        yield "request", "oldObject cannot be nil for DELETE operations"


def reviewed_request(review: Mapping[str, Any]) -> AdmissionRequest:
    """Return the request of an AdmissionReview that has no problem; what it doesn't say is empty."""
    request = review["request"]
    obj, old = request.get("object"), request.get("oldObject")
    there = obj if obj is not None else old
    made = plain_request(there)
    resource = Kinds().resource(there).plural
    group, version, _ = made.kind
    return replace(
        made,
        resource=(group, version, resource),
        request_resource=(group, version, resource),
        name=request.get("name") or "",
        namespace=request.get("namespace") or "",
        operation=request.get("operation") or "",
        object=obj,
        old_object=old,
        raw={key: value for key, value in request.items() if key not in ("object", "oldObject")},
    )

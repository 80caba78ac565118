"""The authorizer: building a check step by step, asking, and reading the decision (KEP-3488)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from webhook.cel.library.formats import is_dns_label, is_dns_subdomain
from webhook.cel.library.function import Library, no_overload
from webhook.cel.opaque import Authorizer, Decision, GroupCheck, PathCheck, ResourceCheck
from webhook.core.authorization import AuthorizerCheck
from webhook.core.errors import EvaluationError

LIBRARY = Library()


def _check(name: str, receiver: Any, kind: type, *texts: Any) -> None:
    if receiver.__class__ is not kind or any(text.__class__ is not str for text in texts):
        raise no_overload(name)


@LIBRARY.method("path", "dyn", (1,), pure=False)
def path(authorizer: Any, where: Any) -> PathCheck:
    """Return a check of a path that is no resource."""
    _check("path", authorizer, Authorizer, where)
    if not where.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(authorizer, where)


@LIBRARY.method("group", "dyn", (1,), pure=False)
def group(authorizer: Any, name: Any) -> GroupCheck:
    """Return a check within an API group; the core group is the empty string."""
    _check("group", authorizer, Authorizer, name)
    return GroupCheck(authorizer, name)


@LIBRARY.method("serviceAccount", "dyn", (2,), pure=False)
def service_account(authorizer: Any, namespace: Any, name: Any) -> Authorizer:
    """Return an authorizer that asks about a service account instead."""
    _check("serviceAccount", authorizer, Authorizer, namespace, name)
    if not is_dns_subdomain(name):
        raise EvaluationError("Invalid service account name")
    if not is_dns_label(namespace):
        raise EvaluationError("Invalid service account namespace")
    return Authorizer(authorizer.ask, (namespace, name))


@LIBRARY.method("resource", "dyn", (1,), pure=False)
def resource(check: Any, name: Any) -> ResourceCheck:
    """Return a check of a resource, by its plural name."""
    _check("resource", check, GroupCheck, name)
    if not name.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(check.authorizer, check.group, name)


def _refine(name: str, field: str) -> None:
    @LIBRARY.method(name, "dyn", (1,), pure=False)
    def refine(check: Any, text: Any) -> ResourceCheck:
        _check(name, check, ResourceCheck, text)
        return replace(check, **{field: text})  # type: ignore[no-any-return]


_refine("subresource", "subresource")
_refine("namespace", "namespace")
_refine("name", "name")
_refine("fieldSelector", "field_selector")
_refine("labelSelector", "label_selector")


@LIBRARY.method("check", "dyn", (1,), costly=lambda check, verb: 1000, pure=False)
def check(asked: Any, verb: Any) -> Decision:
    """Ask whether the verb is allowed; no answer is an evaluation error, so that failurePolicy decides."""
    if verb.__class__ is not str:
        raise no_overload("check")
    if asked.__class__ is PathCheck:
        question = AuthorizerCheck(verb, path=asked.path, service_account=asked.authorizer.service_account)
    elif asked.__class__ is ResourceCheck:
        question = AuthorizerCheck(
            verb,
            group=asked.group,
            resource=asked.resource,
            subresource=asked.subresource,
            namespace=asked.namespace,
            name=asked.name,
            field_selector=asked.field_selector,
            label_selector=asked.label_selector,
            service_account=asked.authorizer.service_account,
        )
    else:
        raise no_overload("check")
    answer = asked.authorizer.ask(question)
    if not answer.answered:
        raise EvaluationError(answer.error)
    return Decision(answer.allowed, answer.reason, answer.error)


@LIBRARY.method("allowed", "bool", pure=False)
def allowed(decision: Any) -> bool:
    """Tell whether the answer was yes."""
    _check("allowed", decision, Decision)
    return decision.allowed  # type: ignore[no-any-return]


@LIBRARY.method("reason", "string", pure=False)
def reason(decision: Any) -> str:
    """Return the authorizer's reason."""
    _check("reason", decision, Decision)
    return decision.reason  # type: ignore[no-any-return]


@LIBRARY.method("errored", "bool", pure=False)
def errored(decision: Any) -> bool:
    """Tell whether the question could not be decided."""
    _check("errored", decision, Decision)
    return decision.error != ""  # type: ignore[no-any-return]


@LIBRARY.method("error", "string", pure=False)
def error(decision: Any) -> str:
    """Return why the question could not be decided."""
    _check("error", decision, Decision)
    return decision.error  # type: ignore[no-any-return]

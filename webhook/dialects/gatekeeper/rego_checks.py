"""What Gatekeeper refuses in a template's modules, though OPA wouldn't."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from webhook.dialects.gatekeeper.refusal import INVALID, TemplateError
from webhook.rego.ast import Module, Ref, Var
from webhook.rego.node_text import show

ENTRY = "template"
"""What the entry's package is called."""
RULE = "violation"
LIB = ("data", "lib")
_ALLOWED = (LIB, ("data", "inventory"))


def check_entry(module: Module, field: str) -> None:
    """Refuse an entry without the one rule.

    Raises:
        TemplateError: it has none.
    """
    if not any(rule.head.name == RULE for rule in module.rules):
        missing = f"missing required rules: [{RULE}]"
        said = f"{INVALID}invalid rego: invalid module: {missing}"
        raise TemplateError(f"invalid rego: {missing}", field, 1, 1, said=said)


def check_module(module: Module, name: str, field: str, *, entry: bool) -> None:
    """Refuse a package, imports and references that are not for a template.

    Args:
        module: the module.
        name: as Gatekeeper calls it.
        field: where it stands.
        entry: it is no library.

    Raises:
        TemplateError: there are such.
    """
    if not entry:
        _check_package(module, field)
    _check_imports(module, field)
    _check_references(module, name, field)


def _wrong(said: str, advice: str, field: str, where: Any) -> TemplateError:
    return TemplateError(f"{said}: {advice}", field, where.row, where.column, said=INVALID + said)


def _check_package(module: Module, field: str) -> None:
    if not module.package.starts_with(*LIB) or len(module.package.terms) == len(LIB):
        path = ".".join(module.path)
        raise _wrong(
            f"invalid lib prefix: path {path} not found in lib prefixes",
            "a library's package must be below lib",
            field,
            module.location,
        )


def _check_imports(module: Module, field: str) -> None:
    for each in module.imports:
        root, shown = each.path.root, show(each.path)
        if root == "input":
            said = f'invalid import: cannot import input: "{shown}"'
            raise _wrong(said, "use input itself", field, each.location)
        if root != "future" and not each.path.starts_with(*LIB):
            said = f'invalid import: bad import: "{shown}"'
            raise _wrong(said, "only data.lib and future can be imported", field, each.location)


def _check_references(module: Module, name: str, field: str) -> None:
    found = [node for node in _walk(module.rules) if _is_refused(node)]
    if found:
        shown = [_shown(node) for node in found]
        said = [f"check refs failed on module {{{name}}}: errors ({len(shown)}):"]
        said += [f"disallowed ref {each}" for each in shown]
        raise TemplateError(
            f"invalid data references: disallowed ref {shown[0]}: "
            "only data.lib and data.inventory can be used",
            field,
            found[0].location.row,
            found[0].location.column,
            said="\n".join([f"{INVALID}invalid data references: {said[0]}", *said[1:], ""]),
        )


def _is_refused(node: Any) -> bool:
    if isinstance(node, Var):
        return node.name == "data"
    return (
        isinstance(node, Ref)
        and node.root == "data"
        and not any(node.starts_with(*allowed) for allowed in _ALLOWED)
    )


def _shown(node: Any) -> str:
    return show(node) if isinstance(node, Ref) else "data"


def _walk(node: Any) -> Iterator[Any]:
    """Give every node below one, a reference's own head left out."""
    if isinstance(node, tuple):
        for each in node:
            yield from _walk(each)
    elif is_dataclass(node):
        yield node
        for field in fields(node):
            value = getattr(node, field.name)
            if isinstance(node, Ref) and field.name == "terms":
                value = value[1:] if isinstance(value[0], Var) else value
            yield from _walk(value)

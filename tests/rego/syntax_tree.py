"""Our syntax tree in the form of ``opa parse --format json``, so that the two can be compared."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from webhook.rego import ast


def module(node: ast.Module) -> dict[str, Any]:
    """Return a module."""
    tree: dict[str, Any] = {"package": {"path": terms(node.package.terms)}}
    if node.imports:
        tree["imports"] = [
            {"path": term(one.path), **({"alias": one.alias} if one.alias else {})} for one in node.imports
        ]
    if node.rules:
        tree["rules"] = [rule(one) for one in node.rules]
    return tree


def rule(node: ast.Rule) -> dict[str, Any]:
    """Return a rule, with its `else`."""
    tree: dict[str, Any] = {"head": head(node.head), "body": body(node.body)}
    if node.default:
        tree["default"] = True
    if node.else_ is not None:
        tree["else"] = rule(node.else_)
    return tree


def head(node: ast.Head) -> dict[str, Any]:
    """Return a rule's head."""
    tree: dict[str, Any] = {"ref": terms(node.ref.terms)}
    for name, part in (("key", node.key), ("value", node.value)):
        if part is not None:
            tree[name] = term(part)
    if node.name:
        tree["name"] = node.name
    if node.args:
        tree["args"] = terms(node.args)
    if node.assign:
        tree["assign"] = True
    return tree


def body(node: ast.Body) -> list[Any]:
    """Return a body."""
    return [expression(one, index) for index, one in enumerate(node)]


def expression(node: ast.Expr, index: int = 0) -> dict[str, Any]:
    """Return an expression."""
    tree: dict[str, Any] = {"index": index}
    if node.negated:
        tree["negated"] = True
    if node.with_:
        tree["with"] = [{"target": term(one.target), "value": term(one.value)} for one in node.with_]
    inner = node.terms
    if isinstance(inner, ast.Call):
        tree["terms"] = [term(inner.operator), *terms(inner.args)]
    elif isinstance(inner, ast.Some):
        tree["terms"] = {"symbols": terms(inner.symbols)}
    elif isinstance(inner, ast.Every):
        tree["terms"] = {
            "key": None if inner.key is None else term(inner.key),
            "value": term(inner.value),
            "domain": term(inner.domain),
            "body": body(inner.body),
        }
    elif isinstance(inner, ast.Not):
        tree["terms"] = {"type": "not", "body": body(inner.body), "explicit_body": inner.explicit}
    else:
        tree["terms"] = term(inner)
    return tree


def terms(nodes: tuple[ast.Term, ...]) -> list[Any]:
    """Return some terms."""
    return [term(one) for one in nodes]


def term(node: ast.Term) -> dict[str, Any]:
    """Return a term."""
    return {"type": type(node).__name__.lower(), "value": _value(node)}


def _value(node: ast.Term) -> Any:
    if isinstance(node, ast.Null):
        return {}
    if isinstance(node, ast.Boolean | ast.String):
        return node.value
    if isinstance(node, ast.Number):
        return float(Decimal(node.text))
    if isinstance(node, ast.Var):
        return node.name
    if isinstance(node, ast.Ref):
        return terms(node.terms)
    if isinstance(node, ast.Array | ast.Set):
        return terms(node.items)
    if isinstance(node, ast.Object):
        return [[term(key), term(value)] for key, value in node.items]
    if isinstance(node, ast.Call):
        return [term(node.operator), *terms(node.args)]
    if isinstance(node, ast.TemplateString):
        return {
            "parts": [expression(one) if isinstance(one, ast.Expr) else term(one) for one in node.parts],
            "multi_line": node.raw,
        }
    if isinstance(node, ast.ObjectComprehension):
        return {"key": term(node.key), "value": term(node.value), "body": body(node.body)}
    return {"term": term(node.term), "body": body(node.body)}


def normal(tree: Any) -> Any:
    """Return a tree without what doesn't matter: places, marks, and the order of sets and objects."""
    if isinstance(tree, list):
        return [normal(one) for one in tree]
    if not isinstance(tree, dict):
        return float(tree) if isinstance(tree, int) and not isinstance(tree, bool) else tree
    plain = {
        name: normal(value)
        for name, value in tree.items()
        if name not in ("location", "annotations", "comments", "generated")
    }
    if plain.get("type") == "templatestring":
        plain["value"]["parts"] = plain["value"]["parts"] or []
    if plain.get("type") in ("set", "object"):
        plain["value"] = sorted(plain["value"], key=lambda one: json.dumps(one, sort_keys=True))
    return plain

"""What `with` replaces anywhere in a program: only there has code to ask whether something is replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webhook.rego.ast import Call, Ref, Rule, chain
from webhook.rego.passes.walk import rule_expressions
from webhook.rego.tree import constant


@dataclass(frozen=True, slots=True)
class Survey:
    """The paths below ``data`` and the functions that `with` replaces."""

    data_targets: frozenset[tuple[Any, ...]]
    functions: frozenset[str]


def survey(rules: Iterable[Rule]) -> Survey:
    """Return what all `with` of some rules replace."""
    targets: set[tuple[Any, ...]] = set()
    functions: set[str] = set()
    links = [link for rule in rules for link in chain(rule)]
    for one in [one for link in links for expr in rule_expressions(link) for one in expr.with_]:
        target = one.target if isinstance(one.target, Ref) else Ref((one.target,))
        if target.root == "input":
            continue
        if target.root == "data":
            targets.add(tuple([constant(term) for term in target.terms[1:]]))
        functions.add(Call(target, ()).name)
    return Survey(frozenset(targets), frozenset(functions))

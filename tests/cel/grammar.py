"""Makes expressions by a grammar that knows types, and data that nearly fits: most evaluations succeed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

ODD = [None, True, False, 0, 1, 1.0, 0.0, -1, 2.5, "", "a", [], {}, [1, True, 1.0], {"s": "a"}, 2**53 + 1]
SCALARS = [1, 0, 2, True, False, "a", "b", "", None, 1.0, 2.5, 0.0, 2**53, 2**53 + 1, float(2**53)]
LITERALS = ["null", "1", "true", "1.0", "0", "'a'", "dyn(1)", "dyn(1u)", "dyn(1.0)", "dyn(0)", "dyn(false)"]
LISTS = ["[1, 2]", "['a']", "[true]", "[0]", "[2, 3]", "[null]", "[1.0]"]
DEPTHS = {"object": 3, "oldObject": 3, "params": 2}


def record(rng: random.Random, depth: int, odds: float) -> dict[str, Any]:
    """Return data of the shape that the expressions read; `odds` is how often a field is odd or missing."""
    data: dict[str, Any] = {
        "n": rng.choice([0, 1, 2, 3, -1, 2**53 + 1]),
        "s": rng.choice(["", "a", "b", "ab", "1Gi", "500m", "x" * 300]),
        "f": rng.choice([True, False]),
        "x": rng.choice(SCALARS),
        "t": [rng.choice(["a", "b", "ab", ""]) for _ in range(rng.randrange(4))],
        "i": [rng.choice([0, 1, 2, 3]) for _ in range(rng.randrange(4))],
        "v": [rng.choice(SCALARS) for _ in range(rng.randrange(4))],
        "k": {rng.choice(["a", "b", "ab"]): rng.choice(["a", "b", ""]) for _ in range(rng.randrange(3))},
    }
    if depth:
        data["m"] = record(rng, depth - 1, odds)
        data["l"] = [
            record(rng, depth - 1, odds) for _ in range(20 if rng.random() < 0.03 else rng.randrange(4))
        ]
        if rng.random() < 0.5:
            data["o"] = record(rng, depth - 1, odds)
    for field in list(data):
        if rng.random() < odds:
            if rng.random() < 0.5:
                del data[field]
            else:
                data[field] = rng.choice(ODD)
    return data


def binding(rng: random.Random) -> dict[str, Any]:
    """Return the variables of one evaluation."""
    odds = rng.choice((0, 0, 0, 0.03, 0.1))
    return {
        "object": record(rng, 3, odds),
        "oldObject": record(rng, 3, odds) if rng.random() < 0.6 else None,
        "params": record(rng, 2, odds),
        "request": {"name": rng.choice(["", "a"]), "operation": "CREATE", "userInfo": {"username": "a"}},
        "namespaceObject": {"metadata": {"name": "a", "labels": {"a": "b"}}},
    }


class Grammar:
    """Grows one expression; fields read before are read again often, since the compiler shares them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self.scope: list[tuple[str, str, int]] = []  # comprehension variables: name, type, records inside
        self.seen: list[tuple[str, int]] = []
        self.fields: dict[str, list[str]] = {}

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def inside(self, names: list[tuple[str, str, int]], grow: Callable[[int], str], depth: int) -> str:
        outer, self.scope = self.scope, [*self.scope, *names]
        text = grow(depth)
        self.scope = outer
        return text

    def local(self, kind: str) -> str | None:
        names = [name for name, own, _ in self.scope if own == kind]
        return self.rng.choice(names) if names else None

    def names(self) -> list[str]:
        """Return the variables to read from: mostly the record that the innermost loop visits."""
        records = [name for name, kind, _ in self.scope if kind == "record"]
        if records and self.rng.random() < 0.7:
            return records[-1:]
        return [*DEPTHS, *records]

    def path(self) -> tuple[str, int]:
        """Return a path to a record, and how many records deep it is still."""
        rng, names = self.rng, self.names()
        known = [(path, depth) for path, depth in self.seen if path.partition(".")[0] in names]
        if known and rng.random() < 0.5:
            return rng.choice(known)
        records = [(name, depth) for name, kind, depth in self.scope if kind == "record" and name in names]
        path, depth = rng.choice(records or [*DEPTHS.items(), ("object", 3)])
        while depth > 0 and rng.random() < 0.5:
            path, depth = path + (".m" if rng.random() < 0.75 else ".o"), depth - 1
        self.seen.append((path, depth))
        return path, depth

    def field(self, name: str) -> str:
        names = self.names()
        again = [path for path in self.fields.get(name, ()) if path.partition(".")[0] in names]
        if again and self.rng.random() < 0.6:
            return self.rng.choice(again[-3:])
        found = f"{self.path()[0]}.{name}"
        self.fields.setdefault(name, []).append(found)
        return found

    def integer(self, depth: int) -> str:
        rng, less = self.rng, depth - 1
        if depth <= 0:
            return rng.choice([self.local("int") or "1", self.field("n"), self.field("n"), "0", "2"])
        match rng.randrange(10):
            case 0:
                return f"size({self.sequence(less)[0]})"
            case 1:
                return f"{self.text(less)}.size()"
            case 2:
                return f"({self.integer(less)} {rng.choice('+-*')} {self.integer(less)})"
            case 3:
                return f"({self.condition(less)} ? {self.integer(less)} : {self.integer(less)})"
            case 4:
                return f"{self.optional('n')}.orValue({self.integer(less)})"
            case 5:
                return f"[{self.integer(less)}, {self.integer(less)}].{rng.choice(('max', 'min', 'sum'))}()"
            case 6:
                return self.local("int") or str(rng.randrange(4))
        return self.field("n")

    def text(self, depth: int) -> str:
        rng, less = self.rng, depth - 1
        if depth <= 0:
            return rng.choice([self.local("str") or self.field("s"), self.field("s"), "'a'", "'ab'", "''"])
        match rng.randrange(11):
            case 0:
                return f"({self.text(less)} + {self.text(less)})"
            case 1:
                return f"{self.field('k')}[{self.text(less)}]"
            case 2:
                return f"{self.field('k')}[?{self.text(less)}].orValue({self.text(less)})"
            case 3:
                return f"({self.condition(less)} ? {self.text(less)} : {self.text(less)})"
            case 4:
                return f"{self.optional('s')}.orValue({self.text(less)})"
            case 5:
                method = rng.choice(("lowerAscii()", "trim()", "replace('a', 'b')", "substring(0)"))
                return f"{self.text(less)}.{method}"
            case 6:
                return f"string({self.value(less)})"
            case 7:
                return self.local("str") or "'a'"
        return self.field("s")

    def sequence(self, depth: int) -> tuple[str, str, int]:
        """Return a list, the type of its elements, and how deep they are when they are records."""
        rng, less = self.rng, depth - 1
        kind = rng.randrange(5 if depth <= 0 else 12)
        if kind < 2 or kind == 9:
            path, inside = self.path()
            if inside > 0:
                return (f"{path}.?l.orValue([])" if kind == 9 else f"{path}.l"), "record", inside - 1
            return f"{path}.t", "str", 0
        if kind < 4:
            return (self.field("t"), "str", 0) if kind == 2 else (self.field("i"), "int", 0)
        if kind == 4:
            return rng.choice([self.field("v"), self.field("k"), "['a', 'b']", "[1, 2]", "[]"]), "any", 0
        if kind == 10:
            grow, made = self.element()
            items = [
                f"?{self.optional('x')}" if rng.random() < 0.15 else grow(less)
                for _ in range(rng.randrange(1, 4))
            ]
            return f"[{', '.join(items)}]", made, 0
        items_of, of, inside = self.sequence(less)
        name = self.fresh()
        if kind == 5:
            return (
                f"{items_of}.filter({name}, {self.inside([(name, of, inside)], self.condition, less)})",
                of,
                inside,
            )
        if kind == 8:
            return f"({items_of} + {items_of})", of, inside
        grow, made = self.element()
        if kind == 11:
            names = [(name + "i", "int", 0), (name, of, inside)]
            return f"{items_of}.transformList({name}i, {name}, {self.inside(names, grow, less)})", made, 0
        body = self.inside([(name, of, inside)], grow, less)
        if kind == 7:
            body = f"{self.inside([(name, of, inside)], self.condition, less)}, {body}"
        return f"{items_of}.map({name}, {body})", made, 0

    def element(self) -> tuple[Callable[[int], str], str]:
        choices: list[tuple[Callable[[int], str], str]] = [
            (self.integer, "int"), (self.text, "str"), (self.condition, "bool"), (self.value, "any"),
        ]  # fmt: skip
        return self.rng.choice(choices)

    def optional(self, field: str) -> str:
        rng, name = self.rng, self.fresh()
        first, *others = f"{self.path()[0]}.{field}".split(".")
        marks = [rng.choice((".", ".?")) for _ in others]
        marks[-1] = marks[-1] if ".?" in marks else ".?"
        text = first + "".join(mark + part for mark, part in zip(marks, others, strict=True))
        match rng.randrange(10):
            case 0:
                return f"optional.of({self.field(field)})"
            case 1:
                return f"{text}.or({self.optional(field)})"
            case 2:
                return f"{text}.optMap({name}, {self.field(field)})"
            case 3:
                return f"{self.path()[0]}.?m.optFlatMap({name}, {name}.?{field})"
            case 4:
                return f"optional.ofNonZeroValue({self.field(field)})"
            case 5:
                return f"{text}.optMap({name}, {name})"
        return text

    def value(self, depth: int) -> str:
        less = depth - 1
        match self.rng.randrange(10):
            case 0:
                return self.integer(depth)
            case 1:
                return self.text(depth)
            case 2:
                return self.condition(depth)
            case 3:
                return self.local("any") or self.field("x")
            case 4:
                return self.rng.choice(LITERALS)
            case 5:
                return self.path()[0]
            case 6 if depth > 0:
                return f"{self.optional('x')}.orValue({self.value(less)})"
            case 7:
                return self.sequence(less)[0]
            case 8 if depth > 0:
                return f"{{'a': {self.value(less)}, 'b': {self.value(less)}}}"
        return self.field("x")

    def condition(self, depth: int) -> str:
        rng, less = self.rng, depth - 1
        if depth <= 0:
            literal = rng.choice(LITERALS[:6])
            return rng.choice(
                [
                    self.field("f"),
                    f"{self.field('n')} > 1",
                    f"{self.field('s')} == 'a'",
                    f"has({self.field('o')})",
                    f"{self.field('x')} == {literal}",
                ]
            )
        kind = rng.randrange(28)
        if kind < 6:
            parts = [self.condition(less) for _ in range(rng.randrange(2, 5))]
            return f"({rng.choice((' && ', ' || ')).join(parts)})"
        if kind < 13:
            items, of, inside = self.sequence(less)
            name = self.fresh()
            macro = rng.choice(("all", "exists", "all", "exists", "exists_one"))
            if kind == 12 and macro != "exists_one":
                names = [(name + "i", "int", 0), (name, of, inside)]
                return f"{items}.{macro}({name}i, {name}, {self.inside(names, self.condition, less)})"
            return f"{items}.{macro}({name}, {self.inside([(name, of, inside)], self.condition, less)})"
        forms: dict[int, Callable[[], str]] = {
            13: lambda: f"!({self.condition(less)})",
            14: lambda: f"({self.condition(less)} ? {self.condition(less)} : {self.condition(less)})",
            15: lambda: (
                f"{self.integer(less)} {rng.choice(('<', '<=', '>', '>=', '=='))} {self.integer(less)}"
            ),
            16: lambda: f"{self.text(less)} {rng.choice(('==', '!=', '<', '>='))} {self.text(less)}",
            17: lambda: f"{self.value(less)} {rng.choice(('==', '!='))} {self.value(less)}",
            18: lambda: f"{self.value(less)} in {self.sequence(less)[0]}",
            19: lambda: f"{self.text(less)} in {self.field(rng.choice('ktm'))}",
            20: lambda: f"(has({self.field('o')}) && {self.condition(less)})",
            21: lambda: f"(!has({self.field('o')}) || {self.condition(less)})",
            22: lambda: f"{self.optional('f')}.orValue({self.condition(less)})",
            23: lambda: f"{self.optional(rng.choice('fox'))}.hasValue()",
            24: lambda: f"{self.text(less)}.{rng.choice(('startsWith', 'contains'))}({self.text(less)})",
            25: lambda: f"{self.text(less)}.matches('{rng.choice(('^a', 'b$', '^[a-z]*$', '^(a|b)+$'))}')",
            26: lambda: f"quantity({self.field('s')}).isLessThan(quantity('1Gi'))",
            27: lambda: f"{self.value(less)} in {rng.choice(LISTS)}",
        }
        return forms[kind]()


def expressions(seed: int, count: int) -> list[str]:
    """Return expressions that this seed always gives."""
    rng = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        grammar = Grammar(rng)
        text = (grammar.condition if rng.random() < 0.8 else grammar.value)(rng.randrange(2, 6))
        if len(text) < 4000:
            found.append(text)
    return found


def branches(rng: random.Random, depth: int) -> str:
    """Return a condition on a record ``x``, in which only some parts are evaluated each time."""
    less = depth - 1
    number = rng.choice(("x.n", "x.m.n", "x.m.n", "x.m.m.n"))
    if depth <= 0:
        atoms = ("x.f", "x.m.f", f"{number} > 1", f"{number} == x.n", f"{number} in [2, 3]", "has(x.o)")
        return rng.choice(atoms)
    match rng.randrange(8):
        case 0:
            return f"({branches(rng, less)} ? {branches(rng, less)} : {branches(rng, less)})"
        case 1:
            return f"({branches(rng, less)} ? {number} : x.n) == {rng.choice(('x.m.n', '2'))}"
        case 2:
            return f"!({branches(rng, less)})"
        case 3:
            return (
                f"x.?{rng.choice(('o', 'm'))}.optMap(y, {branches(rng, less)}).orValue({branches(rng, less)})"
            )
        case 4:
            return f"x.i.{rng.choice(('all', 'exists'))}(z, z > {number} || {branches(rng, less)})"
    return f"({rng.choice((' && ', ' || ')).join(branches(rng, less) for _ in range(rng.randrange(2, 4)))})"


def loops(seed: int, count: int) -> list[str]:
    """Return loops over records, whose fields are read again in parts that not every turn evaluates."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        macro = rng.choice(("all", "exists", "filter", "exists_one"))
        found.append(f"object.l.{macro}(x, {branches(rng, rng.randrange(1, 4))})")
    return found

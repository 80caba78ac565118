# ruff: noqa: E501 - messages are as long as OPA makes them
"""Policies that are refused: version, text below the package, and the problems."""

from __future__ import annotations

from typing import Final

Case = tuple[str, str, tuple[str, ...]]

PARSE: Final[dict[str, Case]] = {
    "a rule without if": (
        "v1",
        "p { true }",
        ("2:1: rego_parse_error: `if` keyword is required before rule body",),
    ),
    "a byte-order mark in the middle": (
        "v1",
        "\ufeffp := 1",
        ("2:0: rego_parse_error: illegal byte-order mark",),
    ),
    "a byte-order mark in a comment": (
        "v0",
        "# \ufeff\np = 1",
        ("2:1: rego_parse_error: illegal byte-order mark",),
    ),
    "a byte-order mark in a string": (
        "v1",
        'p := "a\ufeff"',
        (
            "2:6: rego_parse_error: illegal byte-order mark",
            *["2:6: rego_parse_error: illegal token"] * 2,
        ),
    ),
    "a null character in a raw string": (
        "v0",
        "p = `\0`",
        ("2:5: rego_parse_error: illegal null character", *["2:5: rego_parse_error: illegal token"] * 2),
    ),
    "a null character after a number": (
        "v1",
        "p := 1\0",
        ("2:6: rego_parse_error: illegal null character", *["2:6: rego_parse_error: illegal token"] * 2),
    ),
    "a keyword as a rule": ("v1", "if := 1", ("2:1: rego_parse_error: unexpected if keyword",)),
    "a rule of nothing": ("v1", "p", ("2:1: rego_parse_error: var cannot be used for rule name",)),
    "a package in the middle": ("v0", "p = 1\npackage u", ("3:1: rego_parse_error: unexpected package",)),
    "an unknown import": (
        "v0",
        "import foo.bar",
        (
            "2:8: rego_parse_error: unexpected import path, must begin with one of: {data, future, input, rego}, got: foo (hint: if this is unexpected, try updating OPA)",
        ),
    ),
    "an import of a keyword": (
        "v1",
        "import data.if",
        ("2:13: rego_parse_error: unexpected import path, must not end with a keyword, got: if",),
    ),
    "an alias that is no name": (
        "v0",
        "import data.a as 1",
        ("2:18: rego_parse_error: unexpected number token: expected var",),
    ),
    "a future import of nothing": (
        "v0",
        "import future.foo",
        ("2:8: rego_parse_error: invalid import, must be `future.keywords`",),
    ),
    "a future keyword that isn't": (
        "v0",
        "import future.keywords.foo",
        ("2:8: rego_parse_error: unexpected keyword, must be one of [contains every if in not]",),
    ),
    "an aliased future import": (
        "v0",
        "import future.keywords.in as x",
        ("2:8: rego_parse_error: `future` imports cannot be aliased",),
    ),
    "an unknown rego import": (
        "v0",
        "import rego.v2",
        ("2:8: rego_parse_error: invalid import `rego.v2`, must be `rego.v1`",),
    ),
    "an open string": (
        "v0",
        'p = "abc',
        (
            "2:5: rego_parse_error: non-terminated string",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "an open raw string": (
        "v0",
        "p = `abc",
        (
            "2:5: rego_parse_error: non-terminated string",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "a bad escape": (
        "v0",
        'p = "a\\qb"',
        (
            "2:5: rego_parse_error: illegal escape sequence",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "half a unicode escape": (
        "v0",
        'p = "\\u12"',
        (
            "2:5: rego_parse_error: non-terminated string",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "a number with letters": (
        "v0",
        "p = 1a",
        (
            "2:5: rego_parse_error: illegal number format",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "a number with a leading zero": (
        "v0",
        "p = 012",
        (
            "2:5: rego_parse_error: unexpected number token: expected number without leading zero",
            "2:5: rego_parse_error: unexpected number token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "a number without a fraction": (
        "v0",
        "p = 1.",
        (
            "2:5: rego_parse_error: expected fraction",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "a number without an exponent": (
        "v0",
        "p = 1e",
        (
            "2:5: rego_parse_error: expected exponent",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "a huge exponent": (
        "v0",
        "p = 1e1000000",
        (
            "2:5: rego_parse_error: number too big",
            "2:5: rego_parse_error: unexpected number token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "an illegal character": (
        "v0",
        "p = @",
        ("2:5: rego_parse_error: illegal token", "2:5: rego_parse_error: illegal token"),
    ),
    "a lone bang": (
        "v0",
        "p = !x",
        (
            "2:5: rego_parse_error: illegal ! character",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "a lone dollar": (
        "v0",
        "p = $x",
        (
            "2:5: rego_parse_error: illegal $ character",
            "2:5: rego_parse_error: illegal token",
            "2:5: rego_parse_error: illegal token",
        ),
    ),
    "an open array": (
        "v0",
        "p = [1, 2",
        (
            '2:9: rego_parse_error: unexpected eof token: expected "," or "]"',
            "2:9: rego_parse_error: unexpected eof token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "an open object": (
        "v0",
        'p = {"a": 1',
        (
            "2:11: rego_parse_error: unexpected eof token: non-terminated object",
            "2:11: rego_parse_error: unexpected eof token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "an object without a value": (
        "v0",
        'p = {"a": }',
        (
            "2:11: rego_parse_error: unexpected } token",
            "2:11: rego_parse_error: unexpected } token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "an open set": (
        "v0",
        "p = {1, 2",
        (
            '2:9: rego_parse_error: unexpected eof token: expected "," or "}"',
            "2:9: rego_parse_error: unexpected eof token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "an open parenthesis": (
        "v0",
        "p = (1 + 2",
        (
            "2:10: rego_parse_error: non-terminated expression",
            "2:10: rego_parse_error: unexpected eof token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "an empty body": ("v0", "p { }", ("2:5: rego_parse_error: found empty body",)),
    "two expressions on a line": (
        "v0",
        "p { x = 1 y = 2 }",
        ("2:11: rego_parse_error: unexpected identifier token: expected \\n or ; or }",),
    ),
    "a dot without a name": (
        "v0",
        "p { input. }",
        ("2:11: rego_parse_error: unexpected whitespace token: expected identifier",),
    ),
    "a reference into a string": (
        "v0",
        'p { "abc".d }',
        ("2:5: rego_parse_error: illegal ref (head cannot be string)",),
    ),
    "a reference into a number": (
        "v0",
        "p { 1[0] }",
        ("2:5: rego_parse_error: illegal ref (head cannot be number)",),
    ),
    "an operator without an operand": ("v0", "p { 1 + }", ("2:9: rego_parse_error: unexpected } token",)),
    "a rule without a value": (
        "v0",
        "p =",
        (
            "2:3: rego_parse_error: unexpected eof token",
            "2:3: rego_parse_error: unexpected eof token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "a function without a value": (
        "v0",
        "f(x) :=",
        (
            "2:7: rego_parse_error: unexpected eof token",
            "2:7: rego_parse_error: unexpected eof token: expected function value term (e.g., f(...) := <VALUE> { ... })",
        ),
    ),
    "a default with a reference": (
        "v0",
        "default p = input.x",
        ("2:1: rego_parse_error: illegal default rule (value cannot contain ref)",),
    ),
    "a default with a call": (
        "v0",
        "default p = f(1)",
        ("2:1: rego_parse_error: illegal default rule (value cannot contain call)",),
    ),
    "a default function with a pattern": (
        "v1",
        "default f([x]) := 1",
        ("2:1: rego_parse_error: illegal default rule (arguments cannot contain array)",),
    ),
    "a default function with one name twice": (
        "v1",
        "default f(x, x) := 1",
        ("2:1: rego_parse_error: illegal default rule (arguments cannot be repeated x)",),
    ),
    "else of a partial set": (
        "v0",
        "p[x] { x = 1 } else = 2 { true }",
        ("2:16: rego_parse_error: else keyword cannot be used on multi-value rules",),
    ),
    "else of a general reference": (
        "v1",
        "p[x].y := 1 if { x := 1 } else := 2",
        ("2:27: rego_parse_error: else keyword cannot be used on rules with variables in head",),
    ),
    "a body after else": (
        "v0",
        "p { false } else { true } { true }",
        ("2:27: rego_parse_error: expected else keyword",),
    ),
    "contains with arguments": (
        "v0",
        "import future.keywords\nf(x) contains y { y := x }",
        (
            "3:6: rego_parse_error: unexpected contains keyword: the contains keyword can only be used with multi-value rule definitions (e.g., f contains <VALUE> { ... })",
        ),
    ),
    "some that negates": (
        "v1",
        "p if { not some x }",
        ("2:12: rego_parse_error: unexpected some keyword: illegal negation of 'some'",),
    ),
    "every that negates": (
        "v1",
        "p if { not every x in [1] { x > 0 } }",
        ("2:12: rego_parse_error: unexpected every keyword: illegal negation of 'every'",),
    ),
    "every over no variable": (
        "v1",
        "p if { every 1 in [1] { true } }",
        ("2:23: rego_parse_error: unexpected { token: expected value to be a variable",),
    ),
    "every without a body": (
        "v1",
        "p if { every x in [1] }",
        ("2:23: rego_parse_error: unexpected } token: missing body",),
    ),
    "some of an expression": (
        "v1",
        "p if { some f(1) }",
        ("2:18: rego_parse_error: unexpected } token: expected `x in xs` or `x, y in xs` expression",),
    ),
    "some in without the import": (
        "v0",
        "p { some x in input.xs }",
        (
            "2:12: rego_parse_error: unexpected identifier token: expected \\n or ; or } (hint: `import future.keywords.in` for `some x in xs` expressions)",
        ),
    ),
    "every without the import": (
        "v0",
        "p { every x in input.xs { x > 0 } }",
        (
            "2:11: rego_parse_error: unexpected identifier token: expected \\n or ; or } (hint: `import future.keywords.every` for `every x in xs { ... }` expressions)",
        ),
    ),
    "with nothing": (
        "v0",
        "p { true with 1 as 2 }",
        ("2:15: rego_parse_error: unexpected number token: expected ident",),
    ),
    "with without as": (
        "v0",
        "p { true with input }",
        ("2:21: rego_parse_error: unexpected } token: expected as keyword",),
    ),
    "a bare negation": (
        "v0",
        "not p",
        ("2:1: rego_parse_error: negated expressions cannot be used for rule head",),
    ),
    "a bare some": (
        "v0",
        "some x",
        ("2:1: rego_parse_error: 'some' declarations cannot be used for rule head",),
    ),
    "a bare number": ("v0", "1", ("2:1: rego_parse_error: number cannot be used for rule name",)),
    "a bare call of a builtin": (
        "v0",
        "count(1)",
        ("2:1: rego_parse_error: rule name conflicts with built-in function",),
    ),
    "a bare call without arguments": (
        "v0",
        "f()",
        ("2:1: rego_parse_error: rule argument list must take at least one argument",),
    ),
    "a bare reference with one name": (
        "v0",
        "data",
        ("2:1: rego_parse_error: refs cannot be used for rule head",),
    ),
    "several bare expressions": (
        "v0",
        "p = 1; q = 2",
        ("2:1: rego_parse_error: multiple expressions cannot be used for rule head",),
    ),
    "a template string in v0": (
        "v0",
        'p = $"x"',
        (
            "2:5: rego_parse_error: template strings are not supported by current capabilities",
            "2:5: rego_parse_error: unexpected template-string-end token: expected rule value term (e.g., p[<nil>] = <VALUE> { ... })",
        ),
    ),
    "a negation in a template": (
        "v1",
        'p := $"{not true}"',
        (
            "2:9: rego_parse_error: unexpected negation ('not') in template-string expression",
            "2:17: rego_parse_error: unexpected } token: expected rule value term (e.g., p := <VALUE> { ... })",
        ),
    ),
    "an assignment in a template": (
        "v1",
        'p := $"{x := 1}"',
        (
            "2:9: rego_parse_error: unexpected assignment (':=') in template-string expression",
            "2:15: rego_parse_error: unexpected } token: expected rule value term (e.g., p := <VALUE> { ... })",
        ),
    ),
    "a unification in a template": (
        "v1",
        'p := $"{x = 1}"',
        (
            "2:9: rego_parse_error: unexpected unification ('=') in template-string expression",
            "2:14: rego_parse_error: unexpected } token: expected rule value term (e.g., p := <VALUE> { ... })",
        ),
    ),
    "an open template": (
        "v1",
        'p := $"{1',
        (
            "2:9: rego_parse_error: expected } to end template string expression",
            "2:9: rego_parse_error: unexpected eof token: expected rule value term (e.g., p := <VALUE> { ... })",
        ),
    ),
    "some in a template": (
        "v1",
        'p := $"{some x}"',
        (
            "2:9: rego_parse_error: unexpected 'some' in template-string expression",
            "2:15: rego_parse_error: unexpected } token: expected rule value term (e.g., p := <VALUE> { ... })",
        ),
    ),
}

NAMES: Final[dict[str, Case]] = {
    "args called input": (
        "v0",
        "f(input) = 1",
        ("2:1: rego_compile_error: args must not shadow input (use a different variable name)",),
    ),
    "a rule called data": (
        "v1",
        "data := 1",
        ("2:1: rego_compile_error: rules must not shadow data (use a different rule name)",),
    ),
    "a variable called input": (
        "v1",
        "p if { input := 1 }",
        ("2:8: rego_compile_error: variables must not shadow input (use a different variable name)",),
    ),
    "an import twice": (
        "v1",
        "import data.a\nimport data.b as a",
        ("3:1: rego_compile_error: import must not shadow import data.a",),
    ),
    "a variable declared twice": (
        "v0",
        "p { x := 1; x := 2 }",
        ("2:13: rego_compile_error: var x assigned above",),
    ),
    "a variable used before": (
        "v0",
        "p { x = 1; x := 2 }",
        ("2:12: rego_compile_error: var x referenced above",),
    ),
    "some twice": ("v0", "p { some x; some x; x = 1 }", ("2:13: rego_compile_error: var x declared above",)),
    "some of an assigned one": (
        "v0",
        "p { x := 1; some x }",
        ("2:13: rego_compile_error: var x assigned above",),
    ),
    "an argument assigned": ("v0", "f(x) { x := 1 }", ("2:8: rego_compile_error: arg x redeclared",)),
    "some unused": ("v0", "p { some x, y; input[x] }", ("2:5: rego_compile_error: declared var y unused",)),
    "every key unused": (
        "v1",
        "p if { every k, v in input { v > 0 } }",
        ("2:30: rego_compile_error: declared var k unused",),
    ),
    "every value unused": (
        "v1",
        "p if { every v in input { true } }",
        ("2:27: rego_compile_error: declared var v unused",),
    ),
    "an assignment to a number": (
        "v0",
        "p { 1 := 2 }",
        ("2:5: rego_compile_error: cannot assign to number",),
    ),
    "an assignment to a call": ("v0", "p { f(1) := 2 }", ("2:5: rego_compile_error: cannot assign to call",)),
    "an assignment to data": ("v0", "p { data.x := 2 }", ("2:5: rego_compile_error: cannot assign to ref",)),
    "an assignment in a negation": (
        "v0",
        "p { not x := 1 }",
        ("2:5: rego_compile_error: cannot assign vars inside negated expression",),
    ),
    "a called variable": (
        "v0",
        "p { x := 1; y := x(1) }",
        ("2:18: rego_compile_error: called function x shadowed",),
    ),
    "an argument that is a call": (
        "v0",
        "f(count(1)) = 1",
        ("2:3: rego_compile_error: rule arguments cannot contain calls",),
    ),
}

FUNCTIONS: Final[dict[str, Case]] = {
    "an undefined function": ("v0", "p { foo(1) }", ("2:5: rego_type_error: undefined function foo",)),
    "an undefined function in a value": (
        "v0",
        "p = foo(1)",
        ("2:5: rego_type_error: undefined function foo",),
    ),
    "an undefined function of a package": (
        "v0",
        "p { data.x.f(1) }",
        ("2:5: rego_type_error: undefined function data.x.f",),
    ),
    "too few arguments of a builtin": (
        "v0",
        'p { startswith("a") }',
        ("2:5: rego_type_error: startswith: arity mismatch",),
    ),
    "too many arguments of a builtin": (
        "v0",
        'p { startswith("a", "b", true, 1) }',
        ("2:5: rego_type_error: startswith: arity mismatch",),
    ),
    "too few arguments of a rule": (
        "v0",
        "f(x, y) = 1\np { f(1) }",
        ("3:5: rego_type_error: function data.t.f has arity 2, got 1 argument",),
    ),
    "too many arguments of a rule": (
        "v0",
        "f(x) = 1\np { f(1, 2, 3) }",
        ("3:5: rego_type_error: function data.t.f has arity 1, got 3 arguments",),
    ),
    "no arguments of a rule": (
        "v0",
        "f(x) = 1\np { f() }",
        ("3:5: rego_type_error: function data.t.f has arity 1, got 0 arguments",),
    ),
    "print as a value": ("v0", "p { x := print(1) }", ("2:10: rego_type_error: print(1) used as value",)),
    "a deprecated builtin": (
        "v1",
        "p if { any([true]) }",
        ("2:8: rego_type_error: deprecated built-in function calls in expression: any",),
    ),
    "with of nothing": (
        "v1",
        "p if { true with foo as 1 }",
        ("2:18: rego_type_error: with keyword target must reference existing input, data, or a function",),
    ),
    "with of a relation": (
        "v1",
        "p if { true with walk as count }",
        (
            "2:18: rego_compile_error: with keyword replacing built-in function: target must not be a relation",
        ),
    ),
    "with of an equality": (
        "v1",
        "p if { true with eq as count }",
        ('2:18: rego_compile_error: with keyword replacing built-in function: replacement of "eq" invalid',),
    ),
    "with of a part of a rule": (
        "v1",
        'q := {"a": 1}\np if { true with data.t.q.a as 2 }',
        ("3:18: rego_compile_error: with keyword cannot partially replace virtual document(s)",),
    ),
    "with a function of another arity": (
        "v1",
        "f(x, y) := 1\np if { count([]) > 0 with count as f }",
        ("3:22: rego_type_error: count: arity mismatch", "3:22: rego_type_error: count: arity mismatch"),
    ),
}

SAFETY: Final[dict[str, Case]] = {
    "an unsafe variable": ("v0", "p { x > 1 }", ("2:5: rego_unsafe_var_error: var x is unsafe",)),
    "an unsafe variable in a head": (
        "v0",
        "p = x { true }",
        ("2:5: rego_unsafe_var_error: var x is unsafe",),
    ),
    "an unsafe key": ("v0", "p[x] { true }", ("2:3: rego_unsafe_var_error: var x is unsafe",)),
    "an unsafe negation": ("v0", "p { not input[x] }", ("2:5: rego_unsafe_var_error: var x is unsafe",)),
    "an unsafe argument": ("v0", "p { count(x) > 1 }", ("2:5: rego_unsafe_var_error: var x is unsafe",)),
    "an unsafe comprehension": ("v0", "p = [x | true]", ("2:5: rego_unsafe_var_error: var x is unsafe",)),
    "an unsafe closure": ("v0", "p { y := [x | x > 1] }", ("2:15: rego_unsafe_var_error: var x is unsafe",)),
    "a variable that closes over itself": (
        "v0",
        "p { x = [y | y = x] }",
        ("2:5: rego_unsafe_var_error: var x is unsafe",),
    ),
    "an unsafe object key": (
        "v0",
        'p { {x: 1} = {"a": 1} }',
        ("2:5: rego_unsafe_var_error: var x is unsafe",),
    ),
    "an unsafe every": (
        "v1",
        "p if { every x in y { x > 0 } }",
        ("2:19: rego_unsafe_var_error: var y is unsafe",),
    ),
    "an unsafe some": (
        "v1",
        "p if { some x in y; x > 0 }",
        ("2:8: rego_unsafe_var_error: var x is unsafe", "2:8: rego_unsafe_var_error: var y is unsafe"),
    ),
    "an unsafe with": ("v0", "p { true with input as x }", ("2:5: rego_unsafe_var_error: var x is unsafe",)),
    "an unsafe wildcard": ("v0", "p { _ > 1 }", ("2:5: rego_unsafe_var_error: var _ is unsafe",)),
    "an unsafe keyword": (
        "v0",
        "p { x := in }",
        (
            "2:5: rego_unsafe_var_error: var x is unsafe",
            "2:5: rego_unsafe_var_error: var in is unsafe (hint: `import future.keywords.in` to import a future keyword)",
        ),
    ),
    "an unsafe equality": ("v0", "p { x == 1 }", ("2:5: rego_unsafe_var_error: var x is unsafe",)),
    "an undeclared name in a template": (
        "v1",
        'p := $"{x + 1}"',
        ("2:9: rego_compile_error: var x is undeclared",),
    ),
    "a relation in a template": (
        "v1",
        'p := $"{walk(input)}"',
        (
            "2:9: rego_compile_error: illegal call to relation built-in 'walk' that may cause multiple outputs",
        ),
    ),
}

CONFLICTS: Final[dict[str, Case]] = {
    "a rule and a function": (
        "v0",
        "p = 1\np(x) = 2",
        ("2:1: rego_type_error: conflicting rules data.t.p found",),
    ),
    "a set and a value": (
        "v0",
        "p[1] { true }\np = 1",
        ("2:1: rego_type_error: conflicting rules data.t.p found",),
    ),
    "a set and an object": (
        "v0",
        'p[1] { true }\np["a"] = 1 { true }',
        ("2:1: rego_type_error: rule data.t.p conflicts with [data.t.p.a]",),
    ),
    "functions of two arities": (
        "v0",
        "f(x) = 1\nf(x, y) = 2",
        ("2:1: rego_type_error: conflicting rules data.t.f found",),
    ),
    "two defaults": (
        "v0",
        "default p = 1\ndefault p = 2",
        ("1:1: rego_type_error: multiple default rules data.t.p found at t.rego:2, t.rego:3",),
    ),
    "a rule inside a rule": (
        "v1",
        "p := 1\np.q := 2",
        ("2:1: rego_type_error: rule data.t.p conflicts with [data.t.p.q]",),
    ),
    "a function inside a rule": (
        "v1",
        'p[x] := 1 if { x := "a" }\np.q(x) := 2',
        ("2:1: rego_type_error: rule data.t.p[x] conflicts with [data.t.p.q]",),
    ),
}

RECURSION: Final[dict[str, Case]] = {
    "a rule that refers to itself": (
        "v0",
        "p { p }",
        ("2:1: rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p",),
    ),
    "rules that refer to each other": (
        "v0",
        "p { q }\nq { r }\nr { p }",
        (
            "2:1: rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.r -> data.t.p",
            "3:1: rego_recursion_error: rule data.t.q is recursive: data.t.q -> data.t.r -> data.t.p -> data.t.q",
            "4:1: rego_recursion_error: rule data.t.r is recursive: data.t.r -> data.t.p -> data.t.q -> data.t.r",
        ),
    ),
    "a function that calls itself": (
        "v0",
        "f(x) = y { y := f(x) }",
        ("2:1: rego_recursion_error: rule data.t.f is recursive: data.t.f -> data.t.f",),
    ),
    "a package that refers to itself": (
        "v0",
        "p { data.t[_] }",
        ("2:1: rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p",),
    ),
    "an else that refers to its rule": (
        "v0",
        "p { false } else { p }",
        ("2:13: rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p",),
    ),
}

TYPES: Final[dict[str, Case]] = {
    "a number that is a string": ("v0", 'p { 1 = "a" }', ("2:5: rego_type_error: match error",)),
    "a number compared with a string": ("v0", 'p { 1 == "a" }', ("2:5: rego_type_error: match error",)),
    "an array of another length": ("v0", "p { [1, 2] = [1] }", ("2:5: rego_type_error: match error",)),
    "an object of other keys": ("v0", 'p { {"a": 1} = {"b": 1} }', ("2:5: rego_type_error: match error",)),
    "a string plus a number": (
        "v0",
        'p { x := "a" + 1 }',
        ("2:10: rego_type_error: plus: invalid argument(s)",),
    ),
    "a count of a number": (
        "v0",
        "p { count(1) > 1 }",
        ("2:5: rego_type_error: count: invalid argument(s)",),
    ),
    "a string function of a number": (
        "v0",
        'p { startswith(1, "a") }',
        ("2:5: rego_type_error: startswith: invalid argument(s)",),
    ),
    "a variable of two types": (
        "v0",
        'p { x := 1; startswith(x, "a") }',
        ("2:13: rego_type_error: startswith: invalid argument(s)",),
    ),
    "a result of another type": (
        "v0",
        'p { x := count([]); startswith(x, "a") }',
        ("2:21: rego_type_error: startswith: invalid argument(s)",),
    ),
    "a builtin's argument in an array": (
        "v0",
        'p { concat(",", [1, 2]) = x }',
        ("2:5: rego_type_error: concat: invalid argument(s)",),
    ),
    "an undefined member of a rule": (
        "v0",
        'q = {"a": 1}\np { q.b }',
        ("3:5: rego_type_error: undefined ref: data.t.q.b",),
    ),
    "a member of a number": ("v0", "q = 1\np { q.b }", ("3:5: rego_type_error: undefined ref: data.t.q.b",)),
    "a member of an array": (
        "v0",
        'q = [1]\np { q["a"] }',
        ("3:5: rego_type_error: undefined ref: data.t.q.a",),
    ),
    "an element of another type": (
        "v0",
        'q["a"] { true }\np { q[1] }',
        ("3:5: rego_type_error: undefined ref: data.t.q[1]",),
    ),
    "a function that isn't called": (
        "v0",
        "f(x) = 1\np { f }",
        ("3:5: rego_type_error: function data.t.f used as reference, not called",),
    ),
    "a function in a comprehension": (
        "v0",
        "f(x) = 1\np { [1 | f[_]] }",
        ("3:10: rego_type_error: function data.t.f[_] used as reference, not called",),
    ),
    "an argument of another type": (
        "v0",
        'f("a") = 1\np { f(1) }',
        ("3:5: rego_type_error: data.t.f: invalid argument(s)",),
    ),
    "a comprehension's error": (
        "v0",
        'p { x := [y | y := 1 + "a"] }',
        ("2:20: rego_type_error: plus: invalid argument(s)",),
    ),
    "an error in a function": (
        "v0",
        'f(x) = y { y := x + "a" }',
        ("2:17: rego_type_error: plus: invalid argument(s)",),
    ),
    "a closed object": ("v0", 'p { x := {"a": 1}; x.b = 1 }', ("2:20: rego_type_error: undefined ref: x.b",)),
    "a set of numbers": ("v0", 'p { x := {1, 2}; x["a"] }', ("2:18: rego_type_error: undefined ref: x.a",)),
    "an array's index": ("v0", "p { x := [1, 2]; x[5] }", ("2:18: rego_type_error: undefined ref: x[5]",)),
    "a member of a string": ("v0", 'p { x := "a"; x.b }', ("2:15: rego_type_error: undefined ref: x.b",)),
    "a union": (
        "v0",
        'q = 1 { input.a }\nq = "x" { input.b }\np { startswith(q, "a"); q + true > 1 }',
        ("4:25: rego_type_error: plus: invalid argument(s)",),
    ),
    "several errors": (
        "v0",
        'p { 1 = "a" }\nq { foo(1) }\nr { x > 1 }',
        ("3:5: rego_type_error: undefined function foo",),
    ),
}

ALL: Final = {**PARSE, **NAMES, **FUNCTIONS, **SAFETY, **CONFLICTS, **RECURSION, **TYPES}

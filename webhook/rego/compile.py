"""The passes over parsed modules, in OPA's order, from parsed modules to what code is generated from.

What holds of the rules that `compile_modules` hands over, and so need not be checked again:

*Names.* A `Ref` whose head is the variable ``data`` or ``input`` is global; every other variable is local to its rule. A global never
occurs as a bare `Var`: it is a `Ref`, even of one term. Imports are gone. The package is a prefix of every reference to a rule.
Local variables declared by ``:=``, ``some``, ``every``, or as an argument are renamed ``__local7__``, unique in the whole set of
modules; others (bound by unification) keep their name, and wildcards are ``$3``. Two closures that use the same undeclared name of an
enclosing body mean the same variable; a name that only closures use is local to each of them.

*Expressions.* ``:=`` is gone: it is a unification (``eq``). ``some x`` is gone; ``some x in xs`` is a unification ``xs[x]`` (or
``internal.member…`` hoisted to it). ``print`` calls are erased. `Expr.terms` is then one of: a `Call`; a scalar, `Var`, `Ref`,
collection or comprehension (true unless false or undefined); an `Every`; a `Not`.

*Calls.* A `Call` never has a `Call` among its operands, nor inside a collection or reference: nested ones are hoisted in front, as
``f(args, __local8__)`` with one more operand that is unified with the result. So a call has either as many operands as the function
has arguments (the expression is the result's truth), or one more (the last is unified with the result).
In a negated expression nothing is hoisted into the ``not``: what is hoisted stands before it, so that an undefined operand makes the
body undefined.

*References.* The head of a `Ref` is always a `Var` (a local, ``data`` or ``input``); no operand of a call, and no part of a collection, is a
`Ref` or a comprehension any more: it is a local that an ``eq`` in front binds, except for operands of ``eq`` itself. Inside brackets of a
reference there can be no nested `Ref`, only scalars, variables and collections of these.

*With.* A target is a global `Ref` (``input…``, ``data…``) or the name of a builtin (then `target` is a `Ref` that begins with neither); a value is a
scalar, variable, collection of these, or the `Ref` of a function that replaces another function.

*Order.* Expressions of a body stand in the order in which they can be evaluated: when one is reached, every variable that it needs is bound.
The same holds inside closures, `Every` and `Not`.

*Rules.* A head's `key`, `value` and the terms of its `ref` are scalars, variables, or collections of these: everything else was moved
to the body. `args` are patterns: scalars, variables, collections of these; repeated variables must be equal.
"""

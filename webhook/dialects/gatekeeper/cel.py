"""The engine K8sNativeValidation: a template's CEL as a program.

A template is judged as a ValidatingAdmissionPolicy whose parameter is the constraint:
https://open-policy-agent.github.io/gatekeeper/website/docs/validating-admission-policy
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from webhook.cel import Expression, compile_expression
from webhook.cel.program import Room
from webhook.core.activation import Activation, Program
from webhook.core.constraint import Found, Review
from webhook.core.errors import BudgetExceeded, CompileError, EvaluationError
from webhook.dialects.gatekeeper.fields import Object, mappings, text
from webhook.dialects.gatekeeper.refusal import TemplateError

_RESERVED = "gatekeeper_internal_"
_OWN_VARIABLES = ("params", "anyObject")
_REFUSED = {
    "params": "use variables.params",
    "authorizer": "Gatekeeper asks no authorizer",
}
_LONGEST_MESSAGE = 5120

_Judge = Callable[[Review, Any], Sequence[Found]]


def compile_cel(source: Object, field: str) -> _Judge:
    """Return the program of a K8sNativeValidation source.

    Args:
        source: ``code[].source``.
        field: where it stands.

    Raises:
        CompileError: an expression doesn't compile, or a name is reserved.
    """
    return _Compiler(source, field).judge


class _Compiler:
    """Compiles one source; its `judge` is the program."""

    def __init__(self, source: Object, field: str) -> None:
        self._field = field
        self._room = Room()
        self._variables: dict[str, Program] = {"params": _params, "anyObject": _any_object}
        for position, variable in enumerate(mappings(source, "variables", field)):
            name = self._name(variable, f"{field}.variables[{position}]", "variable")
            if name in self._variables:
                raise _taken(name, f"{field}.variables[{position}].name")
            compiled = self._expression(variable, "expression", f"{field}.variables[{position}]")
            self._variables[name] = compiled.run
        self._conditions = []
        for position, condition in enumerate(mappings(source, "matchCondition", field)):
            place = f"{field}.matchCondition[{position}]"
            self._name(condition, place, "match condition")
            self._conditions.append(self._expression(condition, "expression", place))
        policy = text(source, "failurePolicy", field) or "Fail"
        if policy not in ("Fail", "Ignore"):
            said = f"unrecognized failure policy: {policy}"
            raise TemplateError(said, f"{field}.failurePolicy", said=f"invalid failure policy: {said}")
        self._fails = policy == "Fail"
        self._validations = []
        for position, validation in enumerate(mappings(source, "validations", field)):
            place = f"{field}.validations[{position}]"
            expression = self._expression(validation, "expression", place)
            message = None
            if validation.get("messageExpression"):
                message = self._expression(validation, "messageExpression", place).run
            plain = text(validation, "message", place).strip()
            self._validations.append(
                (expression, plain or f"failed expression: {expression.source.strip()}", message)
            )

    def judge(self, review: Review, parameters: Any) -> Sequence[Found]:
        """Judge a review; see `template.Judge`."""
        activation = Activation(
            review.object,
            review.old_object,
            review.attributes,
            parameters,
            review.shown_namespace,
            budget=review.budget,
        )
        activation.use_variables(self._variables)
        errors = []
        for condition in self._conditions:
            try:
                if condition.run(activation) is not True:
                    return ()
            except BudgetExceeded:
                raise
            except EvaluationError as error:
                errors.append(_error(condition, error))
        if errors:
            return [Found(_joined(errors))] if self._fails else ()
        found = []
        for expression, plain, message in self._validations:
            try:
                if expression.run(activation) is not True:
                    found.append(Found(_message(message, activation) or plain))
            except BudgetExceeded:
                raise
            except EvaluationError as error:
                if self._fails:
                    found.append(Found(_error(expression, error)))
        return found

    def _name(self, owner: Object, field: str, what: str) -> str:
        name = text(owner, "name", field)
        if name.startswith(_RESERVED):
            said = f'{name} is not a valid {what}; cannot have "{_RESERVED}" as a prefix'
            where = "variable definition" if what == "variable" else what
            raise TemplateError(
                f"{name} can't have {_RESERVED!r} as a prefix",
                f"{field}.name",
                said=f"invalid {where}: {said}",
            )
        return name

    def _expression(self, owner: Object, name: str, field: str) -> Expression:
        source = text(owner, name, field)
        if not source.strip():
            raise CompileError("is missing", f"{field}.{name}")
        try:
            self._room.take(source)
            compiled = compile_expression(source, variables=self._variables)
        except CompileError as error:
            raise error.within(f"{field}.{name}") from None
        for reference, instead in _REFUSED.items():
            if reference in compiled.references:
                raise CompileError(f"undeclared reference to '{reference}': {instead}", f"{field}.{name}")
        return compiled


def _taken(name: str, field: str) -> CompileError:
    message = f"the name {name!r} is reserved or used twice"
    if name not in _OWN_VARIABLES:
        return CompileError(message, field)
    said = f'{name} an invalid variable name, "{name}" is a reserved keyword'
    return TemplateError(message, field, said=f"invalid variable definition: {said}")


def _params(activation: Activation, /) -> Any:
    return activation.params


def _any_object(activation: Activation, /) -> Any:
    deleted = activation.request.get("operation") == "DELETE" and activation.object is None
    return activation.oldObject if deleted else activation.object


def _error(expression: Expression, error: EvaluationError) -> str:
    return f"expression '{expression.source}' resulted in error: {error}"


def _joined(errors: Sequence[str]) -> str:
    """Return several errors as Kubernetes aggregates them."""
    different = list(dict.fromkeys(errors))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]"


def _message(program: Program | None, activation: Activation) -> str:
    if program is None:
        return ""
    try:
        text_found = program(activation)
    except BudgetExceeded:
        raise
    except EvaluationError:
        return ""
    if not isinstance(text_found, str):
        return ""
    text_found = text_found.strip()
    long = len(text_found.encode("utf-8", "replace")) > _LONGEST_MESSAGE
    return "" if long or "\n" in text_found else text_found

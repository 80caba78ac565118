"""What a program sees while it runs: the variables of one evaluation, and the steps it may still take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.model import PolicyRef

POLICY_STEPS = 1_000_000
"""Steps one policy may take for one request; a step is about a microsecond: eight
tokens of the body of a loop's turn, 64 bytes of a text, one element of a list."""

_STRIDE = 20_000  # steps between two looks at the deadline


class Program(Protocol):
    """An expression of a policy, compiled.

    Called with the activation, returns the expression's value: plain JSON data (dict, list, str, int,
    float, bool, None) or a value type of its language.

    Raises:
        EvaluationError: the expression failed on this input.
        BudgetExceeded: it took more steps than the activation's budget allows.
    """

    def __call__(self, activation: Activation, /) -> Any:
        """Run on `activation`."""


class Passes(Protocol):
    """All validations of a policy as one function.

    Called with the activation and the object's containers, returns True where the object is sure to meet
    every validation. False says nothing: each is to be run by itself. Never raises.
    """

    def __call__(self, activation: Activation, containers: Sequence[Place], /) -> bool:
        """Run on `activation`."""


Place = tuple[str, int, Mapping[str, Any], str]
"""A container: the list's name, the position in it, the container, and the path before the list."""


class Ledger(Protocol):
    """What single policies have taken of the caller's time, over many requests."""

    def goes_on(self, policy: PolicyRef, *, again: bool) -> bool:
        """Note that an evaluation of `policy` isn't quick; tell whether it may go on.

        Args:
            policy: which one.
            again: it is the evaluation that this was called for last.
        """


class Budget:
    """Counts steps down, and looks at the deadline and at the time taken now and then.

    A program takes steps by ``budget.left -= n`` and calls `spend` once that is negative, so that the usual
    step costs one subtraction.

    Args:
        steps: how many steps each policy may take.
        expired: tells whether the request's deadline has passed; the caller brings the clock.
        taken: gives the seconds of computing that the caller has taken; None: they aren't limited.
        seconds: how many all policies of the request may take. One alone takes half of what is left at most,
            so that one that burns them leaves the others theirs.
        ledger: is told of each policy that isn't quick; None: nobody is.
    """

    __slots__ = (
        "_end",
        "_expired",
        "_first",
        "_is_slow",
        "_ledger",
        "_policy",
        "_policy_end",
        "_reserve",
        "_steps",
        "_taken",
        "_unseen",
        "left",
    )

    def __init__(
        self,
        steps: int = POLICY_STEPS,
        expired: Callable[[], bool] | None = None,
        taken: Callable[[], float] | None = None,
        seconds: float = 0.0,
        ledger: Ledger | None = None,
    ) -> None:
        self._steps = steps
        self._ledger = ledger
        self._policy: PolicyRef | None = None
        self._is_slow = False
        self._expired = expired
        self._taken = taken
        now = taken() if taken is not None else 0.0
        self._end, self._policy_end = now + seconds, now + seconds / 2
        self._unseen = 0
        self._first = min(_STRIDE, steps)
        self.left = self._first
        self._reserve = steps - self._first

    def refill(self, policy: PolicyRef | None = None) -> None:
        """Start anew for the next policy: its full steps, the same deadline.

        Args:
            policy: which one it is, for the ledger; None: that isn't told.

        Raises:
            BudgetExceeded: the deadline has passed.
        """
        self._policy, self._is_slow = policy, False
        if self._expired is not None and self._expired():
            raise BudgetExceeded("the deadline of the request passed before this policy was evaluated")
        if self._taken is not None:
            self._unseen += self._first - self.left
            if self._unseen >= _STRIDE:  # a look costs as much as a policy that is judged quickly
                self._unseen = 0
                now = self._taken()
                if now >= self._end:
                    self._unseen = _STRIDE
                    raise BudgetExceeded("other policies took the time that this request may take")
                self._policy_end = (now + self._end) / 2
        self.left = self._first
        self._reserve = self._steps - self._first

    def look(self) -> None:
        """Have deadline and time looked at with the next step, however few have been taken.

        Steps are about a microsecond; where some take far longer, whoever has a clock asks for this.
        """
        if self.left >= 0:
            self._reserve += self.left + 1
            self.left = -1

    def seconds_left(self) -> float:
        """Return how much of `seconds` is left."""
        return max(0.0, self._end - self._taken()) if self._taken is not None else 0.0

    def stride(self) -> None:
        """Start anew with few steps, and none after them: enough for what is quick."""
        self._policy = None
        self._unseen += self._first - self.left
        self.left = self._first
        self._reserve = 0

    def spend(self) -> None:
        """Take the next stride of steps.

        Raises:
            BudgetExceeded: no steps are left, or the deadline has passed.
        """
        if self._expired is not None and self._expired():
            raise BudgetExceeded("the deadline of the request passed while this policy was evaluated")
        self._unseen += 2 * _STRIDE  # more than `left` can take away from it
        if self._taken is not None and self._taken() >= self._policy_end:
            raise BudgetExceeded("took longer than one policy may take of a request's time")
        if self._ledger is not None and self._policy is not None:
            again, self._is_slow = self._is_slow, True
            if not self._ledger.goes_on(self._policy, again=again):
                raise BudgetExceeded("was slow so often lately that it may take no more time for now")
        if self._reserve + self.left < 0:
            raise BudgetExceeded(f"took more than {self._steps} steps")
        self.left += self._reserve
        self._reserve = max(0, self.left - _STRIDE)
        self.left -= self._reserve


class Activation:
    """The variables of one evaluation, by their names in Kubernetes' ValidatingAdmissionPolicy.

    Attributes:
        object: the object as it will be; a plain decoded dict, or None for DELETE.
        oldObject: the object as it was; None for CREATE and CONNECT.
        request: the AdmissionRequest without its objects.
        params: the parameter object, or None.
        namespaceObject: the Namespace of the object, or None for cluster-scoped objects.
        authorizer: asks what the request's user may do; None where nobody can be asked.
        container: the container that ``forEach: containers`` visits, else None.
        containerKind: its list: ``containers``, ``initContainers`` or ``ephemeralContainers``.
        budget: the steps left.
    """

    __slots__ = (
        "_programs",
        "_values",
        "authorizer",
        "budget",
        "container",
        "containerKind",
        "namespaceObject",
        "object",
        "oldObject",
        "params",
        "request",
    )

    def __init__(
        self,
        object: Any = None,  # noqa: A002 - CEL's own name
        oldObject: Any = None,  # noqa: N803
        request: Any = None,
        params: Any = None,
        namespaceObject: Any = None,  # noqa: N803
        authorizer: Any = None,
        budget: Budget | None = None,
    ) -> None:
        self.object = object
        self.oldObject = oldObject
        self.request = request
        self.params = params
        self.namespaceObject = namespaceObject
        self.authorizer = authorizer
        self.container: Any = None
        self.containerKind: Any = None
        self.budget = budget or Budget()
        self._programs: Mapping[str, Program] = {}
        self._values: dict[str, Any] = {}

    def use_variables(self, programs: Mapping[str, Program]) -> None:
        """Set the policy's own variables; each is computed when first read, and then kept."""
        if programs or self._programs:
            self._programs = programs
            self._values = {}

    def variable(self, name: str) -> Any:
        """Return ``variables.<name>``.

        Raises:
            EvaluationError: there is no such variable, or its own expression failed; in Kubernetes' words.
        """
        values = self._values
        if name in values:
            value = values[name]
            if value.__class__ is _Failed:
                raise value.error
            return value
        program = self._programs.get(name)
        if program is None:
            raise EvaluationError(f"no such key: {name}")
        container, kind = self.container, self.containerKind
        self.container = self.containerKind = None  # a variable is the policy's, not a container's
        try:
            value = program(self)
        except EvaluationError as error:
            if error.__class__ is EvaluationError:  # others say more than their text
                error = EvaluationError(f'composited variable "{name}" fails to evaluate: {error}')
            values[name] = _Failed(error)
            raise error from None
        finally:
            self.container, self.containerKind = container, kind
        values[name] = value
        return value


class _Failed:
    """A variable whose expression failed: it fails the same way at every reading."""

    __slots__ = ("error",)

    def __init__(self, error: EvaluationError) -> None:
        self.error = error

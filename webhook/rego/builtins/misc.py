"""Builtins of tracing and of Gatekeeper, and those of OPA that are refused."""

from __future__ import annotations

from typing import Any

from webhook.rego.builtins.declaration import REFUSED, builtin
from webhook.rego.builtins.operands import operand_error
from webhook.rego.context import BuiltinError, Context
from webhook.rego.plain_json import to_json
from webhook.rego.types import ANY, BOOLEAN, STRING
from webhook.rego.values import key


@builtin("trace", (STRING,), BOOLEAN)
def trace(note: Any) -> bool:
    """Return true; there is no trace to write the note into."""
    if note.__class__ is not str:
        raise operand_error(1, note, "string")
    return True


@builtin("external_data", (ANY,), ANY, needs_context=True, pure=False)
def external_data(context: Context, request: Any) -> Any:
    """Return what a provider answers to keys; the same request is asked once in a query.

    https://open-policy-agent.github.io/gatekeeper/website/docs/externaldata
    """
    if context.external_data is None:
        raise BuiltinError("external_data: there are no providers here")
    context.spend(20)
    identity = ("external_data", key(request))
    if identity not in context.cache:
        context.cache[identity] = context.external_data(to_json(request))
    return context.cache[identity]


_NETWORK = "a policy's verdict must not depend on the network"
REFUSED.update(
    {
        "http.send": f"{_NETWORK}: use external_data with a Provider",
        "net.lookup_ip_addr": f"{_NETWORK}: use external_data with a Provider",
        "opa.runtime": "a policy's verdict must not depend on where it runs: use the template's parameters",
        "rand.intn": "a policy's verdict must not be random: use uuid.rfc4122, which repeats with the seed",
        "providers.aws.sign_req": "it signs requests that no policy can send here: use external_data "
        "with a Provider",
        "rego.metadata.chain": "annotations aren't kept: define a rule with what is needed",
        "rego.metadata.rule": "annotations aren't kept: define a rule with what is needed",
        "rego.parse_module": "a policy can't read policies here: check them where they are written",
        "internal.test_case": "it is OPA's own, for its tests",
    }
)

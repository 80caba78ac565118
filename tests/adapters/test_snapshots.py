"""Snapshot files: what is written comes back, older files load, and what can't be meant is refused."""

from __future__ import annotations

import orjson
import pytest

from webhook.adapters import snapshots
from webhook.core.errors import InputError

CONTEXT = snapshots.Context(
    cluster="prod",
    exempt_namespaces=("kube-system", "tidewaiter"),
    trust_approvals=True,
    clock_skew=1.5,
    max_action="Warn",
    exempt_users=("admin",),
    administrators=("security",),
)


def test_the_context_comes_back_from_the_file() -> None:
    built = snapshots.load(snapshots.dump([], CONTEXT))
    assert built.max_action == "Warn"
    assert built.exempt_users == {"admin"}
    assert built.administrators == {"security"}
    assert built.exempt_namespaces == {"kube-system", "tidewaiter"}


def test_a_file_of_an_older_version_has_no_cap_and_exempts_nobody() -> None:
    old = b'{"format":1,"context":{"cluster":"prod","exempt_namespaces":["kube-system"]},"objects":[]}'
    built = snapshots.load(old)
    assert (built.max_action, built.exempt_users, built.administrators) == ("", frozenset(), frozenset())


@pytest.mark.parametrize("value", ["deny", "None", 1, None, ["Deny"]])
def test_a_cap_that_is_no_action_is_refused(value: object) -> None:
    data = orjson.loads(snapshots.dump([], CONTEXT))
    data["context"]["max_action"] = value
    with pytest.raises(InputError):
        snapshots.load(orjson.dumps(data))


def test_an_empty_username_exempts_nobody() -> None:
    assert not snapshots.build([], snapshots.Context(exempt_users=("",))).exempt_users

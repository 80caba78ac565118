"""What is wrong with a policy is said with OPA's code and words, at OPA's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rego.front.checks import VERSIONS, compiled, problems, problems_of_opa, unplaced
from tests.rego.front.refused import ALL
from tests.rego.opa_server import Opa
from webhook.core.errors import CompileError
from webhook.rego.ast import Version
from webhook.rego.parser import parse_module


@pytest.fixture(scope="module")
def servers(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Version, Opa]]:
    """Run OPA once for each version."""
    running = {one: Opa(opa, tmp_path_factory.mktemp(one), v0=one == "v0") for one in VERSIONS}
    yield running
    for one in running.values():
        one.connection.close()
        one.close()


@pytest.mark.parametrize("name", ALL)
def test_problems_of(name: str) -> None:
    version, text, expected = ALL[name]
    assert problems(f"package t\n{text}", version) == sorted(expected)


@pytest.mark.parametrize("name", ALL)
def test_opa_has_the_same_problems_with(name: str, servers: dict[Version, Opa]) -> None:
    version, text, expected = ALL[name]
    found = problems_of_opa(servers[version], f"package t\n{text}")
    if any(one.startswith("0:0: ") for one in found):  # OPA sometimes doesn't say where
        assert sorted(unplaced(found)) == sorted(unplaced(list(expected)))
    else:
        assert found == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffpackage t\np := 1", []),
        ("\ufeff# of an editor\npackage t\np := 1", []),
        ("\ufeffpackage t q", ["1:12: rego_parse_error: var cannot be used for rule name"]),
        ("\ufeff\ufeffpackage t", ["1:2: rego_parse_error: illegal byte-order mark"]),
    ],
)
def test_a_byte_order_mark_may_begin_a_policy(
    text: str, expected: list[str], servers: dict[Version, Opa]
) -> None:
    """Some editors write one."""
    assert problems(text, "v1") == expected
    assert unplaced(problems_of_opa(servers["v1"], text)) == unplaced(expected)


def test_a_policy_s_error_is_placed_at_its_first_problem() -> None:
    with pytest.raises(CompileError) as caught:
        parse_module("package t\np = @\nq = [1\n", "t.rego", "v0")
    assert (caught.value.line, caught.value.column) == (2, 5)
    assert "rego_parse_error: illegal token" in str(caught.value)


REFUSED_BUILTINS = ("http.send", "opa.runtime", "net.lookup_ip_addr", "rand.intn", "providers.aws.sign_req")


@pytest.mark.parametrize("name", REFUSED_BUILTINS)
def test_a_builtin_that_is_not_there_is_refused_with_its_line_and_what_to_use_instead(name: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiled({"t.rego": f"package t\np {{\n  x := {name}({{}})\n}}"}, "v0")
    assert caught.value.line == 3
    message = str(caught.value)
    assert f"unsafe built-in function calls in expression: {name}\n\t" in message

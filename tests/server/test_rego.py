"""Templates in Rego in the data plane: whatever they do, a review is answered."""

from __future__ import annotations

import json

import pytest

from tests.core.builders import namespace
from tests.gatekeeper.gk import snapshot
from tests.gatekeeper.test_raw_text import RULES, manifests
from tests.server.builders import Start, make_review


@pytest.mark.parametrize("action", ["deny", "warn", "dryrun"])
async def test_messages_that_are_not_utf_8_are_sent(start: Start, action: str) -> None:
    policies = [each for name in RULES for each in manifests(name, enforcementAction=action)]
    plane = await start(snapshot(namespace(), *policies))
    answer = await plane.verdict(make_review())
    said = json.dumps(answer, ensure_ascii=False)
    said.encode()
    assert ("\ufffd" in said) == (action != "dryrun")

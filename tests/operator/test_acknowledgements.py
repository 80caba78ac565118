"""What the workers acknowledge, as the operator reads it."""

from __future__ import annotations

import time
from pathlib import Path

import orjson

from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.publisher import ACKNOWLEDGEMENTS


def test_what_a_worker_still_writes_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / ACKNOWLEDGEMENTS
    folder.mkdir()
    content = orjson.dumps({"pid": 7, "revision": "new", "time": time.time()})
    (folder / ".7-1.json").write_bytes(content)
    looked = Acknowledgements(tmp_path, lambda: None)
    looked.look()
    assert looked.live == ()
    (folder / ".7-1.json").rename(folder / "7-1.json")
    looked.look()
    assert [each.revision for each in looked.live] == ["new"]

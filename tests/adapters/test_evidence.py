"""The decision log's chain: whatever is done to it shows, and where; what nothing vouches for is said."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.adapters.evidence import Author, Chain, Type, encoded, line_digest
from webhook.adapters.evidence_keys import new_key
from webhook.adapters.evidence_lines import in_order, records
from webhook.adapters.evidence_verify import Report, verify
from webhook.core.canonical import canonical_json

Lines = list[bytes]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = new_key()
KEYS = (KEY.public_key(),)
NAME = "web-1/00ff/1"


def make_chain(start: int = 1, key: Ed25519PrivateKey = KEY, run: str = "00ff") -> Chain:
    return Chain(Author("web-1", run, start, 0, NOW), key)


def make_log(chain: Chain | None = None, *, ends: bool = True, note: str = "") -> Lines:
    """Return nine lines: start, two decisions, checkpoint, two, checkpoint, one, end."""
    chain = chain or make_chain()
    kinds = [
        Type.START,
        *(Type.DECISION, Type.WRITE, Type.CHECKPOINT),
        *(Type.DECISION, Type.DECISION, Type.CHECKPOINT),
        Type.DECISION,
        *([Type.END] if ends else []),
    ]
    made = [
        chain.add(kind, {"name": f"web-{number}{note}"}, NOW + timedelta(seconds=number))
        for number, kind in enumerate(kinds, 1)
    ]
    return [line.data for line in made]


def look(*files: Lines, ordered: bool = True, keys: Any = KEYS, **options: bool) -> Report:
    found = [
        record
        for name, lines in zip("abc", files, strict=False)
        for record in records(f"{name}.jsonl", [line + b"\n" for line in lines])
    ]
    return verify(found if ordered else in_order(found), keys, **options)


def told(report: Report) -> list[str]:
    return [f"{finding.place}: {finding.message}" for finding in report.findings]


def edited(line: bytes, **changes: Any) -> bytes:
    """Return a record with other content, as somebody without the key would write it."""
    return canonical_json(json.loads(line) | changes)


def rewritten(lines: Lines, position: int, **changes: Any) -> Lines:
    """Return the log with a record changed and every later hash made to fit: all that needs no key."""
    result = list(lines)
    result[position] = edited(result[position], **changes)
    for later in range(position + 1, len(result)):
        result[later] = edited(result[later], previous=line_digest(result[later - 1]))
    return result


def test_a_log_as_it_was_written_holds() -> None:
    report = look(make_log(), complete=True)
    assert told(report) == []
    (chain,) = report.chains
    assert (chain.name, chain.records, chain.checkpoints, chain.ended) == (NAME, 9, 4, True)
    assert (chain.vouched, chain.unsigned) == (9, 0)
    assert report.pinned


def change(lines: Lines) -> Lines:
    return [*lines[:4], edited(lines[4], name="other"), *lines[5:]]


TAMPERING: list[tuple[str, Callable[[Lines], Lines], list[str]]] = [
    (
        "a changed record",
        change,
        ["a.jsonl:6: record 6 does not follow from record 5 at a.jsonl:5: one of them was changed"],
    ),
    (
        "one byte of a name",
        lambda lines: [*lines[:4], lines[4].replace(b"web-5", b"web-6"), *lines[5:]],
        ["a.jsonl:6: record 6 does not follow from record 5 at a.jsonl:5: one of them was changed"],
    ),
    (
        "a changed record, and every later hash made to fit",
        lambda lines: rewritten(lines, 4, name="other"),
        [
            "a.jsonl:7: the signature of checkpoint 7 does not hold",
            "a.jsonl:9: the signature of end 9 does not hold",
        ],
    ),
    ("a deleted record", lambda lines: lines[:4] + lines[5:], ["a.jsonl:5: record 5 is missing before this"]),
    (
        "several deleted records",
        lambda lines: lines[:1] + lines[4:],
        ["a.jsonl:2: records 2 to 4 are missing before this"],
    ),
    (
        "a deleted record, and the others numbered anew",
        lambda lines: [
            *lines[:4],
            *rewritten([edited(lines[5], sequence=5, previous=line_digest(lines[3])), *lines[6:]], 0)[:1],
            *lines[6:],
        ],
        ["a.jsonl:6: record 6 is missing before this"],
    ),
    (
        "a deleted first record",
        lambda lines: lines[1:],
        ["a.jsonl:1: record 1 is missing before this"],
    ),
    (
        "a record that came from nowhere",
        lambda lines: [*lines[:5], edited(lines[4], name="forged", sequence=6), *lines[5:]],
        [
            "a.jsonl:6: record 6 does not follow from record 5 at a.jsonl:5: one of them was changed",
            "a.jsonl:7: record 6 comes again or out of order: 6 was before it",
            "a.jsonl:8: record 7 does not follow from record 6 at a.jsonl:6: one of them was changed",
        ],
    ),
    (
        "a record that is there twice",
        lambda lines: [*lines[:5], lines[4], *lines[5:]],
        ["a.jsonl:6: record 5 comes again or out of order: 5 was before it"],
    ),
    (
        "two records that changed places",
        lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
        [
            "a.jsonl:6: record 5 comes again or out of order: 6 was before it",
            "a.jsonl:5: record 5 is missing before this",
        ],
    ),
    (
        "the log again after its end",
        lambda lines: [*lines, *lines[:1]],
        ["a.jsonl:10: record 1 comes after the chain's end"],
    ),
    (
        "spaces in a record",
        lambda lines: [*lines[:6], lines[6].replace(b'":', b'": '), *lines[7:]],
        [
            "a.jsonl:7: record 7 was changed: it is not as a writer puts it",
            "a.jsonl:8: record 8 does not follow from record 7 at a.jsonl:7: one of them was changed",
        ],
    ),
    (
        "a checkpoint signed with another key",
        lambda lines: [*lines[:6], _resigned(lines[6], new_key()), *lines[7:]],
        [
            "a.jsonl:7: the signature of checkpoint 7 does not hold",
            "a.jsonl:8: record 8 does not follow from record 7 at a.jsonl:7: one of them was changed",
        ],
    ),
    (
        "a checkpoint whose signature is another's",
        lambda lines: [*lines[:6], edited(lines[6], signature=json.loads(lines[3])["signature"]), *lines[7:]],
        [
            "a.jsonl:7: the signature of checkpoint 7 does not hold",
            "a.jsonl:8: record 8 does not follow from record 7 at a.jsonl:7: one of them was changed",
        ],
    ),
    (
        "a signature that is none",
        lambda lines: [*lines[:8], edited(lines[8], signature=["?"])],
        ["a.jsonl:9: the signature of end 9 does not hold"],
    ),
    (
        "a mark of another format",
        lambda lines: [*lines[:8], edited(lines[8], format="x")],
        ["a.jsonl:9: end 9 is not of the format tidewaiter.dev/Evidence/v1"],
    ),
    (
        "a first record that is none",
        lambda lines: [edited(lines[0], type="decision"), *lines[1:]],
        [
            "a.jsonl:1: record 1 was changed: no chain starts like this",
            "a.jsonl:2: record 2 does not follow from record 1 at a.jsonl:1: one of them was changed",
        ],
    ),
]


def _resigned(line: bytes, key: Ed25519PrivateKey) -> bytes:
    record = json.loads(line)
    del record["signature"]
    record["signature"] = base64.b64encode(key.sign(canonical_json(record))).decode()
    return canonical_json(record)


@pytest.mark.parametrize(("what", "tamper", "found"), TAMPERING, ids=[what for what, _, _ in TAMPERING])
def test_tampering_is_found_and_its_line_named(
    what: str, tamper: Callable[[Lines], Lines], found: list[str]
) -> None:
    assert told(look(tamper(make_log()))) == found


@pytest.mark.parametrize(
    ("kept", "vouched", "unsigned"), [(8, 7, 1), (7, 7, 0), (6, 4, 2), (4, 4, 0), (3, 1, 2), (1, 1, 0)]
)
def test_what_lies_after_the_last_checkpoint_is_said(kept: int, vouched: int, unsigned: int) -> None:
    report = look(make_log()[:kept])
    assert told(report) == []
    (chain,) = report.chains
    assert (chain.vouched, chain.unsigned, chain.ended) == (vouched, unsigned, False)
    missing = [finding.message for finding in look(make_log()[:kept], complete=True).findings]
    assert missing == ["the chain has no end: its writer was killed, or the end was cut off"]


def test_a_change_after_the_last_checkpoint_is_only_unsigned() -> None:
    """Nobody can tell: so the report must not vouch for it."""
    lines = rewritten(make_log(ends=False), 7, name="other")
    report = look(lines)
    assert told(report) == []
    assert (report.chains[0].vouched, report.chains[0].unsigned) == (7, 1)


def test_chains_may_be_mixed_as_on_one_standard_output() -> None:
    one, two = make_log(), make_log(make_chain(2))
    mixed = [line for pair in zip(one, two, strict=True) for line in pair]
    report = look(mixed, complete=True)
    assert told(report) == []
    assert [chain.name for chain in report.chains] == [NAME, "web-1/00ff/2"]


def test_records_that_swap_their_chains_are_found() -> None:
    one, two = make_log(), make_log(make_chain(2))
    one[4], two[4] = edited(two[4], chain=NAME), edited(one[4], chain="web-1/00ff/2")
    assert told(look(one, two)) == [
        f"{name}.jsonl:{after + 1}: record {after + 1} does not follow from record {after} at "
        f"{name}.jsonl:{after}: one of them was changed"
        for name in "ab"
        for after in (4, 5)
    ]


def test_a_line_that_went_to_another_chains_file_is_missed_in_its_place() -> None:
    one, two = make_log(), make_log(make_chain(2))
    assert "a.jsonl:5: record 5 is missing before this" in told(look([*one[:4], *one[5:]], [*two, one[4]]))


def test_two_chains_of_one_name_are_found() -> None:
    other = make_log(note="-other")
    found = told(look(make_log(), other))
    assert found[0] == "b.jsonl:1: record 1 comes after the chain's end"
    assert len(found) == len(other)
    assert look(make_log(ends=False), other).findings


def test_a_chain_goes_on_in_the_next_file() -> None:
    lines = make_log()
    assert told(look(lines[:5], lines[5:], complete=True)) == []
    assert told(look(lines[5:], lines[:5])), "in their order"


def test_a_part_of_a_chain_can_be_verified() -> None:
    lines = make_log()[4:]
    assert told(look(lines)) == ["a.jsonl:1: records 1 to 4 are missing before this"]
    assert told(look(lines, partial=True)) == []
    assert told(look([*lines[:1], *lines[2:]], partial=True)) == [
        "a.jsonl:2: record 6 is missing before this"
    ]


def test_a_whole_chain_that_is_missing_leaves_a_gap_in_the_starts() -> None:
    one, three = make_log(), make_log(make_chain(3))
    assert told(look(one, three)) == []
    (finding,) = look(one, three, complete=True).findings
    assert (finding.chain, finding.message) == ("web-1/00ff/2", "the whole chain is missing")


def test_a_forged_name_asks_for_no_more_than_a_few_findings() -> None:
    lines = make_log(make_chain(999_999_999))
    report = look(lines, complete=True)
    assert (len(report.findings), report.more) == (1000, 0)


def test_another_key_is_found_only_where_the_expected_one_is_given() -> None:
    """Whoever can write a whole file can bring a key: only a pinned one says who signed."""
    forged = make_log(make_chain(key=new_key()))
    assert "none that was given" in told(look(forged))[0]
    own = look(forged, keys=())
    assert told(own) == []
    assert not own.pinned
    swapped = look(_with_key_of(make_log(), new_key()), keys=())
    assert swapped.findings
    assert swapped.chains[0].vouched == 0


def _with_key_of(lines: Lines, key: Ed25519PrivateKey) -> Lines:
    first = json.loads(make_log(make_chain(key=key))[0])
    return rewritten(lines, 0, publicKey=first["publicKey"])


def test_several_keys_may_be_expected() -> None:
    old, new = new_key(), new_key()
    logs = make_log(make_chain(key=old)), make_log(make_chain(run="aa", key=new))
    assert told(look(*logs, keys=(old.public_key(), new.public_key()))) == []


def test_what_a_collector_adds_is_passed_over() -> None:
    lines = make_log()
    noisy = [
        b"",
        b'{"event":"denied","level":"info"}',
        b"2026-11-24T12:00:00Z stdout F " + lines[0],
        b"[pod/web/webhook] " + lines[1],
        b"{" * 100_000,
        b'{"chain":7,"sequence":1,"type":"start"}',
        b'{"chain":"x","sequence":true,"type":"start"}',
        b'{"chain":"x","sequence":0,"type":"start"}',
        b'{"chain":"x","sequence":1,"type":"other"}',
        *lines[2:],
    ]
    report = look(noisy)
    assert told(report) == []
    assert report.other_lines == 6


def test_lines_in_any_order_and_again_can_be_verified() -> None:
    lines = make_log()
    shuffled = [lines[5], lines[0], lines[0], *lines[6:], *lines[1:5]]
    assert look(shuffled).findings
    assert told(look(shuffled, ordered=False, complete=True)) == []
    forged = [*shuffled, edited(lines[4], name="forged")]
    assert look(forged, ordered=False).findings, "not every repeat is the same"


def test_losses_that_the_writer_recorded_are_found() -> None:
    chain = make_chain()
    lines = [chain.add(Type.START, {}, NOW).data]
    lines += [chain.add(Type.LOSS, {"reason": "not written", "records": 7}, NOW).data]
    assert told(look(lines)) == ["a.jsonl:2: the writer recorded that it lost 7 records: not written"]


def test_what_could_not_be_exported_is_explained_by_later_records() -> None:
    chain = make_chain()
    lines = [chain.add(Type.START if n == 1 else Type.DECISION, {}, NOW).data for n in range(1, 8)]
    for first, last in ((3, 3), (4, 5)):
        content = {"reason": "export", "first": first, "last": last, "records": last - first + 1}
        lines += [chain.add(Type.LOSS, content, NOW).data]
    lines += [chain.add(Type.CHECKPOINT, {}, NOW).data]
    assert told(look(lines)) == [], "in the file nothing is missing"
    exported = [*lines[:2], *lines[5:]]
    assert told(look(exported)) == [
        "a.jsonl:3: records 3 to 5 are missing before this: the writer recorded that it could not export them"
    ]
    assert told(look([*exported[:2], *exported[3:]])) == ["a.jsonl:3: records 3 to 6 are missing before this"]


HOSTILE = ['x\n{"chain":"web-1/00ff/1","sequence":2}', "\x1b[2J", "\u2028", "\ud7ff", "\x00", '","a":"', "🦭"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_can_begin_a_line_of_its_own(name: str) -> None:
    lines = make_log(note=name)
    written = b"".join(line + b"\n" for line in lines)
    assert written.count(b"\n") == len(lines)
    report = look(written.split(b"\n"))
    assert told(report) == []
    assert report.other_lines == 0


def test_what_has_no_canonical_form_leaves_the_chain_as_it_was() -> None:
    chain = make_chain()
    first = chain.add(Type.START, {}, NOW)
    with pytest.raises(ValueError):
        chain.add(Type.WRITE, {"change": {"after": {"spec": 1.5}}}, NOW)
    with pytest.raises(ValueError):
        chain.add(Type.DECISION, {"name": "\ud800"}, NOW)
    lines = [first.data, chain.add(Type.END, {}, NOW).data]
    assert told(look(lines, complete=True)) == []


WHOLE = make_log()


@st.composite
def tampered(draw: st.DrawFn) -> Lines:
    """Return a log with one thing done to it that needs no key."""
    lines = list(WHOLE)
    at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    what = draw(st.sampled_from(["byte", "delete", "copy", "swap", "move", "cut"]))
    if what == "byte":
        place = draw(st.integers(0, len(lines[at]) - 1))
        byte = draw(st.integers(0, 255))
        lines[at] = lines[at][:place] + bytes([byte]) + lines[at][place + 1 :]
    elif what == "delete":
        del lines[at]
    elif what == "copy":
        lines.insert(other, lines[at])
    elif what == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    elif what == "move":
        lines.insert(other, lines.pop(at))
    else:
        lines = lines[: at + 1]
    return lines


@settings(max_examples=300, deadline=None)
@given(tampered())
def test_whatever_is_done_to_a_log_that_ended_is_found(lines: Lines) -> None:
    assert bool(look(lines, complete=True).findings) is (lines != WHOLE)


NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=5)
CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, CONTENT, max_size=5))
def test_the_fast_encoder_writes_what_rfc_8785_says(record: dict[str, Any]) -> None:
    assert encoded(record) == canonical_json(record)


def test_findings_are_bounded() -> None:
    lines = [make_log()[0]] * 3000
    report = look(lines)
    assert (len(report.findings), report.more) == (1000, 1999)

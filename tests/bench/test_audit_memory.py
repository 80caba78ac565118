"""The audit needs no more memory with more objects: what Gatekeeper's users suffer from, in small."""

from bench.audit_memory import MOST_MEMORY, audit_many


def test_twice_the_objects_need_about_the_same_memory() -> None:
    few, _, _ = audit_many(2_000)
    many, _, written = audit_many(4_000)
    assert written, "violations are reported"
    assert many.peak < MOST_MEMORY * 2**20
    assert many.peak < 1.15 * few.peak

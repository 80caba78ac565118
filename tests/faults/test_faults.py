"""What fails under load: nothing is let in that a policy denies, and no request is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.cluster import eventually
from tests.faults import happenings
from tests.faults.happenings import Killed
from tests.faults.load import CLIENTS, Load, Outcome
from tests.faults.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("faults")]

_IN_FLIGHT_SECONDS = 0.5
"""How long after a kill a request may still be sent to who is gone: until the reset has come through."""


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        happens: what is done.
        long: it is only run in the long tests.
        interrupts: the API server itself takes no requests for a while.
    """

    happens: Callable[[World, Load], Killed]
    long: bool = False
    interrupts: bool = False


FAULTS = [
    Fault(happenings.worker_killed),
    Fault(happenings.worker_stopped),
    Fault(happenings.data_planes_restarted),
    Fault(happenings.supervisor_killed),
    Fault(happenings.operator_killed),
    Fault(happenings.leader_killed),
    Fault(happenings.operators_killed, long=True),
    Fault(happenings.certificate_renewed),
    Fault(happenings.authority_rotated),
    Fault(happenings.authority_deleted),
    Fault(happenings.snapshot_garbage),
    Fault(happenings.snapshot_cut_short, long=True),
    Fault(happenings.snapshot_deleted, long=True),
    Fault(happenings.snapshot_link_deleted, long=True),
    Fault(happenings.snapshot_older),
    Fault(happenings.slow_clients),
    Fault(happenings.hundreds_of_slow_clients),
    Fault(happenings.budget_burned),
    Fault(happenings.api_server_restarted, interrupts=True, long=True),
    Fault(happenings.api_server_killed, interrupts=True),
    Fault(happenings.etcd_restarted, interrupts=True),
]


def _rows() -> list[object]:
    return [
        pytest.param(fault, id=fault.happens.__name__, marks=[pytest.mark.long] if fault.long else [])
        for fault in FAULTS
    ]


@pytest.mark.parametrize("fault", _rows())
def test_nothing_is_let_in_and_no_request_is_lost(world: World, fault: Fault) -> None:
    try:
        with Load(world.plane) as load:
            load.more(50)
            killed = fault.happens(world, load)
            load.more(100)
            eventually(world.settled, "the world is as it was", 60)
        print(f"{fault.happens.__name__}: {load.rate:.0f} requests a second, {load.summary()}")
    except AssertionError:
        world.show_logs()
        raise
    assert not load.of(Outcome.WRONGLY_ALLOWED)
    assert not load.of(Outcome.WRONGLY_DENIED)
    if not fault.interrupts:
        assert not load.of(Outcome.NOT_TAKEN)
    failed = load.of(Outcome.FAILED)
    if killed is not None:
        in_flight = [
            each for each in failed if each.started < killed + _IN_FLIGHT_SECONDS and each.ended > killed
        ]
        failed = [each for each in failed if each not in in_flight]
        assert len(in_flight) <= CLIENTS
    assert not failed, "\n".join(str(each) for each in failed)

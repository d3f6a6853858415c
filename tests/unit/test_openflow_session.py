"""A switch's way from its connection to being ready, and a controller that takes over."""

from __future__ import annotations

from dataclasses import replace

from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.requests import Ask, Barrier, PutFlow
from reserve_agent.controller.rules.classify import IPV4, UDP, known_flows
from reserve_agent.controller.rules.cookie import Cookie, Purpose, decode
from reserve_agent.controller.rules.desired import desired_state, pressure_change
from reserve_agent.controller.rules.first_bytes import Connection
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import (
    Flow,
    FlowKey,
    Group,
    HeldFlow,
    Meter,
    SwitchState,
)
from reserve_agent.controller.session import Session
from tests.unit.openflow_fabric import star
from tests.unit.openflow_switch import FakeSwitch

NETWORK = star()
SHED = Shed("meter")
RULES = [PortRule(7700, UDP, PacketClass.HEARTBEAT)]
WANT = desired_state(NETWORK, RULES, SHED)[1]


class Story:
    """A session and what it has said."""

    def __init__(self, switch: FakeSwitch, want: SwitchState = WANT) -> None:
        self.ready = 0
        self.reasons: list[str] = []
        self.session = Session(switch, want, self._ready, self.reasons.append)
        self.session.start()

    def _ready(self) -> None:
        self.ready += 1


def epochs(switch: FakeSwitch) -> set[int | None]:
    found = set()
    for held in switch.flows.values():
        decoded = decode(held.cookie)
        found.add(None if decoded is None else decoded[1])
    return found


def holds(switch: FakeSwitch, want: SwitchState = WANT) -> bool:
    flows = {key: held.flow for key, held in switch.flows.items()}
    return (flows, switch.groups, switch.meters) == (want.flows, want.groups, want.meters)


def test_an_empty_switch_gets_everything_and_is_ready_once_it_says_so() -> None:
    switch = FakeSwitch()
    story = Story(switch)
    for _ in range(20):
        if holds(switch):
            break
        switch.run(story.session, 1)
    assert holds(switch)
    assert not story.ready  # written is not yet known
    switch.run(story.session)
    assert story.ready == 1
    assert story.session.ready
    assert epochs(switch) == {1}


def test_taking_over_leaves_no_moment_without_a_flow_and_keeps_the_counters() -> None:
    switch = FakeSwitch()
    switch.run(Story(switch).session)
    for key, held in switch.flows.items():
        switch.flows[key] = replace(held, packets=7)
    switch.always = set(switch.flows)
    story = Story(switch)
    switch.run(story.session)
    assert story.ready == 1
    assert switch.holes == 0
    assert epochs(switch) == {2}
    assert {held.packets for held in switch.flows.values()} == {7}


def test_what_an_older_controller_or_somebody_else_has_left_is_removed() -> None:
    switch = FakeSwitch()
    old = desired_state(star(4), RULES, SHED)[1]
    switch.run(Story(switch, old).session)
    foreign = FlowKey.of(0, 5, eth_type=IPV4)
    switch.flows[foreign] = HeldFlow(None, 0, 0, 0)
    switch.groups[99] = None
    switch.meters[98] = Meter(1, 1)
    assert not holds(switch)
    story = Story(switch)
    switch.run(story.session)
    assert story.ready == 1
    assert holds(switch)


def test_a_group_or_meter_of_another_kind_is_put_right() -> None:
    switch = FakeSwitch()
    switch.groups[1] = Group(())
    switch.meters[1] = Meter(1, 1, "packets")
    story = Story(switch)
    switch.run(story.session)
    assert story.ready == 1
    assert holds(switch)


def test_connections_that_were_looked_at_stay_known() -> None:
    switch = FakeSwitch()
    switch.run(Story(switch).session)
    connection = Connection(IPV4, "10.0.0.1", 40000, "10.0.0.2", 20000)
    known = list(known_flows(connection, PacketClass.BLOCK_IO))
    story = Story(switch)
    switch.run(story.session)
    story.session.put_once(known)
    taken_over = Story(switch)
    switch.run(taken_over.session)
    assert taken_over.ready == 1
    assert {flow.key for flow in known} <= set(switch.flows)
    assert epochs(switch) == {3}


def test_a_switch_that_does_not_take_a_flow_is_never_ready_and_the_reason_is_told() -> None:
    switch = FakeSwitch()
    switch.refused = {next(iter(WANT.flows))}
    story = Story(switch)
    story.session.refuse("bad match")
    switch.run(story.session)
    assert not story.ready
    assert story.reasons == ["1 put; refused: bad match"]


def test_a_switch_that_lost_a_flow_meanwhile_gets_it_again() -> None:
    switch = FakeSwitch()
    key = next(iter(WANT.flows))
    switch.refused = {key}
    story = Story(switch)
    for _ in range(50):
        if sum(isinstance(one, Barrier) for one in switch.requests) == 3:
            break
        switch.refused = set() if len(switch.flows) > 5 else {key}
        switch.run(story.session, 1)
    switch.run(story.session)
    assert story.ready == 1
    assert holds(switch)


def test_pressure_changes_a_flow_in_place_and_says_when_it_is_in_force() -> None:
    switch = FakeSwitch()
    story = Story(switch)
    switch.run(story.session)
    before = len(switch.requests)
    done: list[int] = []
    flows = pressure_change(NETWORK, SHED, "n2", under_pressure=True)[1]
    story.session.put(flows, lambda: done.append(1))
    assert [type(one) for one in switch.requests[before:]] == [PutFlow, Barrier]
    assert not done
    switch.run(story.session)
    assert done == [1]
    assert holds(switch, desired_state(NETWORK, RULES, SHED, ["n2"])[1])


def test_pressure_before_the_switch_has_said_what_it_holds_comes_with_the_rest() -> None:
    switch = FakeSwitch()
    story = Story(switch)
    done: list[int] = []
    flows = pressure_change(NETWORK, SHED, "n2", under_pressure=True)[1]
    story.session.put(flows, lambda: done.append(1))
    assert not any(isinstance(one, PutFlow) for one in switch.requests)
    switch.run(story.session)
    assert done == [1]
    assert story.ready == 1
    assert holds(switch, desired_state(NETWORK, RULES, SHED, ["n2"])[1])


def test_pressure_that_comes_and_goes_while_the_switch_is_asked_is_no_failure_of_it() -> None:
    switch = FakeSwitch()
    story = Story(switch)
    changes = 0
    for _ in range(200):
        if isinstance(switch.requests[-1], Ask) and changes < 6:
            on = changes % 2 == 0
            flows = pressure_change(NETWORK, SHED, "n2", under_pressure=on)[1]
            story.session.put(flows, lambda: None)
            changes += 1
        switch.run(story.session, 1)
    assert changes == 6
    assert story.reasons == []
    switch.run(story.session)
    assert story.ready == 1


def test_a_new_tree_changes_groups_alone() -> None:
    switch = FakeSwitch()
    story = Story(switch)
    switch.run(story.session)
    want = replace(WANT, groups={1: Group((), "all")})
    before = len(switch.requests)
    story.session.change(want)
    assert len(switch.requests) == before + 1
    assert switch.groups == want.groups


def test_a_cookie_says_what_wrote_it_and_foreign_ones_say_nothing() -> None:
    for cls in (None, *PacketClass):
        cookie = Cookie(Purpose.DELIVER, cls, 65000)
        assert decode(cookie.encode(65535)) == (cookie, 65535)
    assert decode(0) is None
    assert decode(0xCBFF << 48) is None
    flow = Flow(FlowKey(0, 0), Cookie(Purpose.MISS))
    assert flow.cookie.encode(1) < 1 << 64

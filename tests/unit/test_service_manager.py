"""Which of a pair serves, from views and confirmations: never two, but for want of a fence."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.fences import FenceLedger
from nodes.service.manager import Confirm, Order, ServiceManager, Start, Stop

PAIR = ("n4", "n5")
ALL = ("n1", "n2", "n3", "n4", "n5")
RETRY_NS = 100


def node(me: str, *, joining: bool = False, confirm: bool = True) -> ServiceManager:
    return ServiceManager(me, PAIR, joining=joining, confirm=confirm, retry_ns=RETRY_NS)


def see(
    manager: ServiceManager,
    number: int,
    without: str = "",
    *,
    removed: tuple[str, ...] = (),
    quorate: bool = True,
    at: int = 0,
) -> list[Order]:
    members = [name for name in ALL if name not in without.split()]
    return manager.view(number, members, removed, quorate, at)


def test_the_first_of_the_pair_serves_first_and_once() -> None:
    first, second = node("n4"), node("n5")
    assert see(first, 1) == [Start()]
    assert see(second, 1) == []
    assert see(first, 2, "n1", removed=("n1",)) == first.tick(5) == []
    assert (first.serving, second.serving) == (True, False)


def test_at_the_start_of_a_cluster_both_are_waited_for() -> None:
    first = node("n4")
    assert see(first, 1, "n1 n5") == first.tick(1000) == []
    assert see(first, 2) == [Start()]


def test_a_takeover_waits_for_the_confirmed_fence() -> None:
    second = node("n5")
    see(second, 1)
    asked = Confirm("n4", 1)
    assert see(second, 2, "n4", removed=("n4",)) == [asked]
    assert second.tick(RETRY_NS - 1) == []
    assert second.fenced("n4", 1, ok=False) == []
    assert second.tick(RETRY_NS) == [asked]
    assert second.fenced("n3", 1, ok=True) == second.fenced("n4", 7, ok=True) == []
    assert not second.serving
    assert second.fenced("n4", 1, ok=True) == [Start("n4")]
    assert second.fenced("n4", 1, ok=True) == second.tick(10 * RETRY_NS) == []


def test_without_confirmation_the_takeover_is_at_once() -> None:
    second = node("n5", confirm=False)
    see(second, 1)
    assert see(second, 2, "n4", removed=("n4",)) == [Start("n4")]


def test_that_the_predecessor_is_back_does_not_replace_its_fence() -> None:
    second = node("n5")
    see(second, 1)
    see(second, 2, "n4", removed=("n4",))
    assert see(second, 3, at=1) == []
    assert second.tick(RETRY_NS) == [Confirm("n4", 1)], "the boot that served"
    assert second.fenced("n4", 1, ok=True) == [Start("n4")]


def test_one_view_may_replace_a_boot_by_the_next() -> None:
    second = node("n5")
    see(second, 1)
    assert see(second, 2, removed=("n4",)) == [Confirm("n4", 1)]


def test_who_boots_again_stands_by() -> None:
    back = node("n4", joining=True)
    assert see(back, 3) == back.tick(1000) == []
    assert see(back, 4, "n5", removed=("n5",)) == [Confirm("n5", 3)]
    assert back.fenced("n5", 3, ok=True) == [Start("n5")]


def test_who_boots_into_a_cluster_without_the_other_has_it_fenced() -> None:
    back = node("n5", joining=True)
    assert see(back, 7, "n4") == [Confirm("n4", 7)]


def test_a_fence_of_an_earlier_boot_does_not_count() -> None:
    """n4 was fenced and is back since view 3; n5 boots again and joins in view 5."""
    second = node("n5", joining=True)
    see(second, 5)
    assert see(second, 6, "n4", removed=("n4",)) == [Confirm("n4", 5)]


def test_who_is_ejected_or_loses_the_quorum_stops() -> None:
    first = node("n4")
    see(first, 1)
    assert see(first, 2, "n4", removed=("n4",)) == [Stop("ejected")]
    assert first.tick(1000) == []
    first = node("n4")
    see(first, 1)
    assert see(first, 2, "n1 n2 n3 n5", removed=ALL[:3], quorate=False) == [Stop("no quorum")]
    assert see(first, 3) == [Start()], "it served before, and nobody has taken over"


def test_without_quorum_nobody_takes_over() -> None:
    second = node("n5")
    see(second, 1)
    assert see(second, 2, "n1 n2 n3 n4", removed=ALL[:4], quorate=False) == second.tick(9999) == []
    assert see(second, 3) == [], "the other served, and goes on"
    see(second, 4, "n4", removed=("n4",))
    assert see(second, 5, "n1 n2 n3 n4", quorate=False) == []
    assert second.fenced("n4", 1, ok=True) == [], "an answer to what was asked with quorum"


# --- two of them, a fence, and a membership that loses nodes in any order


@dataclass
class Cluster:
    """Both nodes of the pair over one membership; views reach them at any later time."""

    confirm: bool = True
    number: int = 1
    ledger: FenceLedger = field(init=False)
    members: list[str] = field(default_factory=lambda: list(ALL))
    up: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(PAIR, True))
    managers: dict[str, ServiceManager] = field(default_factory=dict)
    waiting: dict[str, list[tuple[int, list[str], tuple[str, ...]]]] = field(default_factory=dict)
    now_ns: int = 0

    def __post_init__(self) -> None:
        self.ledger = FenceLedger(lambda target, _by: self.cut_off(target))
        for name in PAIR:
            self.managers[name] = node(name, confirm=self.confirm)
            self.waiting[name] = [(1, list(ALL), ())]

    def install(self, removed: tuple[str, ...]) -> None:
        self.number += 1
        for name in PAIR:
            if self.up[name]:
                self.waiting[name].append((self.number, list(self.members), removed))

    def cut_off(self, name: str) -> bool:
        self.up[name] = False
        return True

    def eject(self, name: str, fenced_first: bool) -> None:
        if name in self.members:
            if fenced_first:
                self.ledger.ask(name, "n1", self.number, self.now_ns)
            self.members.remove(name)
            self.install((name,))

    def fence(self, name: str) -> None:
        if name not in self.members:
            self.ledger.ask(name, "n1", self.number, self.now_ns)

    def boot(self, name: str) -> None:
        if name not in self.members and not self.up[name]:
            self.up[name] = True
            self.ledger.released(name)
            self.members = [one for one in ALL if one in (*self.members, name)]
            self.managers[name] = node(name, joining=True, confirm=self.confirm)
            self.waiting[name] = []
            self.install(())

    def deliver(self, name: str) -> None:
        if self.up[name] and self.waiting[name]:
            number, members, removed = self.waiting[name].pop(0)
            self.obey(name, self.managers[name].view(number, members, removed, True, self.now_ns))

    def tick(self, name: str) -> None:
        self.now_ns += RETRY_NS
        if self.up[name]:
            self.obey(name, self.managers[name].tick(self.now_ns))

    def obey(self, name: str, orders: list[Order]) -> None:
        for order in orders:
            if isinstance(order, Confirm):
                ok, _ = self.ledger.ask(order.target, name, order.view, self.now_ns)
                if not self.up[order.target] and order.target in self.members:
                    self.members.remove(order.target)
                    self.install((order.target,))
                self.obey(name, self.managers[name].fenced(order.target, order.view, ok))

    @property
    def servers(self) -> list[str]:
        return [name for name in PAIR if self.up[name] and self.managers[name].serving]


STEPS = st.lists(
    st.tuples(st.sampled_from(["eject", "late", "boot", "deliver", "tick"]), st.sampled_from(PAIR)),
    max_size=60,
)


def play(cluster: Cluster, steps: list[tuple[str, str]]) -> list[list[str]]:
    seen = []
    for step, name in steps:
        if step in ("eject", "late"):
            cluster.eject(name, fenced_first=step == "eject")
        else:
            getattr(cluster, step)(name)
        seen.append(cluster.servers)
    return seen


@settings(max_examples=500, deadline=None)
@given(STEPS)
def test_never_do_both_serve(steps: list[tuple[str, str]]) -> None:
    assert all(len(servers) <= 1 for servers in play(Cluster(), steps))


def test_without_confirmation_both_may() -> None:
    steps = [("deliver", "n4"), ("deliver", "n5"), ("late", "n4"), ("deliver", "n5")]
    assert play(Cluster(confirm=False), steps)[-1] == ["n4", "n5"]


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_in_the_end_one_serves(steps: list[tuple[str, str]]) -> None:
    """Once whoever was ejected is fenced and boots, and everything is heard."""
    cluster = Cluster()
    play(cluster, steps)
    settle = [(step, name) for step in ("fence", "boot", "deliver", "tick") for name in PAIR]
    play(cluster, 40 * settle)
    assert len(cluster.servers) == 1

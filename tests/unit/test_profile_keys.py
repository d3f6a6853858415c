"""``memory.kernel`` and ``memory.nic``: the same scenario on machines and by profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crunchbed.backends import backend_of
from crunchbed.backends.namespaces.configs import hook_settings
from crunchbed.checks.judge import judge
from crunchbed.scenario.loader import load, shipped
from crunchbed.scenario.profiles import NAMES, profile_for
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.section import CARDS, KERNELS
from reserve_agent.config_files import build, read_config, write_config
from reserve_agent.contract.packets import SOCK_REALTIME, PacketClass
from reserve_agent.errors import HookError
from reserve_agent.hooks.profile import MAX_RING, constants_of
from reserve_agent.model import profiles
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from tests.unit import judged_runs


def on_namespaces(name: str = "control", **changes: Any) -> Scenario:
    keys = {f"memory.{key}": value for key, value in changes.items()}
    return load(name).with_overrides({"cluster.backend": "namespaces", **keys})


def named(scenario: Scenario) -> tuple[str, str | None]:
    profile = profile_for(scenario.memory)
    assert profile is not None
    return profile.kernel.name, profile.card and profile.card.name


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("proposal-2005", None)),
        ({"kernel": "6.1"}, ("linux-6.1", "e1000")),
        ({"kernel": "6.1-cloud", "nic": "vmxnet3"}, ("linux-6.1", "vmxnet3")),
        ({"kernel": "6.12"}, ("linux-6.12", "e1000")),
        ({"nic": "e1000"}, ("linux-6.1", "e1000")),
        ({"nic": "igb"}, ("linux-6.1", "igb")),
        ({"kernel": "linux-2.6.12"}, ("linux-2.6.12", "e1000")),
        ({"kernel": "proposal-2005", "nic": "igb"}, ("proposal-2005", None)),
    ],
    ids=str,
)
def test_keys_name_profiles(changes: dict[str, str], expected: tuple[str, str | None]) -> None:
    scenario = on_namespaces(**changes)
    assert named(scenario) == expected
    assert named(Scenario.of(scenario.resolved(), "")) == expected, "a recorded run has it too"
    assert scenario.nic == expected[1]
    assert backend_of(scenario).refuses(scenario, hold=False) == []


def test_every_kernel_of_machines_and_every_card_has_a_profile() -> None:
    assert set(KERNELS) < set(NAMES)
    assert set(CARDS) == set(profiles.CARDS)


def test_what_was_recorded_before_profiles_is_the_proposal() -> None:
    """Neither key is in such a scenario; of the shipped ones of namespaces two name them."""
    resolved = load("writeback-crunch").resolved()
    assert not {"kernel", "nic"} & set(resolved["memory"])
    others = {
        name: named(scenario)
        for name in shipped()
        if (scenario := load(name)).cluster.backend == "namespaces"
        and named(scenario) != ("proposal-2005", None)
    }
    assert others == dict.fromkeys(("crowd-crunch", "rolling-swim"), ("linux-6.1", "vmxnet3"))


def test_a_scenario_of_machines_is_that_kernel_and_card_on_namespaces() -> None:
    """Its card is said, its kernel is the default; machines' own record is as it was."""
    assert named(on_namespaces("kernel-writeback")) == ("linux-6.1", "e1000")
    machines = load("kernel-writeback").with_overrides({"policy": "none"})
    assert not {"kernel", "nic"} & set(machines.resolved()["memory"])
    assert named(machines.with_overrides({"cluster.backend": "namespaces"}))[0] == "linux-6.1"


def test_a_result_names_the_profile() -> None:
    for changes, expected in (({}, None), ({"nic": "vmxnet3"}, "vmxnet3")):
        scenario = judged_runs.scenario("memalloc").with_overrides(
            {f"memory.{key}": value for key, value in changes.items()}
        )
        result = judge(judged_runs.good_run().history(), scenario)
        assert result.kernel == f"profile {'linux-6.1' if expected else 'proposal-2005'}"
        assert result.nic == expected


@pytest.mark.parametrize("card", profiles.CARDS.values(), ids=profiles.CARDS)
@pytest.mark.parametrize("kernel", profiles.KERNELS.values(), ids=profiles.KERNELS)
def test_profiles_survive_an_agents_file(kernel: Kernel, card: Card, tmp_path: Path) -> None:
    for number, (one, model) in enumerate(((kernel, Kernel), (card, Card))):
        path = tmp_path / str(number)
        write_config(path, one)
        assert read_config(path, model) == one


def test_the_hooks_constants_follow_the_profile() -> None:
    fixed = constants_of(profiles.LINUX_6_1, profiles.CARDS["vmxnet3"])
    assert (fixed.ring, fixed.large.per_page, fixed.large.per_fragment) == (1024, 2, 17)
    assert (fixed.floors[0].numerator, fixed.floors[0].denominator) == (3, 8)
    assert not constants_of(profiles.PROPOSAL_2005).buffers


def test_what_the_hooks_cannot_hold_is_one_line() -> None:
    with pytest.raises(HookError, match=r"^linux-6\.1: a card profile is needed$"):
        constants_of(profiles.LINUX_6_1)
    card = profiles.CARDS["e1000"]
    large = build({**vars(card), "ring": 2 * MAX_RING}, Card)
    with pytest.raises(HookError, match="a ring of 2048 slots, expected 1 to 1024"):
        constants_of(profiles.LINUX_6_1, large)


def test_heartbeats_are_sent_by_a_real_time_task() -> None:
    rules = hook_settings(on_namespaces(nic="e1000")).rules
    realtime = [bool(rule.flags & SOCK_REALTIME) for rule in rules]
    assert realtime == [rule.cls is PacketClass.HEARTBEAT for rule in rules]

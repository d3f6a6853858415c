"""Keys of a scenario about the switches' controller, and what the controller is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.scenario import shed
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.errors import BadInput

HEAD = "name: x\nclaim: it holds\n"


def loaded(text: str, tmp_path: Path) -> Scenario:
    (tmp_path / "x.yaml").write_text(HEAD + text)
    return load_file(tmp_path / "x.yaml")


def test_without_a_word_there_is_no_controller() -> None:
    scenario = load("control")
    assert (scenario.cluster.controller, scenario.shed.mode) == ("none", "off")


@pytest.mark.parametrize("mode", shed.MODES)
def test_a_mode_alone_is_enough(mode: str, tmp_path: Path) -> None:
    scenario = loaded(f"cluster: {{controller: openflow}}\nshed: {mode}\n", tmp_path)
    assert scenario.shed.mode == mode
    assert Scenario.model_validate(scenario.resolved()) == scenario


def test_the_controller_is_told_in_its_own_units(tmp_path: Path) -> None:
    text = "cluster: {controller: openflow}\nshed: {mode: meter, rate: 2Mbit, burst: 4KiB}\n"
    assert shed.rules(loaded(text, tmp_path).shed) == Shed("meter", 2000, 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shed: drop", "3: shed.mode: expected off where cluster.controller is none, got drop"),
        (
            "shed: {mode: melt}",
            "3: shed.mode: expected one of off, drop, meter, queue (did you mean meter?), got",
        ),
        ("shed: {rate: 1bit}", "3: shed.rate: expected a rate such as 200Mbit, from 10kbit to"),
        ("shed: 7", "3: shed: expected a mapping of mode, rate, burst, got 7"),
        ("cluster: {controller: ryu}", "3: cluster.controller: expected one of none, openflow"),
        (
            "cluster: {controller: openflow, switch: linux-bridge}",
            "3: cluster.controller: expected none with cluster.switch linux-bridge",
        ),
        (
            "faults: [{kind: controller-crash}]",
            "3: faults[0].kind: expected another kind where cluster.controller is none",
        ),
        (
            "faults: [{kind: controller-crash, target: n1}]",
            "3: faults[0].target: expected one of controller, got 'n1'",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        loaded(text, tmp_path)
    assert message in str(caught.value)

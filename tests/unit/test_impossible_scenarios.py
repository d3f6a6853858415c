"""A scenario that can never do what it says is refused, with its line, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.scenario.loader import load, load_file
from reserve_agent.errors import BadInput

BEGIN = "name: x\nclaim: it holds\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "block_io: {request: 32MiB}",
            "block_io.request: expected at most the 31MiB of a node that are neither clean nor "
            "reserve, else no write is ever full, got 32MiB",
        ),
        (
            "block_io: {request: 128KiB}\nmemory: {pages: 1000, clean: 960, reserve: 10}",
            "block_io.request: expected at most the 120KiB of a node",
        ),
        (
            "memory: {reserve: auto}\nblock_io: {request: 32MiB}",
            "memory.reserve: expected fewer pages than memory.pages (16384), got 131198, which is "
            "auto here",
        ),
        (
            "memory: {reserve: auto, pages: 300, clean: 200}",
            "memory.clean: expected at most 109 so that clean + reserve < pages, got 200",
        ),
        (
            "crunch: {kind: flood, port: 7405}",
            "crunch.port: expected another port than heartbeat.port, got 7405",
        ),
        (
            "crunch: {kind: flood, port: 9000}",
            "crunch.port: expected another port than traffic.port, got 9000",
        ),
        (
            "crunch: {kind: flood, port: 3260}\nblock_io: {transport: iscsi}",
            "crunch.port: expected another port than block_io.port, got 3260",
        ),
        (
            "expect: [writes_lost / 0 == 0]",
            "expect[0]: expected a comparison such as memalloc.nodes_ejected == 0, got "
            "'writes_lost / 0 == 0', which divides by 0 and can never be decided",
        ),
        (
            "steady: [io_errors / (2 - 1 - 1) == 0]\nphases: {after: 1s}",
            "steady[0]: expected a comparison of a phase's figures such as io_errors == 0, got "
            "'io_errors / (2 - 1 - 1) == 0', which divides by 0",
        ),
        ("expect: [1 / (io_errors - io_errors) == 0]", "expect[0]: expected a comparison"),
        ("expect: [1 < io_errors / (0 * writes_lost)]", "expect[0]: expected a comparison"),
        (
            "expect: [writes_lost == 0, none.switch_drops == 0]",
            "expect[1]: expected figures that this scenario measures, got switch_drops, which "
            "needs cluster.controller openflow",
        ),
        (
            "expect: [memalloc.memalloc_failures == 0]",
            "expect[0]: expected figures that this scenario measures, got memalloc_failures, which "
            "needs cluster.backend machines",
        ),
        ("expect: [shed_episodes >= 1]", "expect[0]: expected figures that this scenario measures"),
        (
            "expect: [failover_seconds < 1s]",
            "expect[0]: expected figures that this scenario measures, got failover_seconds, which "
            "needs block_io.pair",
        ),
        ("expect: [path_restore_seconds < 1s]", "expect[0]: expected figures that this scenario"),
        (
            "expect: [flaps == 0, n4.flaps == 0 or n1.flaps == 0]",
            "expect[1]: expected nodes n1 to n3, got n4",
        ),
        (
            "expect: [quorum_lost_seconds == 0]\ndetector: {kind: swim}",
            "expect[0]: expected figures that this scenario measures, got quorum_lost_seconds, "
            "which needs membership crunchbed and detector fixed or phi",
        ),
    ],
)
def test_what_can_never_be_is_refused_with_its_line(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.yaml").write_text(f"{BEGIN}{text}\n")
    with pytest.raises(BadInput) as caught:
        load_file(tmp_path / "x.yaml")
    place, _, said = str(caught.value).partition(": ")
    assert place.startswith(f"{tmp_path}/x.yaml:")
    assert said.startswith(message)


def test_what_can_be_is_not_refused() -> None:
    control = load("control")
    for changes in (
        {"block_io.request": "31MiB"},
        {"crunch": "{kind: flood, port: 9001}"},
        {"expect": ["io_errors / (2 - 1) == 0", "0 / heartbeats_sent == 0"]},
        {"expect": ["io_errors / writes_lost == 0"]},  # only a run knows
        {"expect": ["quorum_lost_seconds == 0"], "detector": {"kind": "phi"}},
    ):
        control.with_overrides(changes)

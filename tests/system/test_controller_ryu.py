"""The same controller under Ryu 4.34: an environment of its own, the same switch."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from reserve_agent.controller.rules.settings import Shed
from tests.system import ryu_venv
from tests.system.openflow_bed import HEARTBEAT, Bed, bed, eventually, flows

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def python() -> str:
    """Ryu's interpreter."""
    return ryu_venv.python()


def star_under_ryu(net: Bed, python: str, shed: Shed) -> None:
    """Three hosts, one switch, the controller on Ryu, ready."""
    net.python = [python]
    switch = net.switch("s1")
    for number in range(1, 4):
        net.host(f"n{number}", switch, f"10.98.0.{number}")
    net.configure(shed)
    net.connect()
    net.start()
    net.wait_until_ready()


def test_the_environment_has_ryu_and_not_os_ken(python: str) -> None:
    look = (
        "import importlib.util as u; print(bool(u.find_spec('ryu')), bool(u.find_spec('os_ken')))"
    )
    done = subprocess.run([python, "-c", look], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]


def test_it_forwards_classifies_sheds_and_takes_over(tmp_path: Path, python: str) -> None:
    with bed(tmp_path) as net:
        star_under_ryu(net, python, Shed("drop"))
        assert net.events("controller.start")[0]["framework"] == "ryu"
        for node in net.pids:
            assert all(net.reaches(node, f"10.98.0.{other}") for other in range(1, 4))
        sender = net.socket("n1", socket.SOCK_DGRAM)
        before = net.packets()
        with net.under_pressure("n2"):
            for port in (HEARTBEAT, 1234):
                for _ in range(20):
                    sender.sendto(b"x", ("10.98.0.2", port))
            after = net.packets()  # and by then the switch has seen them all
        assert after["n2", "heartbeat"] - before.get(("n2", "heartbeat"), 0) == 20
        assert after["n2", "other"] - before.get(("n2", "other"), 0) == 20
        assert net.packets("dropped") == {("n2", "other"): 20}
        net.kill()
        assert net.reaches("n1", "10.98.0.2")
        net.start()
        net.wait_until_ready()
        assert net.events("controller.back")
        assert net.packets()["n2", "heartbeat"] >= 20
        epochs = {line.split("cookie=0xcb")[1][2:6] for line in flows(net.switches[0].name)}
        assert epochs == {"0002"}
        assert net.stop() == 0


def test_first_bytes_and_garbage(tmp_path: Path, python: str) -> None:
    with bed(tmp_path) as net:
        star_under_ryu(net, python, Shed())
        listener = net.socket("n2", socket.SOCK_STREAM)
        listener.bind(("", 20000))
        listener.listen(1)
        client = net.socket("n1", socket.SOCK_STREAM)
        client.connect(("10.98.0.2", 20000))
        server, _ = listener.accept()
        server.sendall(b"NBDMAGICIHAVEOPT\0\3")
        eventually(lambda: bool(net.events("connection.classified")), "a look")
        assert net.events("connection.classified")[0]["cls"] == "block-io"
        server.close()
        with socket.create_connection(("127.0.0.1", net.port), timeout=2.0) as peer:
            peer.sendall(bytes.fromhex("09 00 0008 00000001"))
            eventually(lambda: net.ask("status")["malformed"] == 1, "the count")
        assert net.is_ready()


def test_the_modules_that_know_a_framework_know_this_one(python: str) -> None:
    check = "from reserve_agent.controller import framework, app, codec; print(framework.NAME)"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", check],
        cwd=ryu_venv.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "ryu"

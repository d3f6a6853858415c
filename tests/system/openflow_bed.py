"""Real switches and hosts without Mininet: Open vSwitch, namespaces and a controller."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
from pyroute2 import IPRoute

from crunchbed.host.run_ids import draw_id
from nodes.ports import delete_links, is_operational, set_link
from nodes.waiting import wait_until
from reserve_agent.config_files import write_config
from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.wiring import HostPort, Network, Switch, SwitchLink
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.client import LineClient
from reserve_agent.lines.framing import Message
from reserve_agent.netns import network_namespace_of
from reserve_agent.pressure_report import PressureSender
from tests.system.wire import namespace
from topologies.ovs import OWNER_KEY, delete_bridges, vsctl
from topologies.ovs_buffer import raise_receive_buffers, raise_send_buffer
from topologies.reach import unreachable_from
from topologies.wiring import bring_up

ROOT = Path(__file__).resolve().parents[2]
_BUFFER_BYTES = 4 << 20
HEARTBEAT, NBD, UDP, TCP = 7700, 10809, 17, 6
RULES = (
    PortRule(NBD, TCP, PacketClass.BLOCK_IO),
    PortRule(3260, TCP, PacketClass.BLOCK_IO),
    PortRule(HEARTBEAT, UDP, PacketClass.HEARTBEAT),
    PortRule(5405, UDP, PacketClass.HEARTBEAT),
)


def free_port() -> int:
    """A port of the loopback interface that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Bed:
    """Bridges, hosts and the controller's process; see ``bed``.

    ``pids`` names a process in each host's namespace; interfaces there are called as the switch,
    ``on s1`` as ``s1``.
    """

    def __init__(self, run_id: str, directory: Path, undo: ExitStack) -> None:
        self.run_id = run_id
        raise_send_buffer(_BUFFER_BYTES)
        self.port = free_port()
        self.pids: dict[str, int] = {}
        self.switches: list[Switch] = []
        self.hosts: list[HostPort] = []
        self.links: list[SwitchLink] = []
        self.python = [sys.executable]
        self.environment: dict[str, str] = {}
        self._directory = directory
        self._undo = undo
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}
        self._ends: dict[SwitchLink, list[str]] = {}

    @property
    def network(self) -> Network:
        """What there is by now."""
        return Network(tuple(self.switches), tuple(self.hosts), tuple(self.links))

    @property
    def history(self) -> list[dict[str, object]]:
        """The controller's events."""
        lines = (self._directory / "history.jsonl").read_bytes().splitlines()
        return [orjson.loads(line) for line in lines]

    def events(self, kind: str) -> list[dict[str, object]]:
        """Those of one kind."""
        return [event for event in self.history if event["kind"] == kind]

    def switch(self, short: str) -> str:
        """Make a bridge that forwards nothing by itself; returns its name."""
        name = f"{self.run_id}{short}"
        number = int(self.run_id, 36) * 16 + len(self.switches)
        options = f"datapath_type=netdev fail_mode=secure external_ids:{OWNER_KEY}={self.run_id}"
        options += f" other_config:datapath-id={number:016x}"
        self._undo.callback(delete_bridges, [name])
        vsctl("add-br", name, "--", "set", "bridge", name, *options.split())
        self.switches.append(Switch(name, number))
        return name

    def connect(self, switches: Sequence[Switch] | None = None) -> None:
        """Have these bridges, or all, look for the controller."""
        for switch in self.switches if switches is None else switches:
            address = f"tcp:127.0.0.1:{self.port}"
            settings = ("max_backoff=1000", "connection_mode=out-of-band")
            vsctl(
                *("set-controller", switch.name, address, "--"),
                *("set", "controller", switch.name, *settings),
            )

    def disconnect(self, switch: str) -> None:
        """Have a bridge look for a controller where there is none.

        Without any to look for it would drop its flows.
        """
        vsctl("set-controller", switch, f"tcp:127.0.0.1:{free_port()}")

    def control(self, switch: str, verb: str, flow: str) -> None:
        """Change flows behind the controller's back."""
        command = ["ovs-ofctl", "-O", "OpenFlow13", verb, switch, flow]
        subprocess.run(command, check=True)

    def set_link(self, link: SwitchLink, *, up: bool) -> None:
        """Both ends of a link between switches; waits for what the kernel notices late."""
        for name in self._ends[link]:
            self.set_port(name, up=up)
        if up:
            eventually(lambda: all(is_operational(name) for name in self._ends[link]), "the link")

    def set_port(self, name: str, *, up: bool) -> None:
        """A port, by its interface's name."""
        set_link(name, up=up)

    def forget_neighbours(self) -> None:
        """Have all hosts ask again for every address."""
        for pid in self.pids.values():
            with network_namespace_of(pid):
                subprocess.run(["ip", "neigh", "flush", "all"], check=True, capture_output=True)

    def accept_at_any_interface(self, node: str) -> None:
        """A node's addresses are its own, wherever a packet for one comes in."""
        with network_namespace_of(self.pids[node]):
            for setting in Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"):
                setting.write_text("0")

    def _attach(self, switch: str, interface: str) -> int:
        number = self._ports[switch] = self._ports.get(switch, 0) + 1
        request = f"ofport_request={number}"
        vsctl("add-port", switch, interface, "--", "set", "interface", interface, request)
        bring_up([interface])
        # A burst waits there while others keep the one thread of all userspace bridges.
        raise_receive_buffers([interface], _BUFFER_BYTES)
        return number

    def host(self, node: str, switch: str, address: str, network: str = "cluster") -> HostPort:
        """A host's link to a switch; made with its first one."""
        if node not in self.pids:
            self.pids[node] = self._undo.enter_context(namespace())
            with network_namespace_of(self.pids[node]):
                set_link("lo", up=True)
        pid = self.pids[node]
        outer, inner = f"{switch}-{node}", switch.removeprefix(self.run_id)
        number = len(self.hosts) + 1
        mac = f"02:00:00:00:00:{number:02x}"
        with IPRoute() as netlink:
            peer = {"ifname": inner, "net_ns_pid": pid, "address": mac}
            netlink.link("add", ifname=outer, kind="veth", peer=peer)
        self._undo.callback(delete_links, [outer])
        with network_namespace_of(pid):
            commands = (
                f"ethtool -K {inner} tx off tso off gso off gro off",
                f"ip address add {address}/24 dev {inner}",
                f"ip link set {inner} up",
            )
            for command in commands:
                subprocess.run(command.split(), check=True, capture_output=True)
        port = self._attach(switch, outer)
        made = HostPort(switch, port, outer, node, mac, (address,), network)
        self.hosts.append(made)
        return made

    def link(self, a: str, b: str) -> SwitchLink:
        """A link between two switches."""
        names = [f"{a}-{b[4:]}{len(self.links)}", f"{b}-{a[4:]}{len(self.links)}"]
        with IPRoute() as netlink:
            netlink.link("add", ifname=names[0], kind="veth", peer={"ifname": names[1]})
        self._undo.callback(delete_links, names[:1])
        link = SwitchLink(a, self._attach(a, names[0]), b, self._attach(b, names[1]))
        self.links.append(link)
        self._ends[link] = names
        return link

    def configure(self, shed: Shed | None = None) -> None:
        """Write the controller's configuration for what there is by now."""
        config = ControllerConfig(
            run=self.run_id,
            listen=("127.0.0.1", self.port),
            control=self._directory / "controller",
            network=self.network,
            classes=RULES,
            shed=shed or Shed(),
            history=self._directory / "history.jsonl",
        )
        write_config(self._directory / "controller.json", config)

    def start(self) -> None:
        """Start the controller; ``wait_until_ready`` says when the switches forward."""
        log = self._undo.enter_context((self._directory / "log").open("ab"))
        module = ["-m", self.module, str(self._directory / "controller.json")]
        self._process = subprocess.Popen(
            [*self.python, *module],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **self.environment},
            stdout=log,
            stderr=log,
        )
        self._undo.callback(self.kill)

    module = "reserve_agent.controller"

    def kill(self) -> None:
        """SIGKILL it; harmless when there is none."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """End it as a run does; returns its exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(10)
        self._process = None
        return code

    @property
    def log(self) -> str:
        """What it has said."""
        return (self._directory / "log").read_text()

    def ask(self, op: str, **fields: object) -> Message:
        """Ask it."""
        client = LineClient(self._directory / "controller", timeout=20.0)
        try:
            return client.ask(op=op, **fields)
        finally:
            client.close()

    def is_ready(self) -> bool:
        """Whether all switches hold what they should."""
        process = self._process
        if process is None or process.poll() is not None:
            raise CrunchbedError(f"the controller ended: {self.log}")
        try:
            return bool(self.ask("status")["ready"])
        except CrunchbedError:
            return False

    def switch_is_ready(self, name: str) -> bool:
        """Whether one switch does."""
        try:
            return bool(self.ask("status")["switches"][name])
        except CrunchbedError:
            return False

    def wait_until_ready(self) -> None:
        """With what it has said where it is not in time."""
        try:
            wait_until(self.is_ready, 20.0, "the controller")
        except CrunchbedError as error:
            raise CrunchbedError(f"{error}; {self.log}") from error

    def socket(self, node: str, kind: int) -> socket.socket:
        """A socket of a host."""
        with network_namespace_of(self.pids[node]):
            made = socket.socket(socket.AF_INET, kind)
        self._undo.callback(made.close)
        made.settimeout(2.0)
        return made

    def raw_socket(self, node: str) -> socket.socket:
        """For whole frames, by a host's first interface."""
        interface = next(host.switch for host in self.hosts if host.node == node)[4:]
        with network_namespace_of(self.pids[node]):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            made.bind((interface, 0))
        self._undo.callback(made.close)
        return made

    def reaches(self, node: str, address: str, seconds: float = 3.0) -> bool:
        """Whether a ping comes back; an address that was asked for in vain is again after 1 s."""
        return not unreachable_from({node: self.pids[node]}, address, seconds)

    @contextmanager
    def under_pressure(self, node: str) -> Iterator[None]:
        """Tell the controller, as an agent does, ten times a second; it acts by the first time."""
        sender = PressureSender(node, self._directory / "controller")
        over, since, before = threading.Event(), time.monotonic_ns(), len(self._applied())

        def repeat() -> None:
            while not over.wait(0.1):
                sender.tell(since, time.monotonic_ns())

        sender.tell(since, time.monotonic_ns())
        repeating = threading.Thread(target=repeat)
        repeating.start()
        try:
            eventually(lambda: len(self._applied()) == before + 1, "shedding")
            yield
        finally:
            over.set()
            repeating.join()
            sender.tell(None, time.monotonic_ns())
            sender.close()
        eventually(lambda: len(self._applied()) == before + 2, "the end of shedding")

    def _applied(self) -> list[dict[str, object]]:
        return self.events("shed.applied")

    def packets(self, table: str = "table") -> dict[tuple[str, str], int]:
        """What the switches have counted, by node and class; of ``dropped`` what they shed."""
        self.ask("packets")
        rows = self.events("switch.packets")[-1][table]
        return {(node, cls): packets for node, cls, packets, _ in rows}  # type: ignore[attr-defined]


@contextmanager
def bed(directory: Path) -> Iterator[Bed]:
    """Nothing yet; whatever is made of it is gone afterwards."""
    with ExitStack() as undo:
        yield Bed(draw_id(), directory, undo)


@contextmanager
def star(directory: Path, shed: Shed | None = None, hosts: int = 3) -> Iterator[Bed]:
    """One switch with hosts n1.. at 10.98.0.1.., and a controller that is ready."""
    with bed(directory) as made:
        switch = made.switch("s1")
        for number in range(1, hosts + 1):
            made.host(f"n{number}", switch, f"10.98.0.{number}")
        made.configure(shed)
        made.connect()
        made.start()
        made.wait_until_ready()
        yield made


def eventually(holds: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait for a condition."""
    wait_until(holds, seconds, what)


def flows(switch: str, *options: str) -> list[str]:
    """What ovs-ofctl says that a switch holds."""
    command: Sequence[str] = ("ovs-ofctl", "-O", "OpenFlow13", *options, "dump-flows", switch)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[1:]


def now() -> float:
    """Seconds, monotonic."""
    return time.monotonic()

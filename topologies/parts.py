"""Hosts, links and switches of a run, derived from Mininet's classes.

Mininet's own classes start a shell for every node and type commands into it, one after the other;
with many nodes this takes most of the time. They also print errors and go on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from topologies import ovs
from topologies.layout import Layout
from topologies.links import VethEnd, make_bridge, make_pair
from topologies.switches import SwitchKind
from topologies.topo import LayoutTopo

with warnings.catch_warnings():
    # Mininet 2.3.0 imports distutils.
    warnings.simplefilter("ignore", DeprecationWarning)
    from mininet.link import Link
    from mininet.log import lg
    from mininet.net import Mininet
    from mininet.node import Host, Node, OVSSwitch, Switch

_RECONNECT_MS = 1000  # the smallest value that Open vSwitch accepts
NAMESPACE_SECONDS = 60.0
_STEP_SECONDS = 0.001

# Otherwise Mininet would raise a dozen of the machine's kernel limits, and leave them raised.
Mininet.inited = True


@contextlib.contextmanager
def captured_log(lines: list[str]) -> Iterator[None]:
    """Append Mininet's error messages to ``lines`` instead of printing them."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend(record.getMessage().split("\n"))

    collector = Collector(logging.ERROR)
    handlers = list(lg.handlers)
    lg.handlers[:] = [collector]
    try:
        yield
    finally:
        lg.handlers[:] = handlers


class _Idle:
    """A Mininet node without a shell: nothing here is done by typing commands into one."""

    name: str
    pid: int
    shell: subprocess.Popen[bytes] | None
    stdin: IO[bytes] | None

    def startShell(self, **_options: object) -> None:  # noqa: N802 (Mininet's name)
        """Set the attribute that Mininet expects of every node; no shell is started."""
        self.pid = os.getpid()

    def cleanup(self) -> None:
        """Forget the shell; Mininet calls this at the end."""
        self.shell = None

    def config(self, **_parameters: object) -> dict[str, object]:
        """Do nothing: ``topologies.wiring`` sets up the interfaces."""
        return {}


class ClusterHost(_Idle, Host):  # type: ignore[misc]
    """A network namespace, and a process that holds it.

    The process ends when its standard input is closed, and the kernel closes that whenever the run
    ends, also by a kill. The last argument names the process as Mininet names its shells.
    """

    def startShell(self, **_options: object) -> None:  # noqa: N802
        """Start the process without waiting for its namespace; ``settle`` waits."""
        # c: close all descriptors; d: a session of its own, which no Ctrl-C reaches; n: namespace
        command = ["mnexec", "-cdn", "sh", "-c", "read _", f"mininet:{self.name}"]
        self.shell = subprocess.Popen(command, stdin=subprocess.PIPE)
        self.stdin = self.shell.stdin
        self.pid = self.shell.pid

    def settle(self) -> None:
        """Wait for the namespace, and set its kernel settings, the same on every machine.

        Raises:
            CrunchbedError: the process has died, or has no namespace after 60 s.
        """
        own = Path("/proc/self/ns/net").readlink()
        there = Path(f"/proc/{self.pid}/ns/net")
        deadline = time.monotonic() + NAMESPACE_SECONDS
        while self.shell is None or (code := self.shell.poll()) is None:
            with contextlib.suppress(OSError):  # it has died, which the next poll() shows
                if there.readlink() != own:
                    break
            if time.monotonic() > deadline:
                raise CrunchbedError(f"{self.name} gets no network namespace")
            time.sleep(_STEP_SECONDS)
        else:
            raise CrunchbedError(f"the process that holds {self.name} has died ({code})")
        with network_namespace_of(self.pid):
            _settle()

    def cleanup(self) -> None:
        """Kill the process that holds the namespace."""
        end_hosts([self])


def end_hosts(hosts: Iterable[ClusterHost]) -> None:
    """Kill the processes that hold the namespaces: first all, then wait for each."""
    ended = []
    for host in hosts:
        if host.shell is not None:
            host.shell.kill()
            ended.append(host.shell)
            host.shell = None
    for shell in ended:
        if shell.stdin is not None:
            shell.stdin.close()
        shell.wait()


def _settle() -> None:
    """Set the kernel settings of a new namespace; interfaces made later inherit the defaults."""
    # Do not ask for an IPv6 router: a run has none.
    for key in ("accept_ra", "router_solicitations"):
        setting = Path("/proc/sys/net/ipv6/conf/default", key)
        if setting.exists():
            setting.write_text("0")
    # Reno is the one algorithm that every kernel allows in every namespace. The machine's default
    # may be BBR, which paces; a run's figures would then differ from machine to machine.
    Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")


class ClusterLink(Link):  # type: ignore[misc]
    """A veth pair with both ends down; the ends are brought up after they are set up."""

    def __init__(self, node1: Node, node2: Node, **params: Any) -> None:
        ends: dict[str, dict[str, None]] = {"params1": {"up": None}, "params2": {"up": None}}
        super().__init__(node1, node2, **(params | ends))

    @classmethod
    def makeIntfPair(  # noqa: N802 (Mininet's name)
        cls,
        intfname1: str,
        intfname2: str,
        addr1: str,
        addr2: str,
        node1: Node,
        node2: Node,
        **_options: object,
    ) -> None:
        """Make the pair by one request to the kernel, instead of three commands."""
        make_pair(VethEnd(intfname1, addr1, node1.pid), VethEnd(intfname2, addr2, node2.pid))


class ClusterNet(Mininet):  # type: ignore[misc]
    """Mininet, with all namespaces made in parallel and not one after the other."""

    def addLink(self, *nodes: Any, **params: Any) -> Any:  # noqa: N802 (Mininet's name)
        """Wait for all hosts before the first link: Mininet adds all hosts before any link."""
        if not self.links:
            for host in self.hosts:
                host.settle()
        return super().addLink(*nodes, **params)


class OvsSwitch(_Idle, OVSSwitch):  # type: ignore[misc]
    """An Open vSwitch bridge that has its run's id as owner, and raises when it cannot start."""

    def __init__(
        self,
        name: str,
        run_id: str,
        controller: tuple[str, int] | None = None,
        **params: Any,
    ) -> None:
        self.run_id = run_id
        self.controller = controller
        self.made_by: list[str] = []
        # In mode "secure" the flows stay when the controller dies; "standalone" would drop them.
        mode = "standalone" if controller is None else "secure"
        self._loops = params.pop("stp", False) and controller is None
        super().__init__(name, batch=True, failMode=mode, **params)

    @classmethod
    def setup(cls) -> None:
        """Do nothing: Mininet's version ends the process where Open vSwitch is missing."""

    @classmethod
    def isOldOVS(cls) -> bool:  # noqa: N802
        """False: no supported system has a version before 1.10 (2013)."""
        return False

    def bridgeOpts(self) -> str:  # noqa: N802
        """Add the owner to the transaction that makes the bridge, so that it always has one."""
        options = f"{super().bridgeOpts()} external_ids:{ovs.OWNER_KEY}={self.run_id}"
        if self._loops:
            options += " rstp_enable=true"
        if self.controller is not None:
            address, port = self.controller
            options += f" -- set-controller {self.name} tcp:{address}:{port}"
            # So a controller that comes back is found soon; by default a switch tries every 8 s.
            options += f" -- set Controller {self.name} max_backoff={_RECONNECT_MS}"
        return options

    @classmethod
    def batchStartup(  # noqa: N802
        cls, switches: Sequence[OvsSwitch], **_options: object
    ) -> Sequence[OvsSwitch]:
        """Make all bridges in one transaction, without a shell, whose lines end at 4096 bytes."""
        ovs.vsctl(*shlex.split(" ".join(" ".join(switch.commands) for switch in switches)))
        for switch in switches:
            switch.made_by = shlex.split(" ".join(switch.commands))
            switch.commands.clear()
        return switches


class BridgeSwitch(_Idle, Switch):  # type: ignore[misc]
    """A Linux bridge; Mininet's class needs brctl, which Debian no longer installs."""

    def start(self, _controllers: object) -> None:
        """Make the bridge with all ports."""
        make_bridge(self.name, [port.name for port in self.intfList() if port.name != "lo"])


def make_net(
    layout: Layout, run_id: str, switch: SwitchKind, controller: tuple[str, int] | None
) -> ClusterNet:
    """Describe a network to Mininet; nothing of it exists yet.

    The bridges have ``run_id`` as owner in Open vSwitch's database. ``controller`` is the IPv4
    address and port of an OpenFlow controller.
    """
    kind: Any = BridgeSwitch
    if switch != "linux-bridge":
        datapath = "user" if switch == "ovs-user" else "kernel"
        kind = partial(OvsSwitch, run_id=run_id, datapath=datapath, controller=controller)
    return ClusterNet(
        topo=LayoutTopo(layout),
        host=ClusterHost,
        link=ClusterLink,
        switch=kind,
        controller=None,
        build=False,
    )


def start_net(net: ClusterNet) -> None:
    """Make the network, and turn Mininet's log lines, exits and exceptions into one error.

    Raises:
        CrunchbedError: the network could not be made; the parts made so far still exist.
    """
    reported: list[str] = []
    with captured_log(reported):
        try:
            net.build()
            net.start()
        except CrunchbedError:
            raise
        except (Exception, SystemExit) as error:
            reason = " ".join([*reported, str(error)]).strip()
            raise CrunchbedError(f"Mininet could not build the network: {reason}") from error

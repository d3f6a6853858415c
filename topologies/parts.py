"""Mininet's hosts, links and switches, made to suit a run.

Mininet's own prints errors and goes on, asks a shell for what a system call does, and brings
switch ports up before IPv6 can be silenced on them.
"""

from __future__ import annotations

import contextlib
import logging
import select
import shlex
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from os import killpg
from pathlib import Path
from typing import Any

from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from topologies import ovs
from topologies.bridge import make_bridge

_logger_class = logging.getLoggerClass()
with warnings.catch_warnings():
    # Mininet 2.3.0 imports distutils.
    warnings.simplefilter("ignore", DeprecationWarning)
    from mininet.link import Link
    from mininet.log import lg
    from mininet.net import Mininet
    from mininet.node import Host, Node, OVSSwitch, Switch
logging.setLoggerClass(_logger_class)

__all__ = ["BridgeSwitch", "ClusterHost", "ClusterLink", "Mininet", "OvsSwitch", "captured_log"]

SHELL_SECONDS = 60.0
_RECONNECT_MS = 1000  # the least that Open vSwitch takes
_SHELL_STEP_MS = 100

# Mininet would raise a dozen of the machine's kernel limits, and leave them raised.
Mininet.inited = True


@contextlib.contextmanager
def captured_log(lines: list[str]) -> Iterator[None]:
    """Collect what Mininet reports as an error instead of printing it."""

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


def end_shell(node: Node) -> None:
    """SIGKILL a Mininet node's shell with what it started, and close its terminal."""
    if node.shell is None:
        return
    if node.shell.poll() is None:
        # Its group is its own: mnexec has called setsid.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            killpg(node.shell.pid, signal.SIGKILL)
        node.shell.kill()
    node.cleanup()


class _BoundedPoll:
    """Waits for a shell's words as Mininet wants it, but not for ever.

    Mininet keeps the shell's end of the terminal open itself, so a shell that dies closes nothing:
    a wait without a bound would never end.
    """

    def __init__(self, node: Node, poll: Any) -> None:
        self._node = node
        self._poll = poll
        self.unregister = poll.unregister

    def register(self, file: Any) -> None:
        """For reading; Mininet's takes writing too, for which a terminal is always ready."""
        self._poll.register(file, select.POLLIN)

    def poll(self, timeout_ms: float | None = None) -> Any:
        """As ``select.poll.poll``; raises CrunchbedError where no bound is given and none comes."""
        if timeout_ms is not None:
            return self._poll.poll(timeout_ms)
        until = time.monotonic() + SHELL_SECONDS
        while not (ready := self._poll.poll(_SHELL_STEP_MS)):
            if (code := self._node.shell.poll()) is not None:
                raise CrunchbedError(f"the shell of {self._node.name} has died ({code})")
            if time.monotonic() > until:
                raise CrunchbedError(f"the shell of {self._node.name} says nothing")
        return ready


class _BoundedShell:
    """For a Mininet node: a wait for its shell has an end."""

    _poll: _BoundedPoll | None = None
    readbuf: str

    @property
    def pollOut(self) -> _BoundedPoll | None:  # noqa: N802 (Mininet's name)
        """What Mininet waits with."""
        return self._poll

    @pollOut.setter
    def pollOut(self, poll: Any) -> None:  # noqa: N802
        self._poll = None if poll is None else _BoundedPoll(self, poll)

    def read(self, size: int = 1024) -> Any:
        """As Mininet's, with an end."""
        if self._poll is not None and len(self.readbuf) < size:
            self._poll.poll()  # Mininet would block in the read itself
        return super().read(size)  # type: ignore[misc]

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802
        """A shell that does not come up is not left behind."""
        try:
            super().startShell(mnopts)  # type: ignore[misc]
        except BaseException:
            end_shell(self)
            raise


class ClusterHost(_BoundedShell, Host):  # type: ignore[misc]
    """A host that keeps IPv6 but asks for no router: nobody here would answer."""

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802 (Mininet's name)
        """Start the shell that holds the namespace; interfaces to come inherit the defaults."""
        super().startShell(mnopts)
        with network_namespace_of(self.pid):
            _settle()


def _settle() -> None:
    """Make namespaces alike on every machine; interfaces to come inherit the defaults."""
    for key in ("accept_ra", "router_solicitations"):
        setting = Path("/proc/sys/net/ipv6/conf/default", key)
        if setting.exists():
            setting.write_text("0")
    # Reno is the one algorithm that every kernel allows in every namespace; the machine's
    # default may be BBR, which paces and would make a run's figures its own.
    Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")


class ClusterLink(Link):  # type: ignore[misc]
    """A veth pair that is left down at the switch, to be brought up once it is set up."""

    def __init__(self, node1: Node, node2: Node, **params: Any) -> None:
        ends = ({"up": None} | params.pop(end, {}) for end in ("params1", "params2"))
        params1, params2 = ends
        super().__init__(node1, node2, params1=params1, params2=params2, **params)


class OvsSwitch(_BoundedShell, OVSSwitch):  # type: ignore[misc]
    """An Open vSwitch bridge that carries its run's id and says so when it cannot start."""

    def __init__(
        self,
        name: str,
        run_id: str,
        controller: tuple[str, int] | None = None,
        **params: Any,
    ) -> None:
        self.run_id = run_id
        self.controller = controller
        # With a controller the flows outlive it, as those of a standalone switch would not.
        mode = "standalone" if controller is None else "secure"
        self._loops = params.pop("stp", False) and controller is None
        super().__init__(name, batch=True, failMode=mode, **params)

    @classmethod
    def setup(cls) -> None:
        """Nothing: what is missing was reported before, and not by ending the process."""

    @classmethod
    def isOldOVS(cls) -> bool:  # noqa: N802
        """Not older than 1.10 (2013)."""
        return False

    def bridgeOpts(self) -> str:  # noqa: N802
        """The id goes in with the transaction that makes the bridge: it never lacks an owner."""
        options = f"{super().bridgeOpts()} external_ids:{ovs.OWNER_KEY}={self.run_id}"
        if self._loops:
            options += " rstp_enable=true"
        if self.controller is not None:
            address, port = self.controller
            options += f" -- set-controller {self.name} tcp:{address}:{port}"
            # One that comes back is to be found soon; by default the attempts are up to 8 s apart.
            options += f" -- set Controller {self.name} max_backoff={_RECONNECT_MS}"
        return options

    @classmethod
    def batchStartup(  # noqa: N802
        cls, switches: Sequence[OvsSwitch], **_options: object
    ) -> Sequence[OvsSwitch]:
        """Make the bridges in one transaction, without a shell and its 4096 bytes a line."""
        ovs.vsctl(*shlex.split(" ".join(" ".join(switch.commands) for switch in switches)))
        for switch in switches:
            switch.commands.clear()
        return switches


class BridgeSwitch(_BoundedShell, Switch):  # type: ignore[misc]
    """A Linux bridge; Mininet's wants brctl, which Debian no longer installs."""

    def start(self, _controllers: object) -> None:
        """Make the bridge and put every port on it."""
        make_bridge(self.name, [port.name for port in self.intfList() if port.name != "lo"])

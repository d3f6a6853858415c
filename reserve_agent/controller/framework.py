"""The one module that knows whether OS-Ken or its ancestor Ryu is installed. Import it first.

OS-Ken runs on native threads. Ryu runs on eventlet, which has to replace the standard library's
blocking calls before anybody has imported them.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from reserve_agent.errors import CrunchbedError, MissingRequirement

_log = logging.getLogger(__name__)
CHOICE = "CRUNCHBED_OPENFLOW"
"""Environment variable: ``ryu`` takes Ryu where both are installed."""


def _chosen() -> str:
    names = ["os_ken", "ryu"]
    if os.environ.get(CHOICE) == "ryu":
        names.reverse()
    for name in names:
        if find_spec(name) is not None:
            return name
    raise MissingRequirement("no OpenFlow library: pip install os-ken")


NAME = _chosen()
if NAME == "ryu":
    eventlet = importlib.import_module("eventlet")
    eventlet.monkey_patch()
    # Ryu 4.34 imports a name that eventlet has dropped since.
    wsgi: Any = importlib.import_module("eventlet.wsgi")
    if not hasattr(wsgi, "ALREADY_HANDLED"):
        wsgi.ALREADY_HANDLED = b""


def part(path: str) -> ModuleType:
    """A module of the framework, by its path in there: ``base.app_manager``."""
    return importlib.import_module(f"{NAME}.{path}")


_manager = part("base.app_manager")
_controller: Any = part("controller.controller")
_parser: Any = part("ofproto.ofproto_parser")
App: Any = _manager.OSKenApp if NAME == "os_ken" else _manager.RyuApp


def report_malformed(report: Callable[[str], bool]) -> None:
    """Report every message that is no OpenFlow, and close the connection of its sender.

    The framework alone writes a traceback into a log, and for some messages nothing at all.
    ``report`` takes the reason, and returns whether it is worth a line in the log.
    """
    parse = _parser.msg
    logging.getLogger(_parser.__name__).setLevel(logging.CRITICAL)

    def checked(
        datapath: Any, version: int, kind: int, length: int, xid: int, buf: bytes
    ) -> Any | None:
        said = int.from_bytes(buf[2:4], "big")
        try:
            if said != length:
                raise ValueError(f"a message of {said} bytes")
            message = parse(datapath, version, kind, length, xid, buf)
        except Exception as error:
            reason = f"version {version:#04x} type {kind}: {error!r}"
        else:
            if message is not None:
                return message
            reason = f"version {version:#04x} type {kind}: cannot be read"
        if datapath.state != "dead":
            if report(f"{datapath.address[0]}: {reason}"):
                _log.warning("not OpenFlow: %s: %s", datapath.address, reason)
            datapath.close()
        return None

    _parser.msg = checked


def _end_with_the_peer() -> None:
    """Let a connection end when its peer has closed it.

    OS-Ken then waits for the thread that sends, and that thread waits for something to send: the
    handlers would never learn that a switch is gone, and each new connection would leave a thread.
    """
    receive = _controller.Datapath._recv_loop

    def receive_and_end(datapath: Any) -> None:
        try:
            receive(datapath)
        finally:
            datapath.close()
            datapath.send(b"", close_socket=True)

    _controller.Datapath._recv_loop = receive_and_end


def _can_listen(address: str, port: int) -> None:
    """Try the port: the framework listens in a thread, whose error ends nothing but the thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the framework does
        try:
            probe.bind((address, port))
        except OSError as error:
            reason = f"cannot listen on TCP {address}:{port}: {error.strerror}"
            raise CrunchbedError(reason) from error


def start(app: str, address: str, port: int, **arguments: object) -> None:
    """Start the OpenFlow server with one application, in threads of the framework.

    The module ``app`` has one subclass of ``App``, which gets ``arguments``; ``address`` (IPv4) and
    ``port`` (TCP) are listened on.

    Raises:
        CrunchbedError: the port is taken.
    """
    _can_listen(address, port)
    _end_with_the_peer()
    options = [f"--ofp-listen-host={address}", f"--ofp-tcp-listen-port={port}"]
    part("cfg").CONF(args=options, project="crunchbed", default_config_files=[])
    manager = _manager.AppManager.get_instance()
    manager.load_apps([app])
    manager.create_contexts()
    manager.instantiate_apps(**arguments)

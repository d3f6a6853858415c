"""What the memory of a simulated node knows of its sockets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reserve_agent.contract.events.pressure import ReserveUser
from reserve_agent.contract.packets import PacketClass
from reserve_agent.model.sockets import Socket


@dataclass
class Books:
    """What the memory of a node knows of one socket, and how the history names it."""

    socket: Socket
    protocol: str
    cls: PacketClass
    local_port: int
    remote_port: int = 0


def reserve_users(books: Iterable[Books]) -> Iterator[ReserveUser]:
    """Return the sockets that pages of the reserve went to."""
    for one in books:
        if one.socket.from_reserve:
            yield ReserveUser(
                protocol=one.protocol,
                cls=one.cls.label,
                local_port=one.local_port,
                remote_port=one.remote_port,
                memalloc=one.socket.memalloc,
                pages=one.socket.from_reserve,
            )

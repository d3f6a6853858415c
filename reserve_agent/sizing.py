"""How large a receive reserve must be: arithmetic, term by term.

The sum has, for every memalloc socket, the requests that its user has in flight at most, times the
pages of one request; then pages for what arrives unasked: ARP and ICMP, and receive buffers of each
interface (50, the cap for reserve packets of an interface in the 2005 proposal, LWN 146689). These
pages must be left when nobody else finds one. By the mail of 2005 nobody else may take any of the
reserve. A kernel lets GFP_ATOMIC take 5/8 of its min watermark, so that min is 8/3 of the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reserve_agent.contract.packets import PAGE_BYTES
from reserve_agent.model.packet import buffer_pages
from reserve_agent.model.profiles.kernel import Ratio

CONTROL_PAGES = 8
INTERFACE_PAGES = 50


@dataclass(frozen=True)
class Throttled:
    """A memalloc socket, or several alike, with the bound that its user keeps.

    Attributes:
        name: What the socket is for.
        in_flight: Requests without an answer at most: the queue depth, or for a datagram protocol
            the number of peers.
        request_bytes: Payload of one request; a write queue packs it into whole pages.
        reply_bytes: The frame that answers it.
        streamed: Whether the request waits in a TCP write queue until it is acknowledged.
    """

    name: str
    in_flight: int
    request_bytes: int
    reply_bytes: int
    streamed: bool = True

    @property
    def request_pages(self) -> int:
        """Pages of one request on its way out; in a stream it may begin and end inside a page."""
        if not self.streamed:
            return buffer_pages(self.request_bytes)
        return -(-self.request_bytes // PAGE_BYTES) + 1

    @property
    def reply_pages(self) -> int:
        """Pages of the buffer that the answer arrives in."""
        return buffer_pages(self.reply_bytes)

    @property
    def retransmit_pages(self) -> int:
        """Pages of a retransmission: it shares the data and has a buffer head of its own."""
        return 1 if self.streamed else 0

    @property
    def pages(self) -> int:
        """Pages of all requests in flight."""
        each = self.request_pages + self.reply_pages + self.retransmit_pages
        return self.in_flight * each


@dataclass(frozen=True)
class Term:
    """One line of the sum: its derivation, and its pages."""

    text: str
    pages: int


def terms(sockets: Iterable[Throttled], interfaces: int) -> list[Term]:
    """The sum, term by term."""
    found = [
        Term(
            f"{one.name}: {one.in_flight} in flight x ({one.request_pages} request + "
            f"{one.reply_pages} reply + {one.retransmit_pages} retransmit)",
            one.pages,
        )
        for one in sockets
    ]
    found.append(Term("ARP and ICMP", CONTROL_PAGES))
    text = f"{INTERFACE_PAGES} receive buffers x {interfaces} interface"
    found.append(Term(text + ("s" if interfaces != 1 else ""), INTERFACE_PAGES * interfaces))
    return found


def needed_pages(sockets: Sequence[Throttled], interfaces: int) -> int:
    """The pages that these sockets and interfaces need for themselves."""
    return sum(term.pages for term in terms(sockets, interfaces))


def computed_pages(sockets: Sequence[Throttled], interfaces: int, reserved: Ratio) -> int:
    """The min watermark that leaves them so many pages: the reserve that they need.

    Args:
        sockets: The memalloc sockets.
        interfaces: Interfaces whose receive buffers count.
        reserved: The share of the reserve that nobody else may take (``Kernel.reserved``).
    """
    return reserved.whole(needed_pages(sockets, interfaces))

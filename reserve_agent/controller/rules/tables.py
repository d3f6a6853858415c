"""The three tables a packet goes through, and the priorities in them."""

from __future__ import annotations

CLASSIFY = 0
"""What the packet is: its class goes into the metadata."""
PRESSURE = 1
"""Whether the node it goes to can take it."""
FORWARD = 2
"""Where it goes."""

MISS = 0
"""Priority of what holds when nothing else does; in every table."""

LOOK = 10
FIXED = 20  # protocols that need no rule: ARP, ICMP
RULE = 1000  # the first port rule; each after it has two less
KNOWN = 2000  # one connection, recognised by what it said

FLOOD = 10
DIRECTED = 20  # a request for an address whose place is known
ANNOUNCED = 30  # the same, when the owner itself says it
UNICAST = 40
FROM_LINK = 50  # unicast that another switch has sent

"""The rules of the 2005 mail's first form (LWN 146689): a plan, not a kernel.

Every packet takes whole pages (``model.packet.buffer_pages``). GFP_ATOMIC may take half of R. A
packet is from the reserve if its buffer left fewer than R pages free. The policy alone opens the
reserve. Senders stall at R, and so do readers that are normal tasks. No card, no ring, no head, no
bound of a receive buffer, no OOM killer.
"""

from __future__ import annotations

from reserve_agent.model.profiles.kernel import Flags, Floors, Kernel, Ratio, Reclaim, Request

PROPOSAL_2005 = Kernel(
    name="proposal-2005",
    version="the mail's first form",
    floors=Floors(atomic=Ratio(1, 2), fragment=Ratio(1, 2), realtime=Ratio(1, 1)),
    from_reserve=Request.NORMAL,
    flags=Flags.POLICY,
    buffers=None,
    ethertypes=None,
    readers_stall=True,
    reclaim=Reclaim(sleeps_below=Ratio(0, 1), fruitless_rounds=0),
)

"""The links of a cluster that is held open, each taken down and brought up by hand.

The history has a link that is down as the fault ``link-down``, and so has every check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crunchbed.checks import faults
from crunchbed.faults.link_down import LinkDown
from crunchbed.live.runs import COMING_UP
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.run.start import Running
from reserve_agent.errors import BadInput

_FAULT: Final = {"kind": "link-down", "after": "0s", "for": "3600s"}
"""The length does not matter: the fault is undone when somebody says so."""

_Link = tuple[str, str | None]
"""A host, and the network that its link leads to; None: all its links."""


class Links:
    """Takes links down and brings them up.

    Args:
        run: What goes on.
        touch: Called before anything is done to the cluster.
    """

    def __init__(self, run: Running, touch: Callable[[], None]) -> None:
        self._network = run.world.network
        self._context = run.fault_context
        self._touch = touch
        self._down: dict[_Link, FaultInjection] = {}
        self._settling: dict[_Link, FaultInjection] = {}
        self._begun = 0

    def take_down(self, target: str, network: str | None = None) -> None:
        """Take the link of ``target`` to one network down, or all its links.

        Raises:
            BadInput: The link is down already, is still coming up, or is not there.
        """
        link = (target, network)
        for host, one in self._down:
            if host == target and (network is None or one in (None, network)):
                raise BadInput(f"the link of {named((host, one))} is down already")
        if any(host == target for host, _ in self._settling):
            raise BadInput(f"the link of {target} is still coming up; once more in a moment")
        known = self._network.networks(target)
        if network is not None and network not in known:
            raise BadInput(f"{target} has no link to {network!r}; its networks: {', '.join(known)}")
        self._touch()
        fault = LinkDown.model_validate(_FAULT | {"target": target, "network": network})
        cut = FaultInjection([fault], self._context, self._begun).__enter__()
        self._begun += 1
        cut.over()
        self._down[link] = cut

    def bring_up(self, target: str, network: str | None = None) -> None:
        """Bring a link up again that ``take_down`` took down; ``state`` says when packets pass.

        Raises:
            BadInput: The link is not down.
        """
        link = (target, network)
        if link not in self._down:
            others = [named(one) for one in self._down if one[0] == target]
            hint = f"; down: {', '.join(others)}" if others else ""
            raise BadInput(f"the link of {named(link)} is not down{hint}")
        cut = self._down[link]
        cut.__exit__(None, None, None)
        self._settling[link] = self._down.pop(link)

    def state(self, target: str) -> str:
        """Return ``up``, ``down``, ``down to`` some networks, ``coming up``, or the last two."""
        down = [network for host, network in self._down if host == target]
        if None in down:
            return "down"
        words = [f"down to {', '.join(str(network) for network in down)}"] if down else []
        if any(host == target for host, _ in self._settling):
            words.append(COMING_UP)
        return ", ".join(words) or "up"

    def settled(self) -> bool:
        """Whether all links that are up pass packets; to be asked often, since it records that."""
        for link, cut in list(self._settling.items()):
            if cut.settled():
                del self._settling[link]
        return not self._settling

    def end(self) -> None:
        """Bring all links up."""
        for target, network in list(self._down):
            self.bring_up(target, network)

    def cut_off_since(self, target: str, by: str) -> int | None:
        """Return since when links that are down keep ``target`` from ``by``; None: none does."""
        on = [fault for cut in self._down.values() for fault in cut.on]
        return faults.cut_off_since(on, target, by)


def named(link: _Link) -> str:
    """Return a link in words."""
    target, network = link
    return target if network is None else f"{target} to {network}"

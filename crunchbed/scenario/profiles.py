"""Which kernel and card profile a scenario names: what memory is modelled by, without a kernel.

Machines boot a kernel and have no use for profiles. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from crunchbed.scenario.section import Memory
from reserve_agent.model.profiles import CARDS, KERNELS
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from reserve_agent.model.profiles.linux_6_1 import LINUX_6_1
from reserve_agent.model.profiles.linux_6_12 import LINUX_6_12
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005

_OF_KERNELS: Final = {"6.1": LINUX_6_1, "6.1-cloud": LINUX_6_1, "6.12": LINUX_6_12}
PROFILES: Final = tuple(KERNELS)
"""Names of kernel profiles."""
NAMES: Final = (*_OF_KERNELS, *PROFILES)
"""Values of ``memory.kernel`` that name one."""


@dataclass(frozen=True)
class Profile:
    """The profiles of a node.

    Attributes:
        kernel: Its kernel's, and
        card: its network card's; None where the kernel's has no buffers.
    """

    kernel: Kernel
    card: Card | None = None

    @property
    def name(self) -> str:
        """The kernel profile's name in results, where kernels have their releases."""
        return f"profile {self.kernel.name}"


DEFAULT: Final = Profile(PROPOSAL_2005)
"""Of scenarios that say neither key: the rules of all runs before there were profiles."""


def profile_for(memory: Memory) -> Profile | None:
    """Return what ``memory.kernel`` and ``memory.nic`` name; None: there is no such profile.

    Where a scenario says one of the two, the other has the default that machines have.
    """
    if not memory.says_machine:
        return DEFAULT
    if not isinstance(memory.kernel, str):
        return _with_card(memory.kernel.kernel, memory.kernel.card)
    kernel = _OF_KERNELS.get(memory.kernel) or KERNELS.get(memory.kernel)
    if kernel is None:
        return None
    return _with_card(kernel, CARDS[memory.nic])


def _with_card(kernel: Kernel, card: Card) -> Profile:
    return Profile(kernel, None if kernel.buffers is None else card)


def kernel_on(memory: Memory, backend: str) -> Kernel:
    """Return the profile whose watermarks hold on a backend.

    A kernel of the user's own that no profile is of counts as the newest.
    """
    if backend == "machines" and isinstance(memory.kernel, str):
        return _OF_KERNELS.get(memory.kernel, LINUX_6_12)
    return (profile_for(memory) or DEFAULT).kernel


def unknown_profile(memory: Memory) -> Iterator[str]:
    """Yield the line that refuses a ``memory.kernel`` that is no profile."""
    if profile_for(memory) is None:
        yield f"memory.kernel: expected a profile, one of {', '.join(NAMES)}, got {memory.kernel}"

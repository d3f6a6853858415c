"""Kernel and card profiles: the constants of the model, one small file each.

``kernel.Kernel`` and ``card.Card`` say what a profile has. Each constant has its source line or the
measurement that it is from. Line numbers are of the kernel that the profile names.
"""

from __future__ import annotations

from typing import Final

from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.e1000 import E1000
from reserve_agent.model.profiles.e1000e import E1000E
from reserve_agent.model.profiles.igb import IGB
from reserve_agent.model.profiles.kernel import Kernel
from reserve_agent.model.profiles.linux_2_6_12 import LINUX_2_6_12
from reserve_agent.model.profiles.linux_6_1 import LINUX_6_1
from reserve_agent.model.profiles.linux_6_12 import LINUX_6_12
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005
from reserve_agent.model.profiles.rtl8139cp import RTL8139CP
from reserve_agent.model.profiles.virtio_net import VIRTIO_NET
from reserve_agent.model.profiles.vmxnet3 import VMXNET3

KERNELS: Final[dict[str, Kernel]] = {
    kernel.name: kernel for kernel in (PROPOSAL_2005, LINUX_6_1, LINUX_6_12, LINUX_2_6_12)
}
"""Kernel profiles by name; the first is the default."""

CARDS: Final[dict[str, Card]] = {
    card.name: card for card in (E1000E, E1000, RTL8139CP, VMXNET3, VIRTIO_NET, IGB)
}
"""Card profiles by name."""

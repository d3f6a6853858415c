"""What a node is to its cluster, and what its membership asks the node to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nodes.membership.views import View


class Standing(Enum):
    """What a node takes itself for."""

    MEMBER = "member"
    JOINING = "joining"
    EJECTED = "ejected"


@dataclass(frozen=True, slots=True)
class NewView:
    """This node holds ``view`` from now on.

    ``removed`` were members of the view before, and ``added`` are new. A node whose next boot has
    taken its place is in both.
    """

    view: View
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FenceRequest:
    """Fence ``target``, which a majority of view number ``view`` suspects."""

    target: str
    view: int


Action = NewView | FenceRequest

"""What a membership is to its node, and what it asks its node to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nodes.membership.views import View


class Standing(Enum):
    """What a node is to the cluster, in its own eyes."""

    MEMBER = "member"
    JOINING = "joining"
    EJECTED = "ejected"


@dataclass(frozen=True, slots=True)
class NewView:
    """This node holds ``view`` now; a node replaced by its next boot is in both lists."""

    view: View
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FenceRequest:
    """Fence ``target``, which a majority of view number ``view`` suspects."""

    target: str
    view: int


Action = NewView | FenceRequest

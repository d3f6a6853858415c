"""What a steady cluster is like, as comparisons that must hold before a fault and after it."""

from __future__ import annotations

from dataclasses import replace

from crunchbed.checks.figures import PHASE_NAMES
from crunchbed.expect.grammar import parse
from crunchbed.expect.tree import Expectation, Name, Node, Operation
from reserve_agent.errors import BadInput


def steady(text: str, phase: str) -> Expectation:
    """Read a comparison, such as ``io_errors == 0``, as one of the figures of ``phase``.

    Raises:
        BadInput: as ``parse``; or it names a policy, a phase, or a figure that a phase has not.
    """
    read = parse(text, PHASE_NAMES)
    for name in read.names():
        if name.policy is not None:
            raise BadInput(f"{read.text!r}, which names the policy {name.policy}")
        if name.figure not in PHASE_NAMES:
            raise BadInput(f"{read.text!r}, which names a phase: {name.figure}")
    left, right = _moved(read.left, phase), _moved(read.right, phase)
    return replace(read, text=f"{phase}: {read.text}", left=left, right=right)


def _moved(node: Node, phase: str) -> Node:
    if isinstance(node, Name):
        return replace(node, figure=f"{phase}.{node.figure}")
    if isinstance(node, Operation):
        return replace(node, left=_moved(node.left, phase), right=_moved(node.right, phase))
    return node

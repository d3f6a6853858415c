"""Leaf and spine: nodes and storage host on leaves, each of which is linked to both spines.

Also for plain Mininet: ``mn --custom topologies/leaf_spine.py --topo leaf-spine,4,2``.
"""

from __future__ import annotations

if __name__ == "builtins":  # mn runs the text of this file, and knows nothing of the project
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import layout
from topologies.topo import LaidOutTopo


class LeafSpineTopo(LaidOutTopo):
    """Hosts ``n1``.. and ``st`` on leaves ``s3``..; the spines are ``s1`` and ``s2``."""

    def build(self, nodes: int = 3, leaves: int = 2, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.leaf_spine(nodes, leaves, run_id))


topos = {"leaf-spine": LeafSpineTopo}

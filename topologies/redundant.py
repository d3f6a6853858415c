"""The redundant network: two switches with a link between them, every host on both.

Also for plain Mininet: ``mn --custom topologies/redundant.py --topo redundant,3``.
"""

from __future__ import annotations

if __name__ == "builtins":  # mn runs the text of this file, and knows nothing of the project
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import layout
from topologies.topo import LaidOutTopo


class RedundantTopo(LaidOutTopo):
    """Hosts ``n1``.. and the storage host ``st``, each on switches ``s1`` and ``s2``."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.redundant(nodes, run_id))


topos = {"redundant": RedundantTopo}

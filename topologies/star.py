"""The star: every node on one switch.

Also for plain Mininet: ``mn --custom topologies/star.py --topo star,3``.
"""

from __future__ import annotations

if __name__ == "builtins":  # mn runs the text of this file, and knows nothing of the project
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import layout
from topologies.topo import LaidOutTopo


class StarTopo(LaidOutTopo):
    """Hosts ``n1``.. and the storage host ``st`` on switch ``s1``."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.star(nodes, run_id))


topos = {"star": StarTopo}

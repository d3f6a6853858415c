"""The split: heartbeats on one network, block I/O on another.

Also for plain Mininet: ``mn --custom topologies/split.py --topo split,3``.
"""

from __future__ import annotations

if __name__ == "builtins":  # mn runs the text of this file, and knows nothing of the project
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import layout
from topologies.topo import LaidOutTopo


class SplitTopo(LaidOutTopo):
    """Hosts ``n1``.. on switches ``s1`` and ``s2``, the storage host ``st`` on ``s2`` alone."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.split(nodes, run_id))


topos = {"split": SplitTopo}

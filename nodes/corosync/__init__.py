"""A real corosync for each node, in the node's namespaces, as the cluster's membership.

``conf`` writes corosync's configuration, ``private`` gives it directories of its own, ``quorum``
listens to it, ``stats`` counts its packets, ``notices`` reads its log, ``watch`` makes views and
fence requests of what it says, ``reports`` makes events of all that, and ``daemon`` runs it.
"""

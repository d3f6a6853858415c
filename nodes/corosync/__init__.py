"""A real corosync for each node, in its namespaces, as the cluster's membership.

``conf`` writes its configuration, ``private`` gives it directories of its own, ``quorum`` listens
to it, ``notices`` reads its log, ``watch`` makes views and fence requests of what it says, and
``daemon`` puts them together.
"""

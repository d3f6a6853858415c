"""Nodes, network and time as code: the same run each time, without root and without waiting."""

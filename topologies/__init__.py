"""Mininet topologies: a run's network, from start to the last trace removed."""

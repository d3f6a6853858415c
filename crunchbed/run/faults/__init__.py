"""Faults beside a crunch: one small file for each kind, begun and undone by ``injector``."""

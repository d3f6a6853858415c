"""Searching for schedules of faults and crunches that break a rule of ``checks/invariants.py``."""

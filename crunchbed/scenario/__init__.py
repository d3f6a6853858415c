"""Scenarios: what a run is asked to do, read from YAML and checked before anything starts."""

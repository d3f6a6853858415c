"""Checks: pure functions from a recorded history to the figures and the verdict of a run."""

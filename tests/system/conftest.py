"""The tests leave nothing on the machine that was not there before."""

from tests.leftovers import nothing_is_left

__all__ = ["nothing_is_left"]

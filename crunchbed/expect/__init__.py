"""Expectations: comparisons over result names that a scenario holds its runs to."""

from crunchbed.expect.evaluate import Outcome, evaluate
from crunchbed.expect.grammar import Expectation, parse

__all__ = ["Expectation", "Outcome", "evaluate", "parse"]

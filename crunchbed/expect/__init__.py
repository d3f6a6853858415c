"""Expectations: comparisons over result names that a scenario holds its runs to."""

from crunchbed.expect.evaluate import Outcome, evaluate, steady_outcomes
from crunchbed.expect.grammar import parse, steady
from crunchbed.expect.tree import Expectation

__all__ = ["Expectation", "Outcome", "evaluate", "parse", "steady", "steady_outcomes"]

"""What repeated runs say: intervals, differences paired by seed, and whether something got worse.

scipy is imported where it is used, for it takes longer to import than a result to judge.
"""

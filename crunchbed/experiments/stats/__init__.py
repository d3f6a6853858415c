"""Statistics of repeated runs: intervals, differences paired by seed, what got worse.

scipy is imported where it is used, since its import takes longer than to judge a run.
"""

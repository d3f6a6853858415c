"""Network block I/O of a node: targets, initiators, what is written, and how it is checked."""

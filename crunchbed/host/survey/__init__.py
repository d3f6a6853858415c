"""Looks at a machine, without changing anything, for what ``crunchbed.risk`` judges."""

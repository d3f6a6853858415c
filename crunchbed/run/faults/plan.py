"""The old place of ``crunchbed/run/fault_plan``."""

from __future__ import annotations

from crunchbed.run.fault_plan import Step, draw_faults, order, steps

__all__ = ["Step", "draw_faults", "order", "steps"]

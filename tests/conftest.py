"""Settings of all tests."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("crunchbed", deadline=None)
settings.load_profile("crunchbed")

# Processes that tests start import this tree, wherever they run and whatever is installed.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])

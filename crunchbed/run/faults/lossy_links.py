"""Where the losses of the wire were; see ``crunchbed.backends.namespaces.losses``."""

from __future__ import annotations

from crunchbed.backends.namespaces.losses import Loss as Loss
from crunchbed.backends.namespaces.losses import LossyWire as LossyWire

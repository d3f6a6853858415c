"""What every section of a scenario is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of known keys that nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

"""What every part of the project speaks of: policies, packets, events. Pure, without I/O."""

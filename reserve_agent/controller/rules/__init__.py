"""What the switches should do, as pure functions: no OpenFlow library, no input, no output."""

"""Recording runs with a real Prometheus, while they go and after they are over."""

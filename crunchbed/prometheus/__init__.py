"""Records runs with a real Prometheus, while they go on and after they are over."""

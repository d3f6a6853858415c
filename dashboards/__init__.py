"""What Grafana and Prometheus are given: dashboards, provisioning, rules."""

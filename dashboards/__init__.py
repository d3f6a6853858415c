"""Files for Grafana and Prometheus: dashboards, provisioning, rules."""

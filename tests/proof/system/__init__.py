"""The whole system as plain processes, beside Prometheus and Alertmanager, while things fail."""

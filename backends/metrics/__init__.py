"""Metrics of live roles: Prometheus' text format, custom metrics that applications send, and what both are made of."""

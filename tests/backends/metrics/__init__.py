"""Metrics of live roles: what Prometheus reads, and what applications send."""

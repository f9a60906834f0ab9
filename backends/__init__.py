"""Adapters and live roles."""

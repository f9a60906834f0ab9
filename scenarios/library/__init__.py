"""The scenarios that windtunnel ships."""

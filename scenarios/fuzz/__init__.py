"""Requests that nobody thought of: what a service takes (a surface), drawn from by one generator, written for several load tools."""

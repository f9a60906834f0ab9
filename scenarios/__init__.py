"""Scenarios: what the user writes, how it is read, and the plan that it compiles to."""

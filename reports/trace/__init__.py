"""Traces of a recorded run: spans rebuilt from its rows and events, a sample of them, and the files that others read."""

"""Deploys for real: the build server and its pipeline, and what carries a version to machines."""

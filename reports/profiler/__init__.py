"""What the profiler concludes from a run: the map of its fleet, its failures by signature with their origins, and hints. Pure functions over reports.evidence."""

"""The profiler: conclusions from a run's evidence, as pure functions and plain values, which terminal, page and dashboard show."""

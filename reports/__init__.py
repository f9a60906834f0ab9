"""What a run leaves behind: its directory, its summary, its figures."""

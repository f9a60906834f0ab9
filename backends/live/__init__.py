"""What every live role shares: settings, clock, its line to the conductor, headers, addresses."""

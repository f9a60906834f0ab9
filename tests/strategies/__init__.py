"""What random scenarios are made of, for Hypothesis."""

"""EC2 as the cloud of a flight: safe launches, limits, the janitor."""

"""The search for what breaks a fleet, as far as it is pure: a space of variations in whole numbers, who is tried next, what is simpler."""

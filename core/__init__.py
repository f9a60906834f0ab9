"""The scaling and proxy engine: every decision of the fleet, with no input or output, no clock and no hidden randomness."""

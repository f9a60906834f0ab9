"""EC2 in flight, over HTTP against a moto server."""

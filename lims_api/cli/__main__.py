"""`python -m lims_api.cli`: the same as `lims`, for child processes."""

from lims_api.cli import main

raise SystemExit(main())

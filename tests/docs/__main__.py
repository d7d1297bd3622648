"""`make docs`: write what the code says into `docs/reference/` and `docs/requirements.md`."""

import argparse
import sys

from tests.docs.pages import pages
from tests.docs.source import ROOT


def main(argv: list[str]) -> int:
    """Write every page that changed and name it; with `--check` write nothing, and fail when one would change."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pages are stale")
    options = parser.parse_args(argv)
    stale = [(path, text) for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    for path, text in stale:
        print(path.relative_to(ROOT))
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""`make clean`: stop the folder's server and delete everything it made, wherever it lies."""

import shutil
import sys
from pathlib import Path

from lims_api.core.db.embedded import destroy

if __name__ == "__main__":
    folder = Path(sys.argv[1]).absolute()
    if (folder / "postgresql").exists():
        destroy(folder / "postgresql")
    shutil.rmtree(folder, ignore_errors=True)

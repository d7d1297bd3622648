"""One import: who it acts as, in which order, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich.progress import Progress

from lims_api.cli.importing import controls, files, patients, results
from lims_api.cli.importing.copying import Copier
from lims_api.cli.importing.known import look_up
from lims_api.core.ids import SYSTEM_ACTOR
from lims_api.core.keys import KeyStore

_ACT = "select lims.act(%s, %s, 'import', '', 'history_import')"


@dataclass(frozen=True)
class Imported:
    """How many rows went in; what was there already is not counted."""

    patients: int
    orders: int
    specimens: int
    results: int
    controls: int


class Importer:
    """One import into one organization."""

    def __init__(self, url: str, keys: KeyStore, organization: str, progress: Progress) -> None:
        self._connection = psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1))
        self._keys, self._organization, self._progress = keys, organization, progress

    def run(self, folder: Path) -> Imported:
        """Import `patients.parquet`, `results.parquet` and, where there is one, `controls.parquet`.

        All of it or nothing. Raises `HistoryUnusable`, `FileNotFoundError`.
        """
        control_file = folder / "controls.parquet"
        with self._connection as connection:
            people = files.read(folder / "patients.parquet", files.PATIENTS)
            measured = files.read(folder / "results.parquet", files.RESULTS, files.OPTIONAL)
            checked = files.read(control_file, files.CONTROLS) if control_file.exists() else None
            connection.execute("set timezone = 'UTC'")
            known = look_up(connection, self._organization)
            connection.execute(_ACT, (known.organization_id, SYSTEM_ACTOR))
            copier = Copier(connection, known.organization_id, self._progress)
            registered, new = patients.add(copier, self._keys, known.organization_id, people)
            orders, specimens, count = results.add(copier, known, registered, measured)
            measured_controls = controls.add(copier, known, checked) if checked is not None else 0
        return Imported(new, orders, specimens, count, measured_controls)

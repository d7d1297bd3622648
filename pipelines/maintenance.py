"""Keep the lake small: fewer files, no old snapshots, no files of captures that died.

Iceberg's own expiry only forgets snapshots; the files they alone named stay on the disk. A file that no snapshot names
may also be one that another writer is about to commit, so only files older than an hour are deleted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThanOrEqual
from pyiceberg.table import Table

from pipelines.lake import only_writer

PATIENCE = timedelta(minutes=2)
SNAPSHOTS_KEPT = timedelta(days=1)
FILES_SPARED = timedelta(hours=1)
SMALL_BYTES = 4_000_000
TOGETHER_BYTES = 32_000_000  # compressed; some six times as much in memory
WORTH_MERGING = 16


@dataclass(frozen=True)
class Tidied:
    """What one table lost: small files merged into larger ones, snapshots forgotten, files deleted."""

    merged: int
    forgotten: int
    deleted: int


@dataclass(frozen=True)
class _Capture:
    """The files that one capture wrote."""

    number: int
    files: int
    bytes: int


def tables(lake: SqlCatalog) -> list[str]:
    """The names of all tables of the lake."""
    return sorted(".".join(name) for space in lake.list_namespaces() for name in lake.list_tables(space))


def tidy(lake: SqlCatalog, name: str, *, now: datetime) -> Tidied:
    """Merge small files, forget snapshots more than a day old, delete files that nothing names any more.

    The table's content stays as it is. `now` is aware. Raises LakeBusy when the table is written for minutes on end.
    """
    with only_writer(lake, name, patience=PATIENCE):
        table = lake.load_table(name)
        merged = sum(_merge(table, group) for group in _worth_merging(table))
        forgotten = _forget(table, now - SNAPSHOTS_KEPT)
        return Tidied(merged, forgotten, _delete_unnamed(table, now - FILES_SPARED))


def _worth_merging(table: Table) -> list[list[_Capture]]:
    """Runs of successive captures whose small files are better kept together; none where files have no capture."""
    groups: list[list[_Capture]] = []
    group: list[_Capture] = []
    for capture in _captures(table):
        if capture.bytes >= SMALL_BYTES or sum(one.bytes for one in group) + capture.bytes > TOGETHER_BYTES:
            groups.append(group)
            group = []
        if capture.bytes < SMALL_BYTES:
            group.append(capture)
    return [one for one in [*groups, group] if sum(capture.files for capture in one) >= WORTH_MERGING]


def _captures(table: Table) -> Iterator[_Capture]:
    """By number. A file that merging made holds several captures; it counts as its newest, which then is not small."""
    if "capture" not in table.schema().column_names or table.current_snapshot() is None:
        return
    found: dict[int, list[int]] = {}
    for file in table.inspect.files().to_pylist():
        bounds = file["readable_metrics"]["capture"]
        is_merged = bounds["lower_bound"] != bounds["upper_bound"]
        size = SMALL_BYTES if is_merged else file["file_size_in_bytes"]
        found.setdefault(bounds["upper_bound"], []).append(size)
    for number, sizes in sorted(found.items()):
        yield _Capture(number, len(sizes), sum(sizes))


def _merge(table: Table, group: list[_Capture]) -> int:
    """Write the captures' rows anew as one file a month, in place of theirs; how many files that replaced."""
    within = And(GreaterThanOrEqual("capture", group[0].number), LessThanOrEqual("capture", group[-1].number))
    rows = table.scan(row_filter=within).to_arrow()
    table.overwrite(rows, overwrite_filter=within)
    return sum(capture.files for capture in group)


def _forget(table: Table, until: datetime) -> int:
    before = len(table.snapshots())
    table.maintenance.expire_snapshots().older_than(until).commit()
    return before - len(table.refresh().snapshots())


def _delete_unnamed(table: Table, until: datetime) -> int:
    named = {_path(location) for location in _named(table)}
    files, folder = FileSystem.from_uri(table.location())
    unnamed = [
        file.path
        for file in files.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))
        if file.type == FileType.File and file.mtime < until and file.path not in named
    ]
    for path in unnamed:
        files.delete_file(path)
    return len(unnamed)


def _named(table: Table) -> Iterator[str]:
    """Where every file lies that the table or one of its snapshots needs."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    seen = set()
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen:
                seen.add(manifest.manifest_path)
                yield manifest.manifest_path
                yield from (
                    entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                )


def _path(location: str) -> str:
    """A location as its file system calls it: without the scheme."""
    return location.split("://", maxsplit=1)[-1]

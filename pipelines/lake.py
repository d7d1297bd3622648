"""The Iceberg lake: its catalog (in PostgreSQL), how its tables are made, and the lock of a table's only writer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import Table
from pyiceberg.transforms import Transform
from sqlalchemy import text

from pipelines.settings import Settings, with_driver

LOCK_SPACE = 1_279_872_581  # "LAKE" in ASCII: keeps our advisory locks apart from anybody else's

# Iceberg copies the smallest and largest value of each column into its manifests, where no erasure reaches. So no
# column's values are kept, except those that a table names as harmless.
TABLE_PROPERTIES = {
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "1",
    "write.metadata.metrics.default": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "5",
    "commit.manifest-merge.enabled": "true",
    "commit.retry.num-retries": "0",
}


class LakeBusy(Exception):
    """Another process is writing this table; try again later."""


def open_lake(settings: Settings) -> SqlCatalog:
    """The catalog `lake`. Its folder is a path of this machine or a URL such as `s3://bucket/lake`."""
    folder = settings.lake_folder
    warehouse = folder if "://" in folder else Path(folder).resolve().as_uri()
    uri = with_driver(settings.lake_catalog_url, "psycopg")
    return SqlCatalog("lake", uri=uri, warehouse=warehouse, pool_pre_ping="true")


def ensure_table(
    lake: SqlCatalog,
    name: str,
    schema: pa.Schema,
    *,
    partition: Mapping[str, Transform[object, object]],
    bounded: tuple[str, ...] = (),
    properties: Mapping[str, str] | None = None,
) -> Table:
    """Load the table `namespace.name`, made first if it does not exist.

    `partition` maps columns to transforms; `bounded` names the columns whose smallest and largest value the manifests
    may hold.
    """
    try:
        return lake.load_table(name)
    except NoSuchTableError:
        namespace = name.split(".", maxsplit=1)[0]
        _ensure_namespace(lake, namespace)
        metrics = {f"write.metadata.metrics.column.{column}": "full" for column in bounded}
        return _create(lake, name, schema, partition, {**TABLE_PROPERTIES, **metrics, **(properties or {})})


def _ensure_namespace(lake: SqlCatalog, namespace: str) -> None:
    try:
        lake.create_namespace_if_not_exists(namespace)
    except NamespaceAlreadyExistsError:
        return


def _create(
    lake: SqlCatalog,
    name: str,
    schema: pa.Schema,
    partition: Mapping[str, Transform[object, object]],
    properties: Mapping[str, str],
) -> Table:
    try:
        change = lake.create_table_transaction(name, schema=schema, properties=dict(properties))
        with change, change.update_spec() as spec:
            for column, transform in partition.items():
                spec.add_field(column, transform, f"{column}_{transform}")
    except TableAlreadyExistsError:
        return lake.load_table(name)
    return lake.load_table(name)


@contextmanager
def only_writer(lake: SqlCatalog, name: str, *, patience: timedelta) -> Iterator[None]:
    """Hold the table's write lock, or raise LakeBusy after `patience`.

    The lock belongs to a database session, so it ends with its process, however that dies.
    """
    give_up_at = monotonic() + patience.total_seconds()
    key = {"space": LOCK_SPACE, "name": name}
    with lake.engine.connect() as session:
        while not session.scalar(text("select pg_try_advisory_lock(:space, hashtext(:name))"), key):
            if monotonic() > give_up_at:
                raise LakeBusy(f"{name} is being written by another process")
            sleep(0.1)
        session.commit()
        try:
            yield
        finally:
            session.execute(text("select pg_advisory_unlock(:space, hashtext(:name))"), key)
            session.commit()

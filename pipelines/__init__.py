"""Moves and checks data: ledger to lake, lake to warehouse, warehouse to gold, gold to models.

No tool may call home from a laboratory, or talk without need. Each reads its switch when it is imported, so all are set
here, before any import.
"""

import os

_SWITCHES = {
    "DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "POLARS_ICEBERG_PLANNER": "pyiceberg",
}
for _name, _value in _SWITCHES.items():
    os.environ.setdefault(_name, _value)

"""When what runs, by the laboratory's clock. The ledger itself is captured by `lims capture` every half minute."""

import dagster as dg

from pipelines.defs.resources import TIMEZONE

marts = dg.define_asset_job(
    "marts",
    selection=dg.AssetSelection.groups("bronze", "warehouse", "gold"),
    description="Ledger to gold, with every check.",
)
models = dg.define_asset_job(
    "models", selection=dg.AssetSelection.groups("model"), description="Learn from gold, organization by organization."
)
tidying = dg.define_asset_job(
    "tidying", selection=dg.AssetSelection.groups("maintenance"), description="Keep the lake small."
)

marts_hourly = dg.ScheduleDefinition(
    name="marts_hourly",
    job=marts,
    cron_schedule="10 * * * *",
    execution_timezone=TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
models_weekly = dg.ScheduleDefinition(
    name="models_weekly",
    job=models,
    cron_schedule="30 2 * * 0",
    execution_timezone=TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
tidying_nightly = dg.ScheduleDefinition(
    name="tidying_nightly",
    job=tidying,
    cron_schedule="45 3 * * *",
    execution_timezone=TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

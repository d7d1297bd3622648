"""Run chosen stages in this process, printing each asset as it is done."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from time import monotonic
from typing import Any

from pipelines.instance import instance
from pipelines.settings import ROOT, Settings
from pipelines.side import beside, warm_up
from pipelines.transform import prepare

STAGES: Mapping[str, str] = {"capture": "bronze", "warehouse": "warehouse", "gold": "gold", "model": "model"}
"""What an operator calls a stage, and Dagster's group for it."""


def _prepare_to_learn() -> None:
    for module in ("pipelines.learning", "ml.autoverification.evaluate", "ml.autoverification.register", "mlflow"):
        import_module(module)


EVENTS = "pipelines.events"
_LISTENED_TO: Mapping[str, Any] = {"loggers": {"events": {}}}


@dataclass(frozen=True)
class Step:
    """One step of a run: its seconds, rows by asset where an asset tells them, what went wrong, checks not passed."""

    name: str
    seconds: float
    succeeded: bool
    rows: Mapping[str, int]
    problem: str | None
    failed_checks: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a run did. `succeeded` is false when a step failed or a check with severity ERROR did not pass."""

    succeeded: bool
    seconds: float
    steps: tuple[Step, ...]


def run(settings: Settings, stages: Sequence[str] = tuple(STAGES), *, say: Callable[[Step], None]) -> Report:
    """Materialize the assets of the stages with all their checks, in order, in this process.

    `say` gets each step as it ends. A failed step is in the report, it does not raise. Raises KeyError for an unknown
    stage.
    """
    groups = [STAGES[stage] for stage in stages]
    started = monotonic()
    with beside("dbt", "expectations", "learning"):
        if "warehouse" in stages:
            warm_up("dbt", partial(prepare, ROOT / "dbt"))
        if "gold" in stages:
            warm_up("expectations", partial(import_module, "great_expectations"), polite=True)
        if "model" in stages and "capture" not in stages:
            warm_up("learning", _prepare_to_learn, polite=True)
        steps, succeeded = _materialize(settings, groups, say)
    good = succeeded and not any(step.failed_checks for step in steps)
    return Report(good, monotonic() - started, tuple(steps))


def _materialize(settings: Settings, groups: Sequence[str], say: Callable[[Step], None]) -> tuple[list[Step], bool]:
    import dagster as dg

    from pipelines.definitions import defs

    definitions = defs()
    chosen = dg.AssetSelection.groups(*groups).resolve(definitions.resolve_asset_graph())
    job = definitions.resolve_implicit_global_asset_job_def()
    listener = _Listener(say)
    with instance(settings) as dagster, listener.attached():
        outcome = job.execute_in_process(
            instance=dagster, asset_selection=list(chosen), raise_on_error=False, run_config=_LISTENED_TO
        )
    return listener.steps, outcome.success


class _Listener(logging.Handler):
    """Gathers Dagster's events into steps; Dagster hands them to the Python logger that `defs/resources.py` names."""

    def __init__(self, say: Callable[[Step], None]) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._say = say
        self._rows: dict[str, int] = {}
        self._failed: list[str] = []
        self._started = monotonic()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Listen for as long as the context lasts."""
        logger = logging.getLogger(EVENTS)
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note what an event tells; events that tell nothing about assets or steps pass by."""
        event: Any = getattr(record, "dagster_event", None)
        match getattr(event, "event_type_value", None):
            case "ASSET_MATERIALIZATION":
                self._materialized(event.event_specific_data.materialization)
            case "ASSET_CHECK_EVALUATION":
                self._checked(event.event_specific_data)
            case "STEP_SUCCESS":
                self._ended(event.step_key, None)
            case "STEP_FAILURE":
                self._ended(event.step_key, _cause(event.event_specific_data))
            case "STEP_START":
                self._started = monotonic()

    def _materialized(self, materialization: Any) -> None:
        if count := materialization.metadata.get("dagster/row_count"):
            self._rows[materialization.asset_key.to_user_string()] = count.value

    def _checked(self, check: Any) -> None:
        if not check.passed and check.severity.value == "ERROR":
            self._failed.append(f"{check.asset_key.to_user_string()}: {check.check_name}")

    def _ended(self, name: str, problem: str | None) -> None:
        seconds = monotonic() - self._started
        step = Step(name, seconds, problem is None, dict(self._rows), problem, tuple(self._failed))
        self._rows, self._failed = {}, []
        self.steps.append(step)
        self._say(step)
        if step.rows.get("bronze/ledger"):
            # There is something new, so the models will learn: what that needs is imported while the marts are built.
            warm_up("learning", _prepare_to_learn, polite=True)


def _cause(failure: Any) -> str:
    """The first line of what really went wrong; Dagster wraps it in errors of its own."""
    error = failure.error
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip().splitlines()[0][:300]

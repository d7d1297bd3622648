"""`make bench`: every figure, each by its own program, into var/bench.json and docs/reference/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lims_api.core.clock import utc_now
from lims_api.core.db.embedded import destroy

ROOT = Path(__file__).parents[2]
JSON, PAGE = ROOT / "var" / "bench.json", ROOT / "docs" / "reference" / "benchmarks.md"
DEMO = "demo"


@dataclass(frozen=True)
class Figure:
    """One line: which measurement, which of its numbers, what it must be and should be."""

    name: str
    of: str
    key: str
    must: float
    stretch: float
    unit: str
    higher: bool = True


FIGURES = (
    Figure("GET an order with 20 results, against a bare route", "api", "ratio", 0.4, 0.7, "ratio"),
    Figure("results recorded through the gateway", "recording", "results_per_second", 3_000, 10_000, "/s"),
    Figure(
        "… against COPY of the same rows into the same table without ledger", "recording", "ratio", 0.15, 0.3, "ratio"
    ),
    Figure("capture to bronze", "capture", "rows_per_second", 50_000, 150_000, "rows/s"),
    Figure("decode one ORU^R01 of 20 OBX, against hl7apy", "decode", "ratio", 100, 300, "ratio"),
    Figure("import 300,000 results of history", "importing", "seconds", 60, 20, "s", higher=False),
    Figure("report PDF", "report", "report_median_ms", 100, 30, "ms", higher=False),
    Figure("score one accession of ten results, p99", "score", "score_p99_ms", 10, 3, "ms", higher=False),
    Figure("staff's app, first load: JS and CSS as they travel", "web", "first_load_kb", 150, 90, "kB", higher=False),
    Figure(
        "staff's app, first paint on Fast 3G, processor slowed 4 times", "web", "first_paint_s", 3, 2, "s", higher=False
    ),
    Figure("staff's app, keystroke to painted, 50 x 20, p95", "web", "keystroke_p95_ms", 50, 16, "ms", higher=False),
    Figure("`make demo ONCE=1` after installation", DEMO, "seconds", 240, 120, "s", higher=False),
)


def main() -> int:
    """Measure what is asked for, keep the rest of the last time, write both files; 1 when a must is missed."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    names = list(dict.fromkeys(figure.of for figure in FIGURES))
    parser.add_argument("only", nargs="*", help=f"of {', '.join(names)}; all without one")
    wanted = parser.parse_args().only or names
    known: dict[str, Any] = json.loads(JSON.read_text()) if JSON.exists() else {}
    JSON.parent.mkdir(exist_ok=True)
    for name in wanted:
        print(f"measuring {name} …", flush=True)
        load = os.getloadavg()[0]
        known[name] = {
            "measured_at": utc_now().isoformat(timespec="minutes"),
            "load_before": round(load, 2),
            **_measure(name),
        }
        JSON.write_text(json.dumps(known, indent=2) + "\n")
    PAGE.write_text(page(known))
    missed = [figure.name for figure in FIGURES if figure.of in known and not _holds(figure, known, figure.must)]
    print("\n".join([page(known), *(f"MISSED: {name}" for name in missed)]))
    return 1 if missed else 0


def page(known: dict[str, Any]) -> str:
    """The reference page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: medians of five on 2 cores (the demonstration: one run), each with the machine's",
        "load just before it. Ratios are of one run. The figures say nothing about another machine.",
        "",
        "| figure | must | stretch | measured | must held | load before | measured at |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in FIGURES:
        found = known.get(figure.of)
        target = f"{figure.must:g} | {figure.stretch:g}"
        if found is None:
            lines.append(f"| {figure.name} | {target} | not measured | | | |")
            continue
        held = "yes" if _holds(figure, known, figure.must) else "**no**"
        number = found[figure.key]
        value = f"{number:,.0f} {figure.unit}" if number >= 100 else f"{number:.3g} {figure.unit}"
        lines.append(
            f"| {figure.name} | {target} | {value} | {held} | {found['load_before']} | {found['measured_at']} |"
        )
    if "recording" in known:
        plain = known["recording"]
        lines += [
            "",
            "COPY into one table that has neither partitions nor the foreign keys of `results`:"
            f" {plain['copy_without_keys_per_second']:,.0f} rows/s;"
            f" recording is {plain['ratio_without_keys']:.3g} of it.",
        ]
    return "\n".join(lines) + "\n"


def _holds(figure: Figure, known: dict[str, Any], bound: float) -> bool:
    value = float(known[figure.of][figure.key])
    return value >= bound if figure.higher else value <= bound


def _measure(name: str) -> dict[str, Any]:
    """In a process of its own, so that nothing imported for one slows another."""
    if name == DEMO:
        return _demo()
    code = f"import json; from tests.bench.{name} import measure; print(json.dumps(measure()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _demo() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="nidan-bench-"))
    started = time.monotonic()
    command = [sys.executable, "-m", "lims_api.cli", "demo", "--once", "--folder", str(folder)]
    try:
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        return {"seconds": time.monotonic() - started}
    finally:
        destroy(folder / "postgresql")


if __name__ == "__main__":
    raise SystemExit(main())

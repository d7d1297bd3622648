"""Lakes on disk, a signer, and what pages offer to download."""

from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from joserfc.jwk import OKPKey
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from tests.unit.dashboards.laboratories import (
    THEIR_NAMES,
    LakeOnDisk,
    Signer,
    control,
    held,
    ordered_test,
    our_controls,
    our_results,
    our_turnaround,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_leftovers() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """A signer whose public key the dashboards are configured with."""
    key = OKPKey.generate_key("Ed25519")
    file = tmp_path / "dashboard.pub.pem"
    file.write_bytes(key.as_pem(private=False))
    monkeypatch.setenv("LIMS_DASHBOARD_PUBLIC_KEY_FILE", str(file))
    return Signer(key)


@pytest.fixture
def empty_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeOnDisk:
    """A lake in which nothing was published yet."""
    lake = LakeOnDisk(f"sqlite:///{tmp_path}/catalog.db", str(tmp_path / "lake"))
    monkeypatch.setenv("LIMS_LAKE_CATALOG_URL", lake.url)
    monkeypatch.setenv("LIMS_LAKE_FOLDER", lake.folder)
    return lake


@pytest.fixture
def lake(empty_lake: LakeOnDisk) -> LakeOnDisk:
    """A lake with our rows, and with another laboratory's that would change every figure."""
    theirs = [ordered_test(n, minutes_total=5000.0, **THEIR_NAMES) for n in range(5)]
    their_results = [held(n, 900.0, model_version="77", **THEIR_NAMES) for n in range(6)]
    about = {"lot_number": "X9", "material": "Their serum"}
    their_controls = [control(n, **about, **THEIR_NAMES) for n in range(7)]
    empty_lake.publish("fct_turnaround", [*our_turnaround(), *theirs])
    empty_lake.publish("fct_results", [*our_results(), *their_results])
    empty_lake.publish("fct_control_results", [*our_controls(), *their_controls])
    return empty_lake


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What a page offers to download, by file name, as Streamlit keeps it for the browser; filled as pages run."""
    offered: dict[str, bytes] = {}
    keep = MemoryMediaFileStorage.load_and_get_id

    def note(
        self: MemoryMediaFileStorage, content: Any, mimetype: str, kind: Any, filename: str | None = None, **more: Any
    ) -> str:
        if filename and isinstance(content, bytes):
            offered[filename] = content
        return keep(self, content, mimetype, kind, filename, **more)

    monkeypatch.setattr(MemoryMediaFileStorage, "load_and_get_id", note)
    return offered

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.ingest.gateways import Laboratory
from tests.sandbox.core_receiver import CoreReceiver


@pytest.fixture
def core(tmp_path: Path) -> Iterator[CoreReceiver]:
    with CoreReceiver(tmp_path / "core.db").running() as receiver:
        yield receiver


@pytest.fixture
def laboratory(tmp_path: Path, core: CoreReceiver) -> Laboratory:
    return Laboratory(tmp_path, core)

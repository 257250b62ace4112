"""What tests share: where the real data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# The same examples at every run, so that a change is what makes a test fail; EXPLORE=1 looks for others.
settings.register_profile("same", derandomize=True, deadline=None)  # nothing is asked of the wall clock
if not os.environ.get("EXPLORE"):
    settings.load_profile("same")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data beside the checkout; the test is skipped where it is not."""
    if not DATA.is_dir():
        pytest.skip(f"needs the real data at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def clips(data: Path) -> Path:
    """Folder of real videos: asl_* sign, nosign_* do not."""
    return data / "clips"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run small networks, which several threads make slower, far slower where the machine has other work."""
    torch.set_num_threads(1)

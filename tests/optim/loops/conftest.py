"""Each test in a folder of its own, because a script may leave files."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)

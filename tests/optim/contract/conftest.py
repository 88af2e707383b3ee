"""Looking for buffers among all objects of a test process takes longer than the tests: those made before are hidden."""

import gc

import pytest

from eigensam.landscapes.derivatives import live_buffers


@pytest.fixture(autouse=True)
def _few_objects(monkeypatch):
    monkeypatch.setattr(live_buffers.gc, "get_freeze_count", lambda: 0)  # else the search would bring them back
    gc.collect()  # what the last test has left, while the rest is hidden
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _all_objects_again():
    yield
    gc.unfreeze()
    gc.collect()

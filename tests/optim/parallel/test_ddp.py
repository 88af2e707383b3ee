"""DistributedDataParallel on two processes: what one process does with both minibatches, to 1e-12."""

import pytest

from .workers import Found

CLOSE = 1e-12


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return Found("ddp_worker.py", tmp_path_factory.mktemp("ddp"))


def test_equals_one_process_on_the_joint_minibatch(found):
    names = sorted(case for case in found.cases if case.startswith("joint/"))
    assert len(names) == 12
    for name in names:
        for worker in found(name):
            assert worker["off"] < CLOSE < 1e-3 < worker["moved"], name
            assert worker.get("same_bits", True), name


def test_what_is_not_synchronised_differs(found):
    """Negative control: the same comparison fails."""
    for worker in found("unsynchronised"):
        assert min(worker.values()) > 1e-3


@pytest.mark.parametrize("case", ["closure_calls_backward", "two_halves_of_a_step", "minibatches_that_run_out"])
def test_other_loops(found, case):
    assert all(worker["off"] < CLOSE for worker in found(case))


def test_the_loss_is_that_of_all_workers(found):
    """Negative control of a method whose step depends on the loss's value."""
    assert min(found("loss_of_one_worker")) > 1e-6


@pytest.mark.parametrize(
    "case", ["several_closures", "unused_parameters", "batch_norm", "local_ascent_of_every_kind", "other_methods"]
)
def test_methods(found, case):
    for worker in found(case):
        assert max(worker.values()) < CLOSE, worker


def test_buffers_are_those_of_plain_training(found):
    """Also on workers whose buffers the first one's replace before each pass; which changes them."""
    first, second = found("buffers_as_plain_training")
    assert first.pop("differ") == 0 < second.pop("differ")
    assert set(first.values()) == set(second.values()) == {0.0}


def test_local_ascent_is_that_by_hand(found):
    for worker in found("local_ascent"):
        assert worker["off"] < CLOSE
        assert worker["same_bits"]


def test_dropout_masks_of_each_worker_are_replayed(found):
    for worker in found("dropout"):
        assert worker["off"] < CLOSE
        assert not worker["same_masks"]


def test_an_eigenvector_of_its_own(found):
    for worker in found("eigenvector_of_its_own"):
        assert worker["cosine"] > 1 - 1e-12
        assert worker["between"] < 0.9
        assert worker["replicas"] == 0  # their parameters stay one model's nevertheless


def test_seeds_that_differ(found):
    for worker in found("seeds_that_differ"):
        assert worker["same_bits"]
        assert worker["off"] < CLOSE


def test_nobody_waits_for_a_worker_whose_refresh_failed(found):
    first, second = found("a_refresh_that_fails_on_one")
    assert "another worker could not estimate" in first["said"]
    assert second["said"] == "ValueError: no data left"
    for worker in (first, second):
        assert (worker["moved"], worker["steps"], worker["replicas"]) == (0, 1, 0)
    first, second = found("a_product_that_fails_on_one")
    assert "another worker could not estimate" in first["said"]
    assert "a product is not finite" in second["said"]
    assert first["moved"] == second["moved"] == 0


def test_what_is_not_finite_on_one_worker_stops_all(found):
    for worker in found("not_finite_on_one"):
        assert len(worker) == 8
        for name, result in worker.items():
            skips = name.endswith("skip")
            assert result["skipped"] == skips, name
            assert result["said"].startswith("NotFiniteError") != skips, name
            assert result["moved"] == result["replicas"] == 0, name
    for worker in found("not_finite_on_one_in_two_halves"):
        assert worker == {"skipped": 1, "moved": 0, "replicas": 0}


def test_workers_that_have_left_have_no_common_eigenvector(found):
    for worker in found("a_common_eigenvector_where_minibatches_run_out"):
        assert "synchronised=False" in worker["said"]
        assert worker["moved"] == 0


def test_resumed_bit_for_bit(found):
    for worker in found("resumed"):
        assert worker == {"off": 0, "same_bits": True}

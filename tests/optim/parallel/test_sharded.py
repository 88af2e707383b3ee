"""FSDP2 and other sharded parameters on two processes: what one process does with both minibatches, to 1e-12."""

import pytest

from .workers import Found

CLOSE = 1e-12


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return Found("fsdp_worker.py", tmp_path_factory.mktemp("fsdp"))


@pytest.mark.parametrize(
    "case",
    [
        "against_joint", "two_halves_of_a_step", "several_closures_groups_and_clipping", "norms", "hybrid",
        "tensor_parallel", "other_methods",
    ],
)  # fmt: skip
def test_equals_one_process(found, case):
    for worker in found(case):
        assert max(worker.values()) < CLOSE, worker


def test_the_norm_of_own_shards_is_another_one(found):
    """Negative control: the same comparison fails."""
    assert all(worker["off"] > 1e-3 for worker in found("every_shard_for_itself"))


def test_shards_are_uneven_and_empty(found):
    first, second = found("shards")
    assert first["0.weight"] > second["0.weight"] > 0
    assert (first["2.scale"], second["2.scale"]) == (1, 0)


def test_parameters_are_restored_to_the_bit(found):
    for worker in found("restored_to_the_bit"):
        assert worker["calls"] == [True, False, True, False]
        assert worker["after"]
        assert worker["after_error"]
        assert worker["said"] == "ValueError: enough"


def test_mixed_precision(found):
    for worker in found("bfloat16"):
        assert worker["off"] < 1e-6 < 1e-3 < worker["from_sgd"]


def test_partial_gradients_are_added_up(found):
    for worker in found("partial_gradients"):
        assert worker["found"] == pytest.approx(worker["expected"], abs=1e-14)


def test_what_is_not_finite_on_one_worker_stops_all(found):
    for worker in found("not_finite_on_one"):
        for result in worker.values():
            assert (result["skipped"], result["moved"]) == (1, 0)
            assert result["later"] > 0


def test_eigen_sam_is_refused(found):
    for worker in found("eigen_sam_is_refused"):
        assert "cannot be differentiated twice" in worker["said"]
        assert worker["moved"] == 0


@pytest.mark.parametrize(
    ("case", "count", "skipped"),
    [
        ("resumed_from_a_file_of_each_worker", 3, 0),
        ("resumed_by_state_dict_functions", 5, 0),
        ("resumed_from_a_common_checkpoint", 3, 7),
    ],
)
def test_resumed_bit_for_bit(found, case, count, skipped):
    for worker in found(case):
        assert len(worker) == count
        for result in worker.values():
            assert (result["off"], result["skipped"]) == (0, skipped)
            assert result["moved"] > 1e-2


def test_eigen_sam_of_ddp_is_resumed_in_mid_interval(found):
    for worker in found("eigen_sam_resumed_in_mid_interval"):
        assert worker == {"off": 0, "nothing": True, "same": True, "bits": True}


def test_looking_at_the_state_changes_nothing(found):
    for worker in found("looking_at_the_state_changes_nothing"):
        assert worker == {"off": 0, "hooks": 3}


def test_a_flattened_state_is_refused(found):
    for worker in found("flattened_state_is_refused"):
        assert "not a state of SAM" in worker["said"]

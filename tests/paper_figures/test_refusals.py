"""What ``eigensam figures`` refuses before any work."""

import pytest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "full"], "unknown preset 'full'; choose one of: quick, laptop, paper"),
        (["--preset", "paper"], "give --data-root FOLDER"),
        (["--jobs", -1], "jobs = -1"),
        (["--seeds", -1], "--seeds -1; give 1 to 1000"),
        (["--seeds", 1001], "--seeds 1001"),
        (["--from-json"], "holds no result"),
        (["--from-json", "--seeds", 3], "leave --seeds out"),
        (["--preset", "laptop", "table1"], "give --data-root FOLDER"),
        (["k_table", "--data-root", "."], "needs no files"),
        (["--device", "tpu9"], "no usable device 'tpu9'"),
        (["figure9"], "unknown figure 'figure9'; choose one of: weak_order, figure1, bound_terms"),
    ],
)
def test_refusals(refused, tmp_path, options, message):
    assert message in refused("figures", "--out", tmp_path / "out", *options)
    assert list(tmp_path.iterdir()) == []


def test_out_is_a_file(refused, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert "is a file; choose another --out" in refused("figures", "--out", tmp_path / "out")

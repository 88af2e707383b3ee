"""``eigensam bound``."""

import json

import pytest

CHEAP = ("--draws", 2, "--gradients", 2, "--random-directions", 1, "--probes", 2, "--max-products", 10, "--top", 1)


def test_bound(cli, trained, tmp_path):
    outcome = cli("bound", trained, "--json", tmp_path / "b.json", "--batch-size", 2000, *CHEAP)
    assert outcome.code == 0
    assert "VACUOUS" in outcome.out
    assert "estimate" in outcome.out
    result = json.loads((tmp_path / "b.json").read_text())
    assert {"terms", "bound", "vacuous", "delta", "assumptions"} <= result.keys()
    assert all(term.keys() == {"name", "value", "kind"} for term in result["terms"])
    assert result["bound"] == pytest.approx(sum(term["value"] for term in result["terms"]))
    assert result["delta"] == 0.05
    for sentence in result["assumptions"]:
        assert sentence in outcome.out.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--delta", 0], "delta = 0.0 does not lie in (0, 1)"),
        (["--delta", 1], "delta = 1.0 does not lie in (0, 1)"),
        (["--p-min", 2], "p_min = 2.0 does not lie in (0, 1)"),
        (["--prior", "mean"], "unknown prior centre 'mean'"),
        (["--sigma", -1], "sigma = -1.0 is not positive"),
        (["--batch-size", -1], "--batch-size -1 is out of range"),
        (["--sigma", "1e100"], "sigma = 1e+100"),
        (["--delta", "1e-320"], "is below 1e-100"),
    ],
)
def test_refusals(refused, trained, tmp_path, options, message):
    assert message in refused("bound", trained, *options, "--json", tmp_path / "b.json")
    assert list(tmp_path.iterdir()) == []


def test_not_a_run(refused, tmp_path):
    assert "is not a finished run" in refused("bound", tmp_path)

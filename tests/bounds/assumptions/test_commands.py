"""``eigensam assumptions``."""

import dataclasses
import json

import pytest

SMALL = ["--examples", 64, "--minibatches", 4, "--draws", 4, "--pairs", 2]


def test_a_run(cli, sam_run, table, tmp_path):
    outcome = cli("assumptions", sam_run.directory, *SMALL, "--json", tmp_path / "a.json", "--plot", tmp_path / "a.png")
    assert outcome.code == 0
    result = json.loads((tmp_path / "a.json").read_text())
    assert [row["verdict"] for row in result["rows"]] == [row.verdict for row in table.rows]
    plain = " ".join(outcome.out.split())
    for row in table.rows:
        assert " ".join(row.text.split()) in plain
        assert " ".join(row.source.split()) in plain
    for sentence in table.summary:
        assert sentence in plain
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_an_example(cli, tmp_path):
    outcome = cli("assumptions", "--example", "stiff-torus", "--json", "-", "--plot", tmp_path / "a.svg")
    assert outcome.code == 0
    assert {row["verdict"] for row in json.loads(outcome.out)["rows"]} == {"holds"}
    listed = cli("assumptions", "--example", "all").out
    assert "wrong-gap: a tilted sphere; fails: lambda_1 is simple" in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to look at; give a RUN, or --example"),
        (["--example", "flat"], "unknown example 'flat'"),
        (["--example", "all", "--json", "a.json"], "--example all is a list"),
        (["--example", "wrong-gap", "--draws", 4], "--draws has no effect here: it belongs to a RUN"),
        (["RUN", "--example", "wrong-gap"], "--example has no effect here: it belongs to a command without RUN"),
        (["RUN", "--sigmas", "0.1,x"], "sigmas = '0.1,x' is no list of numbers"),
        (["RUN", "--sigmas", "0.1,0.1"], "give different positive numbers"),
        (["RUN", "--sigmas", "0"], "give different positive numbers"),
        (["RUN", "--sigmas", "nan"], "give finite numbers"),
        (["RUN", "--delta", 1], "delta = 1.0 must lie in (0, 1)"),
        (["RUN", "--sigmas", ""], "sigmas = '' is no list of numbers"),
        (["RUN", "--sigmas", "1e100"], "give different positive numbers up to 1e6"),
        (["RUN", "--examples", -1], "examples = -1 must be at least 0"),
        (["RUN", "--radius", -1], "radius = -1.0 must be positive"),
        (["RUN", "--seed", -1], "seed = -1 must be at least 0"),
        (["RUN", "--p-min", 1], "p_min = 1.0 must lie in (0, 1)"),
        (["RUN", "--data-root", "folder"], "digits"),
        (["RUN", "--draws", 1], "draws = 1 must be at least 2"),
        (["RUN", "--near", 0], "near = 0.0 must be positive"),
        (["RUN", "--max-products", 1], "max_products = 1 must be at least 2, or 0"),
    ],
)
def test_refusals(refused, sam_run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("assumptions", *[sam_run.directory if each == "RUN" else each for each in arguments])
    assert list(tmp_path.iterdir()) == []


def test_not_a_run(refused, tmp_path):
    assert "is not a finished run" in refused("assumptions", tmp_path)


def test_pictures(table):
    """As many marks as there are verdicts; both curves."""
    figure = table.plot()
    marks = sum(len(each.get_offsets()) for each in figure.axes[0].collections)
    assert marks == sum(len(row.statements) for row in table.rows)
    assert [axis.get_xlabel() for axis in figure.axes[1:]] == [
        "standard deviation of the noise",
        "last layer multiplied by -t",
    ]


def test_a_ray_of_zeros_is_not_drawn(table):
    """Behind a head of zeros, which new networks may have, nothing grows."""
    flat = [
        dataclasses.replace(row, numbers={**row.numbers, "along_ray": [0.0] * len(row.numbers["along_ray"])})
        if "along_ray" in row.numbers
        else row
        for row in table.rows
    ]
    assert len(dataclasses.replace(table, rows=flat).plot().axes) == 2

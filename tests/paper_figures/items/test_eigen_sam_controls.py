"""What the item says of given numbers, and the item at a tiny size."""

import copy
import math
import re
from dataclasses import asdict, replace

import pytest

from eigensam.ground import InputError
from eigensam.ground.records import through_json
from eigensam.paper_figures import controls_words
from eigensam.paper_figures.control_numbers import pair_numbers
from eigensam.paper_figures.items.eigen_sam_controls import EigenSAMControls
from eigensam.paper_figures.measurements import controlled_run
from eigensam.paper_figures.measurements.control_plan import Condition, Pair, conditions
from eigensam.paper_figures.resources import Resources

SEEDS, ALPHA, EVERY = 8, 1.0, 20
TINY = Pair("tiny", "digits", "mlp32", train=80, test=20, pool=2, batch_size=40, epochs=1, seeds=2, looks=1)
RATES = {"gradient": -0.1, "second": -0.02, "third": -0.01, "share": 0.3, "squared_alignment": 0.2, "length": 1.0}


def _record(seed, value, length, **more):
    """A run; seeds differ by half, and by a little noise that is each condition's own."""
    wobble = 1 + 0.01 * math.sin(10 * seed + 100 * value)
    found = {
        "seed": seed,
        "lambda_1": value * (1 + 0.1 * seed) * wobble,
        "residual": 1e-4,
        "converged": True,
        "train_loss": 0.1,
        "test_accuracy": 0.9,
        "length": length,
        "norm": 10.0,
        "cos_g_v": None,
        "looks": [{"epoch": 1, "cos_g_v1": 0.3, "cos_u_v1": 0.4, "cos_v_v1": None}],
        "rates": {"own": RATES, f"{ALPHA:g}": {**RATES, "third": -0.04, "length": 1.3, "share": 0.8}},
    }
    return {"lambda_1_rescaled": found["lambda_1"], **found, **more}


def _result(minibatch=0.8, whole=0.6, unit=1.0, random=1.0, control=0.8):
    values = {"sgd": 1.5, "sam": 1.0}
    runs = []
    for each in conditions([ALPHA], [EVERY], [EVERY]):
        value = values.get(each.method)
        if value is None:
            value = (
                unit if each.normalize else {"minibatch": minibatch, "whole": whole, "random": random}[each.direction]
            )
        length = {"sgd": 0.0, "sam": 1.0}.get(each.method, 1.0 if each.normalize else 1.36)
        runs.append({"condition": asdict(each), "seeds": [_record(seed, value, length) for seed in range(SEEDS)]})
    longer = [_record(seed, control, 1.36) for seed in range(SEEDS)]
    runs.append({"condition": asdict(Condition.of_length(1.36)), "seeds": longer})
    return {"pairs": [{**asdict(TINY), "seeds": SEEDS, "parameters": 842, "test_examples": 1000, "runs": runs}]}


def _words(result):
    found = {}
    for claim in EigenSAMControls().claims(result):
        title = re.search(", α = [^,]*, (.*?) (?:lowers|does not)", claim.claim)[1]
        found[title] = claim.verdict
    return found


def _answers(result):
    return {title: verdict.word for title, verdict in _words(result).items()}


def test_verdicts_follow_the_numbers():
    assert _answers(_result()) == {
        "the minibatch's eigenvector": "not reproduced",
        "an accurate eigenvector": "reproduced",
        "a normalised perturbation": "not reproduced",
        "a random vector": "reproduced",
    }


def test_other_numbers_give_other_verdicts():
    """Wrong on purpose: the longer perturbation does all that the eigenvector did, and more."""
    changed = _words(_result(control=0.6))["an accurate eigenvector"]
    assert changed.word == "not reproduced"
    assert "in 0 of 1; a reduction by 5% (ours) excluded in 1 of 1 (k = 20)" in changed.decided_by
    assert _answers(_result(control=0.5, unit=0.7)) == {
        "the minibatch's eigenvector": "not reproduced",
        "an accurate eigenvector": "not reproduced",
        "a normalised perturbation": "reproduced",
        "a random vector": "reproduced",
    }
    assert _answers(_result(random=0.6))["a random vector"] == "not reproduced"


def test_seeds_can_be_chosen():
    assert {pair.seeds for pair in EigenSAMControls((TINY,)).with_seeds(3).pairs} == {3}


def test_seeds_are_paired():
    """Wrong on purpose: of seeds in another order, which differ by half, nothing is resolved."""
    result = _result()
    for run in result["pairs"][0]["runs"]:
        if run["condition"]["direction"] == "whole":
            for place, record in enumerate(run["seeds"]):
                record["seed"] = SEEDS - 1 - place
    assert _answers(result)["an accurate eigenvector"] == "not resolved here"


def test_a_familys_verdicts_on_all_pairs_are_judged_together():
    """Twice as many verdicts, twice as large a correction; other families, or a pair by itself, have their own."""
    result = _result(minibatch=0.7, unit=0.9)
    twice = {"pairs": result["pairs"] * 2}
    (alone,), (first, _) = pair_numbers(result), pair_numbers(twice)
    for numbers, pairs in ((alone, 1), (first, 2)):
        found = {}
        for row in numbers.rows:
            if row.control:
                found.setdefault(row.condition.family, []).append(row.control)
        assert {family: len(rows) for family, rows in found.items()} == {"main": 1, "further": 3, "random": 1}
        for rows in found.values():
            assert min(row.adjusted / row.p for row in rows) >= 1 - 1e-12
            least = min(rows, key=lambda row: row.p)
            assert least.adjusted == pytest.approx(min(1.0, len(rows) * pairs * least.p))


def test_each_seed_has_a_control_of_its_own_length():
    result = copy.deepcopy(_result())
    runs = result["pairs"][0]["runs"]
    (whole,) = [r for r in runs if r["condition"]["direction"] == "whole" and not r["condition"]["normalize"]]
    whole["seeds"][0]["length"] = 1.4
    with pytest.raises(KeyError):
        pair_numbers(result)
    runs.append({"condition": asdict(Condition.of_length(1.4)), "seeds": [_record(0, 0.1, 1.4)]})
    before, after = (pair_numbers(each)[0].row(Condition(**whole["condition"])).control for each in (_result(), result))
    assert after.difference.mean > before.difference.mean + 0.2


def test_prediction_is_made_where_sam_has_ended():
    found = pair_numbers(_result())[0].predicted(ALPHA)
    assert found.eigen.mean == pytest.approx(-0.02 - 0.04)
    assert found.longer.mean == pytest.approx(-1.3 * 0.02 - 1.3**2 * 0.01)
    assert found.difference.mean == pytest.approx(found.eigen.mean - found.longer.mean)
    assert (
        "d ln λ₁/dt = -0.060, of SAM as long -0.043, difference -0.017 ± 0.000"
        in EigenSAMControls().claims(_result())[0].paper
    )


def test_a_training_that_failed_is_no_number():
    result = _result()
    result["pairs"][0]["runs"][0]["seeds"][0]["lambda_1"] = -1.0
    with pytest.raises(InputError, match=r"-1\.0 has no logarithm"):
        EigenSAMControls().claims(result)


def test_picture_and_words_show_the_numbers():
    item, result = EigenSAMControls(), _result()
    (axes,) = item.plot(result).axes
    drawn = {each.get_label(): each.lines[0] for each in axes.containers}
    expected = {"minibatch's v": 1.0, "accurate v": 0.75, "accurate v, normalised": 1.0, "random v": 1.25}
    for label, ratio in expected.items():
        assert float(drawn[label].get_ydata()[0]) == pytest.approx(ratio, rel=0.02)
    assert drawn["accurate v"].get_markerfacecolor() != "white"
    assert drawn["random v"].get_markerfacecolor() == "white"
    values, accuracies, alignments = item.tables(result)
    assert len(values.rows) == 8
    (row,) = [each for each in values.rows if each[0] == "Eigen-SAM, α = 1, k = 20, accurate v"]
    assert row[1] == "main"
    assert row[4].startswith("0.75 [0.7")
    assert row[5] == "yes"
    assert len(accuracies.rows) == len(alignments.rows) == 7
    assert "1 verdicts on λ₁: 1 yes, 0 no, 0 not resolved; 1 verdicts on test accuracy" in item.notes(result)[0]
    assert "Random vectors. 1 verdicts on λ₁: 0 yes, 1 no" in item.notes(result)[2]
    assert "8 of" not in item.notes(result)[6]
    assert "nan" not in str((values, accuracies, alignments, item.notes(result), item.caption(result))).lower()


def test_accuracy_and_alignment_have_verdicts_of_their_own():
    result = _result()
    for run in result["pairs"][0]["runs"]:
        whole = run["condition"]["direction"] == "whole" and not run["condition"]["normalize"]
        random = run["condition"]["direction"] == "random"
        for record in run["seeds"]:
            wobble = 0.001 * math.sin(7 * record["seed"] + whole)
            record["test_accuracy"] += wobble + (0.02 if whole else 0.0)
            record["looks"][0]["cos_u_v1"] += wobble + (0.3 if whole else -0.2 if random else 0.0)
    _, accuracies, alignments = EigenSAMControls().tables(result)
    names = [row[0].rsplit("20, ")[-1] for row in accuracies.rows]
    found = dict(zip(names, zip(accuracies.rows, alignments.rows, strict=True), strict=True))
    accuracy, alignment = found["accurate v"]
    assert float(accuracy[2].split()[0]) == pytest.approx(2.0, abs=0.05)
    assert (accuracy[3], alignment[5]) == ("yes", "yes")
    assert alignment[4].startswith("+0.3")
    accuracy, alignment = found["random v"]
    assert (accuracy[3], alignment[5]) == ("no", "no")
    assert alignment[4].startswith("-0.2")
    assert (
        "verdicts on test accuracy: 1 yes, 0 no, 0 not resolved; 1 verdicts on alignment: 1 yes"
        in EigenSAMControls().notes(result)[0]
    )


def test_rescaled_eigenvalues_have_verdicts_where_there_is_batch_norm():
    """Where the longer control has lowered the eigenvalue by longer weights alone, the rescaled one tells."""
    plain, scaled = _result(whole=0.8), copy.deepcopy(_result(whole=0.8))
    for run in scaled["pairs"][0]["runs"]:
        longer = run["condition"]["method"] == "sam" and run["condition"]["length"] != 1
        for record in run["seeds"]:
            record["lambda_1_rescaled"] = record["lambda_1"] * (2.0 if longer else 1.5)
    both = {"pairs": plain["pairs"] + scaled["pairs"]}
    first, second = pair_numbers(both)
    whole = Condition("eigen-sam", ALPHA, EVERY, "whole")
    assert first.row(whole).rescaled is None
    assert second.row(whole).control.answer == "no"
    assert second.row(whole).rescaled.answer == "yes"
    assert second.row(whole).rescaled.adjusted == pytest.approx(second.row(whole).rescaled.p)  # one main question
    tables = EigenSAMControls().tables(both)
    assert len(tables) == 3 + 4
    assert tables[4].header[1] == "λ₁, rescaled"
    assert "1 verdicts on rescaled λ₁: 1 yes, 0 no" in EigenSAMControls().notes(both)[0]


def test_one_seed_says_so():
    result = _result()
    for run in result["pairs"][0]["runs"]:
        del run["seeds"][1:]
    item = EigenSAMControls()
    assert set(_answers(result).values()) == {"not resolved here"}
    assert item.plot(result)
    assert "nan" not in str((item.claims(result), item.tables(result), item.notes(result))).lower()


def test_measures_at_a_tiny_size_and_goes_on_from_what_is_there(tmp_path, monkeypatch):
    item = EigenSAMControls((TINY,), alphas=(1.0,), refreshes=(2,), accurate=())
    resources = Resources(tmp_path)
    original, done = controlled_run.run_condition, []

    def interrupted(*run):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(run[1:3])
        return original(*run)

    monkeypatch.setattr(controlled_run, "run_condition", interrupted)
    with pytest.raises(KeyboardInterrupt):
        item.measure(resources, lambda done, total: None)
    kept = len(list((tmp_path / "runs" / "eigen_sam_controls").iterdir()))
    assert kept == 3
    again = []
    monkeypatch.setattr(controlled_run, "run_condition", lambda *run: again.append(run[1:3]) or original(*run))
    steps = []
    result = through_json(item.measure(resources, lambda done, total: steps.append((done, total))))
    assert not set(done) & set(again)
    assert steps[-1][0] == steps[-1][1] == len(done) + len(again)
    (found,) = pair_numbers(result)
    assert {len(row.records) for row in found.rows if row.condition.direction} == {2}
    for row in found.rows:
        if row.condition.direction == "minibatch" and not row.condition.normalize:
            assert 1.0 < row.records[0]["length"] < 2**0.5
    for each in (item.plot(result), item.claims(result), item.tables(result), item.size(), item.caption(result)):
        assert each
    assert item.key(resources) != EigenSAMControls((TINY,), alphas=(0.2,)).key(resources)


def test_pairs_that_would_share_their_files_are_refused(tmp_path):
    pairs = (replace(TINY, name="a, b"), replace(TINY, name="A b", lr=0.5))
    with pytest.raises(InputError, match=r"two pairs would be kept in files called a-b-\.\.\.; give them other names"):
        EigenSAMControls(pairs).prepare(Resources(tmp_path))


def test_data_are_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="give --data-root FOLDER"):
        EigenSAMControls().prepare(Resources(tmp_path))


@pytest.mark.parametrize("wrong", [{"alphas": ()}, {"refreshes": (), "accurate": ()}])
def test_a_plan_without_eigen_sam_is_refused(tmp_path, wrong):
    with pytest.raises(InputError, match="nothing is compared; give an alpha, and a number of steps between refreshes"):
        EigenSAMControls((TINY,), **wrong).prepare(Resources(tmp_path))


def test_words_know_every_kind():
    """Each row of Eigen-SAM is in one claim."""
    rows = [row for row in pair_numbers(_result())[0].rows if row.control]
    assert all(sum(of(row) for of in controls_words._KINDS.values()) == 1 for row in rows)

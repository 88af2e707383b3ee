"""Rows against dense Hessians along a real training; the same rows after a kill; bad input."""

import json
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic, Valley, save_tensors, top_eigenpairs
from eigensam.landscapes.curvature.drift_decomposition import decompose_drift
from eigensam.landscapes.curvature.recorder import CurvatureRecorder
from eigensam.optim import SAM
from eigensam.optim.training.state import load_state, save_state


def _quadratic(diagonal):
    return Quadratic(torch.diag(torch.tensor(diagonal, dtype=torch.float64)), centres=[[0.0] * len(diagonal)])


class _Training:
    """SAM on a small network in float64."""

    def __init__(self, **settings):
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        self.inputs, self.targets = torch.randn(20, 2, dtype=torch.float64), torch.arange(20) % 2
        self.landscape = NetworkLandscape.from_tensors(
            self.model, cross_entropy, self.inputs, self.targets, batch_size=5
        )
        self.optimizer = SAM(self.model.parameters(), rho=0.1, lr=0.5)
        self.recorder = CurvatureRecorder(
            self.landscape, **{"every": 2, "tolerance": 1e-8, "perturbation": self.optimizer.perturbation} | settings
        )
        self.points = []

    def run(self, start, stop):
        for step in range(start, stop):
            self.points.append(self.landscape.point())
            self.recorder.step(step)
            if step == 5:
                self.recorder.freeze()
            batch = slice(5 * (step % 4), 5 * (step % 4) + 5)
            self.optimizer.step(lambda: cross_entropy(self.model(self.inputs[batch]), self.targets[batch]))  # noqa: B023
        return self

    def loss(self, x, rows=slice(None)):
        parts = x.split([p.numel() for p in self.model.parameters()])
        state = {n: part.view(p.shape) for (n, p), part in zip(self.model.named_parameters(), parts, strict=True)}
        return cross_entropy(functional_call(self.model, state, (self.inputs[rows],)), self.targets[rows])


@pytest.fixture(scope="module")
def whole():
    return _Training(drift=True, rho=0.1).run(0, 9)


def test_a_training_against_dense_hessians(whole):
    rows = whole.recorder.rows
    assert [row["step"] for row in rows] == [0, 2, 4, 6, 8]
    frozen = latest = None
    for row in rows:
        x = whole.points[row["step"]]
        dense = hessian(whole.loss)(x)
        values, vectors = torch.linalg.eigh(dense)
        top = vectors[:, -1]
        if row["step"] in (0, 6):  # frozen anew after step 5, where the latest v_1 was that of step 4
            frozen = top if row["step"] == 0 else latest
        latest = top
        assert row["converged"] == 1
        assert row["lambda_1"] == pytest.approx(values[-1].item(), rel=1e-8)
        assert row["lambda_2"] == pytest.approx(values[-2].item(), rel=1e-7)
        assert row["gap"] == pytest.approx((values[-1] - values[-2]).item(), rel=1e-6)
        assert row["lambda_min"] == pytest.approx(values[0].item(), abs=1e-7 * values[-1].item())
        gradients = [grad(whole.loss)(x, slice(i, i + 5)) for i in range(0, 20, 5)]
        cosines = [abs(g @ top).item() / g.norm().item() for g in gradients]
        assert row["alignment"] == pytest.approx(sum(cosines) / 4, rel=1e-5)
        assert row["frozen_at"] == (0 if row["step"] < 5 else 4)
        assert row["frozen_alignment"] == pytest.approx(abs(frozen @ top).item(), abs=1e-6)
        assert row["frozen_ratio"] == pytest.approx((frozen @ dense @ frozen / values[-1]).item(), abs=1e-6)
        assert row["squared_alignment_1"] == pytest.approx(sum(c**2 for c in cosines) / 4, rel=1e-5)
    # wrong on purpose: an eigenvector that never goes stale
    assert min(row["frozen_alignment"] for row in rows) < 0.99


@pytest.mark.parametrize("killed_at", [1, 3, 6, 8])
def test_resumed_from_its_state_bit_for_bit(whole, killed_at, tmp_path):
    path, state = tmp_path / "rows.jsonl", tmp_path / "state.safetensors"
    first = _Training(drift=True, rho=0.1, path=path).run(0, killed_at)
    save_state(
        state,
        {"model": first.model.state_dict(), "sam": first.optimizer.state_dict(), "rows": first.recorder.state_dict()},
    )
    first.run(killed_at, 9)  # goes on for a while after its state was saved
    second = _Training(drift=True, rho=0.1, path=path)
    saved = load_state(state)
    second.model.load_state_dict(saved["model"])
    second.optimizer.load_state_dict(saved["sam"])
    second.recorder.load_state_dict(saved["rows"])
    second.run(killed_at, 9)
    assert second.recorder.rows == whole.recorder.rows
    assert [json.loads(line) for line in path.read_text().splitlines()] == whole.recorder.rows
    assert CurvatureRecorder(second.landscape, path=path).rows == whole.recorder.rows


def test_resumed_from_its_file(whole, tmp_path):
    """The file alone continues the decay of the first eigenvector; steps taken again replace their rows."""
    path = tmp_path / "deep" / "rows.jsonl"
    points = whole.points
    kept = {"every": 2, "tolerance": 1e-8}

    def recorded(recorder, steps):
        for step in steps:
            recorder.step(step, points[step])
        return recorder

    uncut = recorded(CurvatureRecorder(whole.landscape, **kept), range(9)).rows
    recorded(CurvatureRecorder(whole.landscape, **kept, path=path), range(7))
    with path.open("a") as file:
        file.write('{"step": 8, "lam')  # killed while writing
    resumed = CurvatureRecorder(whole.landscape, **kept, path=path)
    assert resumed.rows == uncut[:4]
    assert path.read_text().endswith("}\n")
    assert recorded(resumed, range(4, 9)).rows == uncut
    assert [json.loads(line) for line in path.read_text().splitlines()] == uncut
    again = recorded(CurvatureRecorder(whole.landscape, **kept, path=path), range(9))  # from the very first step
    assert again.rows == uncut


def test_closed_forms_of_a_quadratic():
    recorder = CurvatureRecorder(_quadratic([5.0, 3.0, 1.0, -2.0, 0.5]), tolerance=1e-10)
    u = torch.tensor([3.0, 0.0, 0.0, 4.0, 0.0], dtype=torch.float64)
    row = recorder.step(0, torch.zeros(5), u)
    expected = {"lambda_1": 5, "lambda_2": 3, "gap": 2, "lambda_min": -2, "alignment": 0.6, "frozen_ratio": 1}
    assert {key: row[key] for key in expected} == pytest.approx(expected, abs=1e-9)
    recorder.freeze(torch.tensor([2.0, 2.0, 0.0, 0.0, 0.0]))
    row = recorder.step(1, torch.zeros(5), u[None])
    assert (row["frozen_at"], row["frozen_alignment"]) == (0, pytest.approx(0.5**0.5))
    assert row["frozen_ratio"] == pytest.approx(0.8)
    assert row["products"] <= 6


def test_rows_of_other_settings():
    quadratic = _quadratic([5.0, 3.0, 1.0])
    x = torch.ones(3)
    assert not {"lambda_2", "gap"} & CurvatureRecorder(quadratic, k=1).step(0, x).keys()
    assert "lambda_min" not in CurvatureRecorder(quadratic, smallest=False).step(0, x)
    every_one = CurvatureRecorder(quadratic, k=3).step(0, x)  # two ends of 3 values overlap
    values = [every_one[key] for key in ("lambda_1", "lambda_2", "lambda_3", "lambda_min")]
    assert values == pytest.approx([5, 3, 1, 1])
    assert CurvatureRecorder(_quadratic([2.0]), k=1).step(0, torch.ones(1))["lambda_min"] == 2
    flat = CurvatureRecorder(_quadratic([0.0, 0.0]), k=1).step(0, torch.zeros(2))
    assert math.isnan(flat["frozen_ratio"])
    assert math.isnan(flat["alignment"])  # no gradient, no direction


def test_not_converged_is_said():
    rough = CurvatureRecorder(_quadratic(torch.linspace(0, 1, 60).tolist()), max_products=4, tolerance=1e-6)
    row = rough.step(0, torch.ones(60))
    assert (row["converged"], row["products"]) == (0, 5)
    assert row["lambda_1_residual"] > 1e-6
    assert row["lambda_1"] < 1


def test_given_perturbations_are_those_of_the_drift():
    valley, x = Valley(), torch.tensor([1.0, 0.3], dtype=torch.float64)
    recorder = CurvatureRecorder(valley, k=1, drift=True, rho=0.2)
    u = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
    row = recorder.step(0, x, u)
    pairs = top_eigenpairs(valley, x, tolerance=1e-10)
    truth = decompose_drift(valley, x, pairs, 0.2, perturbation=u).to_dict()
    assert {key: row[key] for key in truth} == pytest.approx(truth, rel=1e-9)
    one = recorder.step(1, x, u[0])  # one perturbation cannot be that of every minibatch
    assert one["drift_third_norm"] == pytest.approx(decompose_drift(valley, x, pairs, 0.2).norms[2].item())


def test_null_is_what_is_not_finite(tmp_path):
    path = tmp_path / "rows.jsonl"
    CurvatureRecorder(_quadratic([0.0, 0.0]), k=1, path=path).step(0, torch.zeros(2))
    assert json.loads(path.read_text())["frozen_ratio"] is None
    assert math.isnan(CurvatureRecorder(_quadratic([0.0, 0.0]), k=1, path=path).rows[0]["frozen_ratio"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every = 0"),
        ({"k": 3}, r"k = 3 eigenpairs of 2 parameters; expected 1 <= k <= 2"),
        ({"k": 0}, "k = 0"),
        ({"drift": True}, "rho = None"),
        ({"drift": True, "rho": math.inf}, "rho = inf"),
        ({"max_products": 1}, "max_products = 1"),
        ({"tolerance": 0.0}, "tolerance = 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        CurvatureRecorder(Valley(), **settings)


def test_bad_steps():
    recorder, x = CurvatureRecorder(Valley(), every=2), torch.ones(2)
    assert recorder.step(1) is None
    for arguments, message in [
        ((-2, x), "expected a whole number, counted from 0"),
        ((0,), "Valley has no current parameters"),
        ((0, torch.ones(1, 2)), r"the point has shape \(1, 2\)"),
        ((0, x, torch.ones(3)), r"perturbations have shape \(3,\); expected \(2,\) or \(3, 2\)"),
        ((0, x, torch.ones(2, 2)), r"perturbations have shape \(2, 2\)"),
        ((0, x * math.nan), "NaN"),
    ]:
        with pytest.raises(InputError, match=message):
            recorder.step(*arguments)
    assert recorder.rows == []
    with pytest.raises(InputError, match="nothing was measured yet"):
        recorder.freeze()
    for vector in (torch.ones(3), torch.zeros(2), torch.full((2,), math.nan)):
        with pytest.raises(InputError, match="the vector has shape"):
            recorder.freeze(vector)
    with pytest.raises(InputError, match="not a state of a curvature recorder"):
        recorder.load_state_dict({"rows": []})
    with pytest.raises(InputError, match="another landscape"):
        recorder.load_state_dict({"rows": [], "latest": None, "frozen": torch.ones(3), "frozen_at": 0})


def test_damaged_files(tmp_path):
    path = tmp_path / "rows.jsonl"
    CurvatureRecorder(Valley(), path=path).step(0, torch.ones(2))
    beside = tmp_path / "rows.frozen.safetensors"
    save_tensors(beside, {"vector": torch.ones(3), "step": torch.tensor(0)})
    with pytest.raises(InputError, match="does not hold a vector"):
        CurvatureRecorder(Valley(), path=path)
    beside.unlink()
    with pytest.raises(InputError, match="cannot read"):
        CurvatureRecorder(Valley(), path=path)
    for content in ("[]\n", '{"step": 0}\nno json\n', '{"gap": 1}\n', '{"step": 0, "gap": "wide"}\n', "\xff\n"):
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(InputError, match="one row of numbers on each line"):
            CurvatureRecorder(Valley(), path=path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="cannot read"):
        CurvatureRecorder(Valley(), path=path)
    recorder = CurvatureRecorder(Valley(), path=tmp_path / "new.jsonl")
    (tmp_path / "new.jsonl").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        recorder.step(0, torch.ones(2))


def test_steps_must_rise_and_a_failed_measurement_loses_nothing(tmp_path):
    path, x = tmp_path / "rows.jsonl", torch.tensor([1.0, 0.5])
    recorder = CurvatureRecorder(Valley(), path=path)
    for step in range(3):
        recorder.step(step, x)
    with pytest.raises(InputError, match="step 0 comes after step 2; count steps through all epochs"):
        recorder.step(0, x)
    again = CurvatureRecorder(Valley(), path=path)  # one that goes on from before the last row
    with pytest.raises(InputError, match=r"not finite|NaN"):
        again.step(1, x * math.nan)
    assert len(path.read_text().splitlines()) == 3
    again.step(1, x)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 1]
    with pytest.raises(InputError, match=r"step = 1\.5; expected a whole number"):
        again.step(1.5, x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 1}, r"another k \(2, now 1\)"),
        ({"tolerance": 1e-5}, r"another tolerance \(0.001, now 1e-05\)"),
        ({"smallest": False}, "another smallest"),
        ({"seed": 1}, r"another seed \(0, now 1\)"),
        ({"drift": True, "rho": 0.1}, "another rho"),
        ({"landscape": _quadratic([3.0, 1.0])}, r"another landscape \(Valley, .*, now Quadratic, "),
    ],
)
def test_rows_of_other_settings_are_not_continued(change, message, tmp_path):
    path, x = tmp_path / "rows.jsonl", torch.tensor([1.0, 0.5])
    first = CurvatureRecorder(Valley(), path=path)
    first.step(0, x)
    before = path.read_bytes()
    landscape = change.pop("landscape", Valley())
    other = CurvatureRecorder(landscape, path=path, **change)
    assert len(other.rows) == 1  # reading is allowed
    with pytest.raises(InputError, match=message):
        other.step(1, x)
    with pytest.raises(InputError, match=message):
        CurvatureRecorder(landscape, **change).load_state_dict(first.state_dict())
    assert path.read_bytes() == before
    CurvatureRecorder(Valley(), path=path, every=3).step(3, x)  # the spacing is no setting of a row


def test_rows_that_do_not_say_their_settings_are_not_continued(tmp_path):
    path, x = tmp_path / "rows.jsonl", torch.tensor([1.0, 0.5])
    CurvatureRecorder(Valley(), path=path).step(0, x)
    save_tensors(tmp_path / "rows.frozen.safetensors", {"vector": x.double(), "step": torch.tensor(0)})
    with pytest.raises(InputError, match="do not say what they were measured with"):
        CurvatureRecorder(Valley(), path=path).step(1, x)

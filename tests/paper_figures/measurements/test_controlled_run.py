"""One run: its controls are what they say, its numbers those of plain torch, its record is kept."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import load_data
from eigensam.paper_figures.measurements import controlled_run, scale_free
from eigensam.paper_figures.measurements.control_plan import Condition, Pair, used_data
from eigensam.paper_figures.measurements.controlled_run import kept_run, run_condition

PAIR = Pair("tiny", "digits", "mlp32", train=120, test=50, pool=2, batch_size=40, epochs=2, looks=1)
DATA = used_data(PAIR, load_data("digits"))
EIGEN = Condition("eigen-sam", 1.0, 2, "minibatch")


def _steps(condition, pair=PAIR, seed=0, *, epochs=2):
    """The training itself, and what its optimizer knows after each step."""
    training = controlled_run._training(pair, condition, seed, DATA)
    seen = []

    def look(step, loss):
        v = getattr(training.optimizer, "eigenvector", None)
        seen.append((loss, None if v is None else v.clone()))

    for _ in range(epochs):
        training.epoch(look)
    return training, seen


def test_all_conditions_share_start_and_minibatches():
    """The first minibatch's loss is that of one network on one minibatch; another seed has another."""
    conditions = [Condition("sgd"), Condition.of_length(1.4), EIGEN, replace(EIGEN, direction="random")]
    first = {_steps(each, epochs=1)[1][0][0] for each in conditions}
    assert len(first) == 1
    assert _steps(EIGEN, seed=1, epochs=1)[1][0][0] not in first


def test_the_rate_and_momentum_are_those_of_the_pair():
    """Two epochs of SGD against torch's own loop."""
    pair = replace(PAIR, momentum=0.5, lr=0.2)
    training, _ = _steps(Condition("sgd"), pair)
    twin = controlled_run._training(pair, Condition("sgd"), 0, DATA).model
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.2, momentum=0.5, weight_decay=5e-5)
    for epoch in range(2):
        torch.manual_seed(epoch)
        for rows in torch.randperm(120).split(40):
            optimizer.zero_grad()
            cross_entropy(twin(DATA.train_inputs[rows]), DATA.train_targets[rows]).backward()
            optimizer.step()
    for ours, theirs in zip(training.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def _drawn(seed, step, model):
    digest = hashlib.sha256(f"random eigenvector {seed} {step}".encode()).digest()
    numbers = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    r = torch.cat([torch.randn(p.shape, generator=numbers).flatten() for p in model.parameters()])
    return r / r.norm()


def test_a_random_vector_is_drawn_at_each_refresh():
    training, seen = _steps(replace(EIGEN, direction="random"), seed=3)
    vectors = [v for _, v in seen]
    for step, v in enumerate(vectors):
        assert abs(float(v @ _drawn(3, step - step % 2, training.model))) == pytest.approx(1.0, abs=1e-4)
    assert abs(float(vectors[0] @ vectors[2])) < 0.2  # wrong on purpose: drawn once for all


def test_a_random_vector_knows_nothing_of_the_first_weights():
    """The seeds that torch draws weights and minibatches with give related numbers: wrong on purpose."""
    seeds = range(6)
    models = [controlled_run._training(PAIR, EIGEN, seed, DATA).model for seed in seeds]
    starts = [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models]
    bound = 4 / len(starts[0]) ** 0.5
    for seed, model, start in zip(seeds, models, starts, strict=True):
        assert abs(float(_drawn(seed, 0, model) @ start / start.norm())) < bound
    numbers = torch.Generator().manual_seed(0)
    related = torch.cat([torch.randn(p.shape, generator=numbers).flatten() for p in models[0].parameters()])
    assert abs(float(related @ starts[0] / (related.norm() * starts[0].norm()))) > bound


def _hessian(model, batches):
    parameters = dict(model.named_parameters())
    x = torch.cat([p.detach().flatten() for p in parameters.values()])

    def loss(flat):
        parts = torch.split(flat, [p.numel() for p in parameters.values()])
        values = {name: part.view_as(p) for (name, p), part in zip(parameters.items(), parts, strict=True)}
        values |= {name: buffer.clone() for name, buffer in model.named_buffers()}
        losses = [cross_entropy(torch.func.functional_call(model, values, (a,)), b) for a, b in batches]
        return torch.stack(losses).mean()

    return torch.autograd.functional.hessian(loss, x)


def _batches(size, rows=slice(None)):
    return list(zip(DATA.train_inputs[rows].split(size), DATA.train_targets[rows].split(size), strict=True))


def _rows(words):
    digest = hashlib.sha256(f"partition {words}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return torch.randperm(120, generator=generator)


@pytest.mark.parametrize("model", ["mlp32", "mlp32-bn"])
def test_an_accurate_vector_is_that_of_the_whole_loss(model):
    """At the first refresh, where the network is at its start; the minibatch's vector is another one."""
    pair = replace(PAIR, model=model)
    start = controlled_run._training(pair, EIGEN, 0, DATA).model.train()
    values, vectors = torch.linalg.eigh(_hessian(start, _batches(40, _rows("of the eigenvector 0 0"))))
    whole, minibatch = (
        _steps(replace(EIGEN, direction=each), pair, epochs=1)[1][0][1] for each in ("whole", "minibatch")
    )
    quotient = float(whole @ (vectors @ (values * (vectors.T @ whole))))
    assert quotient == pytest.approx(float(values[-1]), rel=1e-3)  # a cold start, where the spectrum is crowded
    assert abs(float(minibatch @ vectors[:, -1])) < abs(float(whole @ vectors[:, -1]))


@pytest.mark.parametrize("model", ["mlp32", "mlp32-bn"])
def test_numbers_are_those_of_dense_matrices(model):
    pair = replace(PAIR, model=model, partitions=2)
    record = run_condition(pair, EIGEN, 0, DATA, (1.0,))
    trained = _steps(EIGEN, pair)[0].model
    batches = _batches(40, torch.cat([_rows(f"{i} of the measurements 0") for i in range(2)]))
    values, vectors = torch.linalg.eigh(_hessian(trained.train(), batches))
    assert record["lambda_1"] == pytest.approx(float(values[-1]), rel=2e-3)
    in_eval = _hessian(trained.eval(), _batches(120))
    assert record["lambda_1_eval"] == pytest.approx(float(torch.linalg.eigvalsh(in_eval)[-1]), rel=2e-3)
    assert (record["lambda_1"] == pytest.approx(record["lambda_1_eval"], rel=5e-2)) == (model == "mlp32")
    with torch.no_grad():
        outputs = trained(DATA.test_inputs)
    assert record["test_accuracy"] == pytest.approx(float((outputs.argmax(1) == DATA.test_targets).float().mean()))
    cosines = []
    trained.train()
    for a, b in batches:
        g = torch.cat(
            [part.flatten() for part in torch.autograd.grad(cross_entropy(trained(a), b), list(trained.parameters()))]
        )
        cosines.append(abs(float(g @ vectors[:, -1] / g.norm())))
    assert record["looks"][-1]["cos_g_v1"] == pytest.approx(sum(cosines) / 6, rel=5e-2)


def test_a_rescaled_eigenvalue_is_free_of_scale():
    """Of the same function with weights three times as long: its eigenvalue is another one, the rescaled one is not."""
    pair = replace(PAIR, model="mlp32-bn")
    training, _ = _steps(EIGEN, pair)
    model, first = training.model.train(), training.initial
    found = []
    for factor in (1.0, 3.0):
        with torch.no_grad():
            model[1].weight.mul_(factor)
            model[1].bias.mul_(factor)
        whole = controlled_run._landscapes(model, DATA, pair, 0)[1]
        found.append((controlled_run._rescaled(model, first, whole, None), float(controlled_run._top(whole).values[0])))
    assert found[0][0] == pytest.approx(found[1][0], rel=5e-3)
    assert found[0][1] > 1.2 * found[1][1]  # wrong on purpose
    with torch.no_grad():
        factor = first["1.weight"].norm() / model[1].weight.norm()
        model[1].weight.mul_(factor)
        model[1].bias.mul_(factor)
    dense = torch.linalg.eigvalsh(_hessian(model, _batches(40, _rows("0 of the measurements 0"))))[-1]
    assert found[0][0] == pytest.approx(float(dense), rel=5e-3)


def test_weights_that_do_matter_are_not_rescaled(monkeypatch):
    """Without batch norm it is the eigenvalue itself; where the loss changes, nothing is measured."""
    record = run_condition(PAIR, EIGEN, 0, DATA)
    assert record["lambda_1_rescaled"] == record["lambda_1"]
    monkeypatch.setattr(scale_free, "_before_batch_norm", lambda model: [("4", model[4])])
    with pytest.raises(InputError, match=r"rescaled weights change the loss from .*; they must precede batch norms"):
        run_condition(replace(PAIR, model="mlp32-bn", epochs=8), EIGEN, 0, DATA)


def _compositions(batches):
    return {frozenset(map(tuple, inputs.flatten(1).tolist())) for inputs, _ in batches}


def test_measurements_see_minibatches_that_nothing_was_trained_on(monkeypatch):
    """With batch norm each partition has a loss of its own: of the measurement, of v, and of each epoch."""
    pair = replace(PAIR, model="mlp32-bn", partitions=2)
    condition = replace(EIGEN, direction="whole")
    passes, original = [], controlled_run._loss
    monkeypatch.setattr(controlled_run, "_loss", lambda model, x, y: passes.append((x, y)) or original(model, x, y))
    training, _ = _steps(condition, pair, seed=1)
    stepped = [(x, y) for epoch in range(2) for x, y in training.minibatches.epoch(epoch)]
    landscape, whole = controlled_run._landscapes(training.model, DATA, pair, 1)
    measured = list(landscape.batches)
    of_v, of_steps, of_measurements = map(_compositions, (passes, stepped, measured))
    assert (len(of_v), len(of_steps), len(of_measurements)) == (9, 6, 6)  # three refreshes in six steps
    assert not of_v & of_measurements
    assert not of_steps & of_measurements
    assert not of_v & of_steps
    assert whole is landscape
    counts = torch.stack([torch.bincount(y, minlength=10) for _, y in measured])
    assert (counts - 4).abs().amax(1).min() > 0  # wrong on purpose: cut in order each class has four examples in each
    again = controlled_run._landscapes(_steps(Condition("sgd"), pair, seed=1)[0].model, DATA, pair, 1)[0]
    assert _compositions(again.batches) == of_measurements  # all conditions of a seed are measured alike
    other = controlled_run._landscapes(training.model, DATA, pair, 2)[0]
    assert not _compositions(other.batches) & of_measurements


@pytest.mark.parametrize("normalize", [False, True])
def test_the_length_is_that_of_the_perturbations(normalize, monkeypatch):
    """Measured by what the parameters move in each step."""
    lengths = []
    condition = replace(EIGEN, normalize=normalize)
    original = controlled_run.EigenSAM.ascent

    def seen(self, g):
        u = original(self, g)
        lengths.append(float(u.norm()))
        return u

    monkeypatch.setattr(controlled_run.EigenSAM, "ascent", seen)
    training = controlled_run._training(PAIR, condition, 0, DATA)
    steps = controlled_run._Steps(training.optimizer, condition)
    for _ in range(PAIR.epochs):
        training.epoch(steps.take)
    mean = (sum(length**2 for length in lengths) / len(lengths)) ** 0.5
    assert steps.means()["length"] == pytest.approx(mean, rel=1e-5)
    assert (mean == pytest.approx(1.0, rel=1e-5)) == normalize
    assert mean < 2**0.5  # of the upper bound


def test_records_are_kept_and_bound_to_code_and_settings(tmp_path, monkeypatch):
    sgd = Condition("sgd")
    first = kept_run(tmp_path, "code", PAIR, sgd, 0, DATA, ())
    (path,) = tmp_path.iterdir()
    assert path.name == "tiny-sgd-seed0.json"
    assert first["length"] == 0.0
    calls = []
    monkeypatch.setattr(controlled_run, "run_condition", lambda *run: calls.append(run) or {"fake": len(calls)})
    assert kept_run(tmp_path, "code", PAIR, sgd, 0, DATA, ()) == first
    assert kept_run(tmp_path, "code", replace(PAIR, name="Tiny", seeds=3), sgd, 0, DATA, ()) == first  # as it is called
    assert not calls
    assert kept_run(tmp_path, "edited code", PAIR, sgd, 0, DATA, ()) == {"fake": 1}
    assert kept_run(tmp_path, "code", replace(PAIR, lr=0.2), sgd, 0, DATA, ()) == {"fake": 2}
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "result": {"fake": 3}}))
    with pytest.raises(InputError, match=r"tiny-sgd-seed0\.json is damaged: its result was changed after"):
        kept_run(tmp_path, "code", replace(PAIR, lr=0.2), sgd, 0, DATA, ())


def test_a_training_that_fails_names_itself(tmp_path):
    with pytest.raises(InputError, match="tiny, sgd, seed 0: the loss became"):
        kept_run(tmp_path, "code", replace(PAIR, lr=1e30, epochs=5), Condition("sgd"), 0, DATA, ())
    assert not list(tmp_path.iterdir())


def test_batch_norm_is_noticed():
    assert controlled_run._has_batch_norm(nn.Sequential(nn.Sequential(nn.BatchNorm2d(1))))
    assert not controlled_run._has_batch_norm(nn.Sequential(nn.LayerNorm(1)))

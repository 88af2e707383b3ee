"""Micro-batches of m-SAM: what each one sees, and how a training makes them."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import MSAM, SAM, MSAMSettings, SAMSettings, TrainSettings
from eigensam.optim.training.training import Training

from .transcriptions import BATCHES, RHO, SGD, flat, loss_of, network


def test_each_part_has_its_own_perturbation():
    model, visited = network(), []
    optimizer = MSAM(model.parameters(), rho=RHO, lr=0.1)
    before = flat(model)

    def closure(batch):
        return lambda: visited.append(flat(model) - before) or loss_of(model, batch)()

    losses = [loss_of(model, batch)().item() for batch in BATCHES[:3]]
    loss = optimizer.step([closure(batch) for batch in BATCHES[:3]])
    assert loss.item() == pytest.approx(sum(losses) / 3)
    assert len(visited) == 6
    assert all(not shift.any() for shift in visited[::2])
    assert [shift.norm().item() for shift in visited[1::2]] == pytest.approx([RHO] * 3, rel=1e-12)
    assert (visited[1] - visited[3]).norm() > 0.1 * RHO


def test_buffers_and_masks_go_on_from_part_to_part():
    """Running statistics move once for each part, dropout draws each part's mask once; SAM does the same."""
    results = {}
    for kind in (MSAM, SAM):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 20), nn.BatchNorm1d(20), nn.Dropout(0.5), nn.Linear(20, 3)).double()
        masks = []
        model[2].register_forward_hook(lambda _m, _i, out, masks=masks: masks.append((out == 0).tolist()))
        optimizer = kind(model.parameters(), rho=RHO, lr=0.1)
        optimizer.step([loss_of(model, batch) for batch in BATCHES[:2]])
        results[kind] = masks, model[1].running_mean.clone(), torch.rand(3), model[1].num_batches_tracked.item()
    (ours, mean, drawn, count), (sams, other, then, same) = results.values()
    assert ours[0] == ours[1] != ours[2] == ours[3]
    assert sams[0] == sams[2] != sams[1] == sams[3]
    assert [ours[0], ours[2]] == sams[:2]
    assert torch.equal(mean, other)
    assert torch.equal(drawn, then)
    assert count == same == 2


def test_a_failing_part_leaves_the_parameters():
    model, calls = network(), []
    optimizer = MSAM(model.parameters(), rho=RHO, nonfinite="skip", **SGD)
    before = flat(model)

    def failing():
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("interrupted")
        return loss_of(model, BATCHES[0])()

    with pytest.raises(RuntimeError, match="interrupted"):
        optimizer.step([failing, failing, failing])
    assert torch.equal(flat(model), before)
    optimizer.zero_grad()
    optimizer.step([loss_of(model, BATCHES[0]), lambda: loss_of(model, BATCHES[1])() * float("inf")])
    assert torch.equal(flat(model), before)
    assert optimizer.skipped == 1


def test_gradients_made_before():
    """Of one minibatch they are its first pass; of several together they are nobody's."""
    model, twin = network(), network()
    optimizer, plain = (MSAM(m.parameters(), rho=RHO, **SGD) for m in (model, twin))
    loss_of(model, BATCHES[0])().backward()
    optimizer.step(loss_of(model, BATCHES[0]))
    plain.step(loss_of(twin, BATCHES[0]))
    assert torch.equal(flat(model), flat(twin))
    closures = [loss_of(model, batch) for batch in BATCHES[:2]]
    optimizer.zero_grad()
    ((closures[0]() + closures[1]()) / 2).backward()
    with pytest.raises(InputError, match="each of them needs its own; call zero_grad"):
        optimizer.step(closures)
    assert torch.equal(flat(model), flat(twin))


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_a_training_splits_its_minibatches(digits, micro_batches):
    data = dataclasses.replace(digits, train_inputs=digits.train_inputs[:128], train_targets=digits.train_targets[:128])
    settings = TrainSettings(MSAMSettings(micro_batches=micro_batches), epochs=1, batch_size=32)
    run, by_hand = (Training(settings, data, torch.device("cpu")) for _ in range(2))
    sam = Training(dataclasses.replace(settings, optimizer=SAMSettings()), data, torch.device("cpu"))
    run.epoch(lambda step, loss: None)
    sam.epoch(lambda step, loss: None)
    model, optimizer = by_hand.model, MSAM(by_hand.model.parameters(), rho=0.1, momentum=0.9, weight_decay=5e-5, lr=0.1)
    for step, (inputs, targets) in enumerate(list(by_hand.minibatches.epoch(0))):
        optimizer.param_groups[0]["lr"] = 0.05 * (
            1 + torch.cos(torch.tensor(torch.pi * step / 4, dtype=torch.float64)).item()
        )
        size = 32 // micro_batches
        optimizer.step([
            lambda x=inputs[i : i + size], y=targets[i : i + size]: cross_entropy(model(x), y)
            for i in range(0, 32, size)
        ])  # fmt: skip
    torch.testing.assert_close(flat(run.model), flat(model), rtol=1e-6, atol=1e-7)
    assert torch.equal(flat(run.model), flat(sam.model)) == (micro_batches == 1)

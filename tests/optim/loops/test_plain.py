"""Loops of plain PyTorch: each script of the page trains what SAM written down by hand does, and SGD does not."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, update_bn

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM

from .by_hand import TIGHT, assert_trained_alike, flat, sam_by_hand
from .page import run

SCALE = 2.0**10  # of the script with float16, whose small gradients would be rounded otherwise


def _loss(model, x, y, dtype=None):
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        return cross_entropy(model(x), y) * (SCALE if dtype == torch.float16 else 1.0)


def _by_hand(title, *, dtype=None, rho=0.1, lr=0.1, still=lambda model: (), left_out=(), **options):
    """The model that the script trains, trained by hand: with radius rho, and with 0."""
    trained = []
    for radius in (rho, 0.0):
        start = run(title, before="optimizer = ")
        model = start["model"]
        batches = [batch for i, batch in enumerate(start["batches"]) if i not in left_out]
        losses = [lambda x=x, y=y, model=model: _loss(model, x, y, dtype) for x, y in batches]
        sam_by_hand(model, losses, rho=radius, lr=lr, still=still(model), **options)
        trained.append(model)
    return trained


@pytest.mark.parametrize(
    ("title", "options"),
    [
        ("The closure", {}),
        ("Two halves", {}),
        ("bf16", {"dtype": torch.bfloat16}),
        ("fp16", {"dtype": torch.float16, "lr": 0.1 / SCALE, "clip": [None] * 6 + [0.5 * SCALE] * 4}),
        ("Clipping", {"clip": 0.2}),
        ("Accumulation", {}),  # the truth sees the batch as a whole
        ("Frozen parameters, and norm layers that are not perturbed", {"still": lambda m: list(m[1].parameters())}),
        ("torch.compile", {}),
        ("Averaged weights", {}),
        ("Losses that are not finite", {"left_out": {4}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_script_trains_as_by_hand(title, options):
    found = run(title)["model"]
    if "Frozen" in title:  # it freezes just before it makes the optimizer
        options = {**options, "still": lambda m: (m[3].bias.requires_grad_(False), *m[1].parameters())}
    truth, sgd = _by_hand(title, **options)
    assert_trained_alike(found, truth, sgd, narrow="dtype" in options)
    for a, b in zip(found.buffers(), truth.buffers(), strict=True):
        torch.testing.assert_close(a, b, **TIGHT)


def test_bf16_is_seen():
    """The script's passes are narrow: training in float32 comes to something else."""
    found = run("bf16")["model"]
    truth, _ = _by_hand("bf16")
    assert (flat(found) - flat(truth)).abs().max() > 1e-4


def test_clipping_and_frozen_parameters_are_seen():
    """Without them the training comes to something else."""
    for title, still in (("Clipping", ()), ("Frozen parameters, and norm layers that are not perturbed", ())):
        found = run(title)["model"]
        truth, _ = _by_hand(title, still=lambda _, still=still: still)
        assert (flat(found) - flat(truth)).abs().max() > 1e-4


def test_schedules():
    """Cosine by its formula; the radius follows it."""
    names = run("Schedules")
    cosine = [0.01 + 0.09 * (1 + torch.cos(torch.tensor(torch.pi * t / 10)).item()) / 2 for t in range(10)]
    radii = [0.05 + 0.15 * (lr - 0.01) / 0.09 for lr in cosine]
    truth, sgd = _by_hand("Schedules", rho=radii, lr=cosine)
    assert_trained_alike(names["model"], truth, sgd)
    constant, _ = _by_hand("Schedules", rho=0.2, lr=cosine)
    assert (flat(constant) - flat(truth)).abs().max() > 1e-4


def test_averaged_weights():
    """The average by its recursion; running statistics by hand in a loop over the data."""
    found = run("Averaged weights")["averaged"]
    start = run("Averaged weights", before="averaged = ")
    model, batches = start["model"], start["batches"]
    losses = [lambda x=x, y=y: _loss(model, x, y) for x, y in batches]
    first, *others = sam_by_hand(model, losses, rho=0.1, lr=0.1)
    average = first
    for point in others:
        average = 0.9 * average + 0.1 * point
    torch.testing.assert_close(flat(found), average, **TIGHT)
    assert (flat(model) - average).abs().max() > 1e-3
    plain = found.module[0]
    with torch.no_grad():
        means = torch.stack([plain(x).mean(0) for x, _ in batches]).mean(0)
    torch.testing.assert_close(found.module[1].running_mean, means, **TIGHT)


def test_checkpoint():
    """As the same script that does not stop, bit for bit."""
    stopped = run("Checkpoints")
    names = run("Checkpoints", before="optimizer, radius = make()")
    optimizer, radius = names["make"]()
    for x, y in names["batches"]:
        optimizer.step(lambda x=x, y=y: _loss(names["model"], x, y))
        radius.step()
    assert torch.equal(flat(stopped["model"]), flat(names["model"]))
    assert stopped["optimizer"].eigenvalue == optimizer.eigenvalue
    assert stopped["optimizer"].steps == optimizer.steps == 10
    assert stopped["optimizer"].param_groups[0]["rho"] == optimizer.param_groups[0]["rho"]


def test_swa_after_copies():
    """An average taken in a step hook is that of trained weights, never of perturbed ones."""
    start = run("Averaged weights", before="averaged = ")
    model, (x, y) = start["model"], start["batches"][0]
    averaged = AveragedModel(model)
    optimizer = SAM(model.parameters(), rho=5.0, lr=0.1)
    optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(model))
    optimizer.step(lambda: _loss(model, x, y))
    assert torch.equal(flat(averaged), flat(model))
    update_bn([(x, y)], averaged)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_buffers_of_copies_move_once(copied):
    """A model and its optimizer, copied together after steps that they have taken."""
    start = run("Averaged weights", before="averaged = ")
    model, (x, y) = start["model"], start["batches"][0]
    optimizer = SAM(model.parameters(), rho=0.1, lr=0.1)
    optimizer.step(lambda: _loss(model, x, y))
    twin, other = copied((model, optimizer))
    other.step(lambda: _loss(twin, x, y))
    assert twin[1].num_batches_tracked == 2
    optimizer.step(lambda: _loss(model, x, y))
    assert torch.equal(flat(twin), flat(model))
    assert torch.equal(twin[1].running_var, model[1].running_var)


# -- what every loop must not do: the table at the end of the page


class _Loop:
    """A model with batches of its own for what is refused."""

    def __init__(self, kind=SAM, *layers):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 6), *layers, nn.Tanh(), nn.Linear(6, 3))
        self.data = [(torch.randn(8, 4), torch.randint(3, (8,))) for _ in range(2)]
        self.optimizer = kind(self.model.parameters(), rho=0.1, lr=0.1)

    def loss(self, i=0):
        return cross_entropy(self.model(self.data[i][0]), self.data[i][1])

    def refused(self, match, call):
        before = copy.deepcopy(self.model)
        with pytest.raises(InputError, match=match):
            call()
        assert torch.equal(flat(before), flat(self.model))


def test_closures_without_a_loss_are_refused():
    loop = _Loop()
    for closure in (lambda: None, lambda: loop.loss().item(), lambda: loop.loss().detach()):
        loop.refused("the closure must return the minibatch loss", lambda closure=closure: loop.optimizer.step(closure))


def test_gradients_of_other_minibatches_are_refused():
    loop = _Loop()
    loop.loss(1).backward()
    loop.refused("gradients made before step", lambda: loop.optimizer.step(loop.loss))


def test_gradients_of_the_same_loss_take_the_place_of_the_first_pass():
    given, plain = _Loop(), _Loop()
    given.loss().backward()
    given.optimizer.step(given.loss)
    plain.optimizer.step(plain.loss)
    torch.testing.assert_close(flat(given.model), flat(plain.model), **TIGHT)


def test_steps_without_a_first_one_are_refused():
    loop = _Loop()
    loop.loss().backward()
    loop.refused("needs the gradient at two points", loop.optimizer.step)
    loop.refused("needs the gradient at two points", loop.optimizer.second_step)
    loop.refused("not perturbed", loop.optimizer.restore)


def test_a_second_first_step_is_refused():
    loop = _Loop()
    loop.loss().backward()
    loop.optimizer.first_step()
    loop.loss().backward()
    loop.refused("has had no second_step yet", loop.optimizer.first_step)


@pytest.mark.parametrize("backward", [False, True])
def test_a_closure_between_the_halves_is_refused(backward):
    loop = _Loop()
    loop.loss().backward()
    loop.optimizer.first_step()
    loop.loss().backward()
    calls = {False: loop.loss, True: lambda: loop.loss().backward()}
    with pytest.raises(InputError, match="has had no second_step yet"):
        loop.optimizer.step(calls[backward])


def test_a_scaled_loss_is_refused():
    loop = _Loop()
    scaler = torch.amp.GradScaler("cpu")
    loop.refused("scaled its loss", lambda: loop.optimizer.step(lambda: scaler.scale(loop.loss())))


def test_gradients_that_are_unscaled_before_the_first_step_are_refused():
    """The scaler would take those of the second pass for unscaled, and the step would be as many times too long."""
    loop, scaler = _Loop(), torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaler.scale(loop.loss()).backward()
    scaler.unscale_(loop.optimizer)
    loop.refused(r"unscale_\(optimizer\) was called before", lambda: loop.optimizer.first_step(scaler=scaler))
    loop.optimizer.first_step()  # which cannot know
    scaler.scale(loop.loss()).backward()
    loop.optimizer.restore()
    loop.refused("only one half of the step was told", lambda: scaler.step(loop.optimizer))
    assert not hasattr(loop.optimizer, "grad_scale")  # which the scaler's next step would multiply


def test_a_second_half_that_is_not_told_of_the_scaler_is_refused():
    loop, scaler = _Loop(), torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaler.scale(loop.loss()).backward()
    loop.optimizer.first_step(scaler=scaler)
    scaler.scale(loop.loss()).backward()
    loop.optimizer.restore()
    loop.refused("only one half of the step was told", loop.optimizer.step)
    loop.optimizer.second_step(scaler=scaler)
    scaler.update()


def test_an_eigenvector_that_is_due_is_asked_for():
    loop = _Loop(EigenSAM)
    assert loop.optimizer.due
    loop.loss().backward()
    loop.refused("call refresh", loop.optimizer.first_step)
    loop.optimizer.refresh(loop.loss)
    loop.optimizer.first_step()


@pytest.mark.parametrize("layers", [(), (nn.Dropout(0.5),)], ids=["", "dropout"])
def test_hooks_before_the_step_see_no_gradients(layers):
    """Clipping there has no effect, nor on what the last step left; after backward it clips.

    With dropout nobody could tell clipped gradients of the last step from those of the closure.
    """

    def clip(optimizer, *_):
        nn.utils.clip_grad_norm_(optimizer.parameters(), 0.01)

    def trained(register):
        loop = _Loop(SAM, *layers)
        if register:
            getattr(loop.optimizer, register)(clip)
        for i in (0, 1, 0):
            loop.optimizer.step(lambda i=i: loop.loss(i))
        return flat(loop.model)

    nowhere = trained(None)
    assert torch.equal(nowhere, trained("register_step_pre_hook"))
    assert not torch.equal(nowhere, trained("register_after_backward_hook"))


@pytest.mark.parametrize("halves", [False, True])
def test_dropout_masks(halves):
    """The same in both passes of a closure; others in the second half."""
    dropout, masks = nn.Dropout(0.5), []
    loop = _Loop(SAM, dropout)
    dropout.register_forward_hook(lambda _module, _inputs, output: masks.append(output == 0))
    if halves:
        loop.loss().backward()
        loop.optimizer.first_step()
        loop.loss().backward()
        loop.optimizer.second_step()
    else:
        loop.optimizer.step(loop.loss)
    assert len(masks) == 2
    assert torch.equal(*masks) == (not halves)

"""Hugging Face's Trainer: the scripts of the page train what SAM written down by hand does, and SGD does not."""

import copy

import pytest
import torch

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM

from .by_hand import TIGHT, assert_trained_alike, flat, sam_by_hand
from .page import quiet, run

for package in ("transformers", "accelerate"):
    with quiet():
        pytest.importorskip(package, reason=f"{package} is not installed, which these loops need")

SAM_SCRIPT, EIGEN_SAM_SCRIPT = "Hugging Face Trainer", "Hugging Face Trainer (2)"


def _rates(count):
    """The Trainer's default schedule: linear to 0."""
    return [0.1 * (1 - i / count) for i in range(count)]


class _Seen:
    """The Trainer of a script, and the minibatches that it has trained on, in its order."""

    def __init__(self, script, make=None, monkeypatch=None, **changed):
        self.names = run(script, before="trainer = ")
        self.model, self.start = self.names["model"], copy.deepcopy(self.names["model"])
        arguments = self.names["arguments"]
        for name, value in changed.items():
            setattr(arguments, name, value)
        self.optimizer = self.names["optimizer"] if make is None else make(self.model.parameters())
        data = self.names["data"]
        self.batches = seen = []

        class Trainer(self.names["SharpnessAwareTrainer"]):
            def training_step(self, model, inputs, num_items_in_batch=None):
                seen.append({name: value.clone() for name, value in inputs.items()})
                return super().training_step(model, inputs, num_items_in_batch)

        self.trainer = Trainer(self.model, arguments, train_dataset=data, optimizers=(self.optimizer, None))

    def train(self, **options):
        with quiet():
            self.trainer.train(**options)
        return self

    def losses(self, model, wrap=lambda loss: loss):
        return [lambda batch=batch: wrap(lambda: model(**batch).loss) for batch in self.batches]

    def truths(self, wrap=lambda loss: loss(), **options):
        trained = []
        for rho in (0.1, 0.0):
            model = copy.deepcopy(self.start)
            rates = _rates(len(self.batches))
            sam_by_hand(model, self.losses(model, wrap), rho=rho, lr=rates, **options)
            trained.append(model)
        return trained


def test_script_trains_as_by_hand():
    """Clipping at 0.5 acts on the gradient that is stepped along: without it another training comes out."""
    seen = _Seen(SAM_SCRIPT).train()
    assert len(seen.batches) == 8
    assert_trained_alike(run(SAM_SCRIPT)["model"], *seen.truths(clip=0.5))
    assert_trained_alike(seen.model, *seen.truths(clip=0.5))
    unclipped, _ = seen.truths()
    assert (flat(unclipped) - flat(seen.model)).abs().max() > 1e-3


def test_eigen_sam_script_trains_as_in_a_plain_loop():
    seen = _Seen(EIGEN_SAM_SCRIPT).train()
    trained = []
    for alpha in (0.2, 0.0):
        model = copy.deepcopy(seen.start).train()
        optimizer = EigenSAM(model.parameters(), rho=0.1, alpha=alpha, refresh_every=4, lr=0.1)
        optimizer.register_after_backward_hook(
            lambda optimizer: torch.nn.utils.clip_grad_norm_(optimizer.parameters(), 0.5)
        )
        for loss, rate in zip(seen.losses(model, lambda loss: loss()), _rates(8), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step(loss)
        trained.append(model)
    assert_trained_alike(run(EIGEN_SAM_SCRIPT)["model"], *trained)
    assert seen.optimizer.eigenvalue == pytest.approx(optimizer.eigenvalue, rel=0.5)


def test_bf16():
    seen = _Seen(SAM_SCRIPT)
    # The Trainer asks Accelerate when it is made; here it is told later.
    narrow = torch.autocast("cpu", dtype=torch.bfloat16)
    seen.trainer.compute_loss_context_manager = lambda: narrow
    seen.train()

    def wrap(loss):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return loss()

    assert_trained_alike(seen.model, *seen.truths(wrap, clip=0.5), narrow=True)


def test_accumulation_is_refused():
    seen = _Seen(SAM_SCRIPT, gradient_accumulation_steps=2)
    with pytest.raises(InputError, match=r"has had no second_step yet.*step\(\[closure"):
        seen.train()
    assert torch.equal(flat(seen.model), flat(seen.start))


def test_a_trainer_that_knows_nothing_of_it_is_refused():
    from transformers import Trainer

    seen = _Seen(SAM_SCRIPT)
    trainer = Trainer(
        seen.model, seen.names["arguments"], train_dataset=seen.names["data"], optimizers=(seen.optimizer, None)
    )
    with pytest.raises(InputError, match="needs the gradient at two points"), quiet():
        trainer.train()
    assert torch.equal(flat(seen.model), flat(seen.start))


def test_an_eigenvector_that_is_due_is_asked_for():
    seen = _Seen(SAM_SCRIPT, make=lambda parameters: EigenSAM(parameters, lr=0.1))
    with pytest.raises(InputError, match=r"call refresh\(closure\) before first_step"):
        seen.train()


@pytest.mark.parametrize("kind", [SAM, EigenSAM])
def test_checkpoints(kind):
    """The Trainer's own files: a training that goes on from one is the same, bit for bit."""
    script = SAM_SCRIPT if kind is SAM else EIGEN_SAM_SCRIPT

    def make(parameters):
        own = {"refresh_every": 3} if kind is EigenSAM else {}
        return kind(parameters, torch.optim.AdamW, rho=0.1, lr=0.01, **own)

    whole = _Seen(script, make, save_strategy="steps", save_steps=4).train()
    again = _Seen(script, make, save_strategy="no").train(resume_from_checkpoint="out/checkpoint-4")
    assert len(again.batches) == 4
    assert torch.equal(flat(again.model), flat(whole.model))
    torch.testing.assert_close(flat(whole.model), flat(again.model), **TIGHT)
    assert not torch.equal(flat(whole.model), flat(whole.start))

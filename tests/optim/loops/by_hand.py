"""SAM written down by hand, without an optimizer: what every training loop must come to."""

from itertools import cycle

import torch

TIGHT = {"rtol": 1e-5, "atol": 1e-6}  # float32: sums in other orders, over some ten steps
NARROW = {"rtol": 0.0, "atol": 5e-5}  # a weight half-way between two narrow numbers is rounded to the other one


def sam_by_hand(model, losses, *, rho, lr, momentum=0.9, clip=None, still=(), direction=None):
    """Train by SGD with momentum along the gradient at ``x + rho g/|g|``; ``rho = 0`` is SGD.

    Args:
        model: whose parameters are trained and whose buffers move in the first pass only.
        losses: for each step a function that returns the minibatch's loss.
        rho: one radius, or one for each step; so ``lr``.
        momentum: of SGD.
        clip: greatest norm of the gradient that is stepped along: one, or one for each step (None: any).
        still: parameters that are trained but not perturbed.
        direction: ``u`` from ``g`` flat; default ``g/|g|``.

    Returns:
        The parameters after each step, flat.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    moving = [p for p in parameters if all(p is not q for q in still)]
    velocity = [torch.zeros_like(p) for p in parameters]
    path = []
    rhos, rates, clips = (iter(v) if isinstance(v, list) else cycle([v]) for v in (rho, lr, clip))
    for loss in losses:
        gradients = dict(zip(parameters, torch.autograd.grad(loss(), parameters), strict=True))
        g = torch.cat([gradients[p].flatten() for p in moving])
        u = g / torch.sqrt((g**2).sum()) if direction is None else direction(g)
        kept = [p.detach().clone() for p in parameters]
        buffers = [b.clone() for b in model.buffers()]
        radius, rate = next(rhos), next(rates)
        with torch.no_grad():
            for p, part in zip(moving, u.split([p.numel() for p in moving]), strict=True):
                p += radius * part.view_as(p)
        gradients = torch.autograd.grad(loss(), parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        most = next(clips)
        factor = 1.0 if most is None else min(1.0, most / float(norm))
        with torch.no_grad():
            for p, x, v, g in zip(parameters, kept, velocity, gradients, strict=True):
                v.mul_(momentum).add_(factor * g)
                p.copy_(x - rate * v)
            for b, before in zip(model.buffers(), buffers, strict=True):
                b.copy_(before)
        path.append(flat(model))
    return path


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_trained_alike(found, truth, other, narrow=False):
    """Equal to the truth, and the other training, which must not pass for it, is told apart."""
    tolerance = NARROW if narrow else TIGHT
    torch.testing.assert_close(flat(found), flat(truth), **tolerance)
    assert (flat(other) - flat(truth)).abs().max() > 20 * tolerance["atol"]

"""Every method a second time: its formula on one flat float64 vector, by torch.func, with dense Hessians."""

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from torch.func import functional_call, grad, hessian
from torch.nn.functional import cross_entropy

from eigensam.optim import (
    ASAM,
    CRSAM,
    EGR,
    GSAM,
    MSAM,
    SAM,
    USAM,
    AwarePerturbation,
    DetSAM,
    FisherSAM,
    FriendlySAM,
    FrobSAM,
    MomentumSAM,
    RandomSAM,
    ReverseSAM,
    SmoothedPerturbation,
    VaSSO,
)

_GENERATOR = torch.Generator().manual_seed(5)
BATCHES = [
    (torch.randn(8, 4, generator=_GENERATOR, dtype=torch.float64), torch.randint(0, 3, (8,), generator=_GENERATOR))
    for _ in range(4)
]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def flat(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def loss_of(model, batch):
    """A closure."""
    return lambda: cross_entropy(model(batch[0]), batch[1])


def flat_loss(model, batch):
    """The same as a function of one vector."""
    names = dict(model.named_parameters())

    def loss(x):
        parts = x.split([p.numel() for p in names.values()])
        state = {name: part.view(p.shape) for (name, p), part in zip(names.items(), parts, strict=True)}
        return cross_entropy(functional_call(model, state, (batch[0],)), batch[1])

    return loss


@dataclass
class Dense:
    """What a step goes along.

    ``f`` is a list of losses whose mean is meant, ``rho`` a vector of each parameter's own radius, which is 0 where the
    parameter is not perturbed; what is kept from step to step is in ``state``.
    """

    own: dict
    state: dict = field(default_factory=dict)

    def direction(self, f, x, rho):
        def mean(x):
            return torch.stack([each(x) for each in f]).mean()

        g = grad(mean)(x)
        return self.along(mean, x, rho, g, g * (rho != 0))

    def along(self, f, x, rho, g, moving):
        return grad(f)(x + rho * self.u(x, moving))


class Sam(Dense):
    def u(self, x, g):
        return g / g.norm()


class Usam(Dense):
    def u(self, x, g):
        return g


class Reverse(Dense):
    def u(self, x, g):
        return -g / g.norm()


class Asam(Dense):
    def u(self, x, g):
        size = x.abs() + self.own["eta"]
        return size**2 * g / (size * g).norm()


class Fisher(Dense):
    def u(self, x, g):
        inverse = torch.diag(1 / (1 + self.own["eta"] * g**2))
        return inverse @ g / (g @ inverse @ g).sqrt()


class Vasso(Dense):
    def u(self, x, g):
        theta = self.own["theta"]
        d = self.state["d"] = (1 - theta) * self.state["d"] + theta * g if "d" in self.state else g
        return d / d.norm()


class Friendly(Dense):
    """The released code: the average of before is taken away, and then has this gradient, too."""

    def u(self, x, g):
        sigma, decay = self.own["sigma"], self.own["decay"]
        m = self.state.get("m")
        d = g if m is None else g - sigma * m
        self.state["m"] = g if m is None else decay * m + (1 - decay) * g
        return d / d.norm()


class Momentum(Dense):
    """Along the momentum of the base, which the harness keeps; weight decay is of the unperturbed point."""

    def direction(self, f, x, rho):
        v = self.state["momentum"]
        if v is not None:
            v = v * (rho != 0)
        at = x if v is None else x - rho * v / v.norm()
        return grad(lambda x: torch.stack([each(x) for each in f]).mean())(at)


class Escape(Dense):
    """Algorithms 1 and 2 of Ahn et al.: random direction, or the drawn closure's gradient with the drawn sign."""

    def direction(self, f, x, rho):
        g = grad(lambda x: torch.stack([each(x) for each in f]).mean())(x)
        moves, drawn = rho != 0, self.state["noise"]
        axis = g * moves / (g * moves).norm()
        if (g * moves).norm() > self.own.get("tolerance", torch.inf):
            return self.own["far"] * g
        if isinstance(drawn, tuple):
            index, sign = drawn
            own = grad(f[index])(x) * moves
            h = grad(f[index])(x + rho * sign * own / own.norm()) * moves
        else:
            h = grad(lambda x: torch.stack([each(x) for each in f]).mean())(x + rho * drawn / drawn.norm()) * moves
        return g + h - (h @ axis) * axis


class Frob(Dense):
    """Gradients times what the losses are above their mean, over ``n - 1``: the released code's sums."""

    def direction(self, f, x, rho):
        def mean(x):
            return torch.stack([each(x) for each in f]).mean()

        points = [x + rho * z for z in self.state["noise"]]
        losses, gradients = (torch.stack([h(p) for p in points]) for h in (mean, grad(mean)))
        n = len(points)
        crossed = (losses[:, None] * gradients).sum(0) / (n - 1) - losses.sum() / (n - 1) * gradients.sum(0) / n
        return grad(mean)(x) + self.own["weight"] / (rho[rho != 0] ** 2).mean() * crossed


class Det(Dense):
    """The gradient of the estimate itself, by torch.func."""

    def direction(self, f, x, rho):
        def mean(x):
            return torch.stack([each(x) for each in f]).mean()

        def measure(x):
            d = torch.stack([(mean(x + rho * u) - mean(x)) / self.own["scale"] ** 2 for u in self.state["noise"]])
            return (-d / 2).exp().mean() ** -2

        return grad(mean)(x) + self.own["weight"] * grad(measure)(x)


class CrSam(Dense):
    def along(self, f, x, rho, g, moving):
        gamma, beta = self.own["gamma"], self.own["beta"]
        shift = rho * moving / moving.norm()
        worst, best = grad(f)(x + shift), grad(f)(x - shift)
        return worst + gamma * (worst + best - 2 * g) + beta * (worst - best)


class Gsam(Dense):
    def along(self, f, x, rho, g, moving):
        second = grad(f)(x + rho * moving / moving.norm())
        axis = second * (rho != 0)
        axis = axis / axis.norm()
        return second - self.own["alpha"] * (moving - (moving @ axis) * axis)


class Egr(Dense):
    def along(self, f, x, rho, g, moving):
        return g + hessian(f)(x) @ (rho * moving / moving.norm())


class MicroBatches(Sam):
    def direction(self, f, x, rho):
        return torch.stack([super(MicroBatches, self).direction([each], x, rho) for each in f]).mean(0)


class Random(Dense):
    """The noise is the optimizer's own; it has tests of its own."""

    def u(self, x, g):
        z = self.state["noise"]
        return z if self.own.get("gaussian") else z / z.norm()


METHODS = {
    "sam": (SAM, Sam, {}),
    "usam": (USAM, Usam, {}),
    "reverse-sam": (ReverseSAM, Reverse, {}),
    "asam": (ASAM, Asam, {"eta": 0.03}),
    "fisher-sam": (FisherSAM, Fisher, {"eta": 4.0}),
    "vasso": (VaSSO, Vasso, {"theta": 0.4}),
    "friendly-sam": (FriendlySAM, Friendly, {"sigma": 0.8, "decay": 0.5}),
    "momentum-sam": (MomentumSAM, Momentum, {}),
    "smoothed-perturbation": (SmoothedPerturbation, Escape, {}),
    "smoothed-perturbation, tolerance": (SmoothedPerturbation, Escape, {"tolerance": 0.6, "far": 1.7, "seed": 3}),
    "aware-perturbation": (AwarePerturbation, Escape, {}),
    "aware-perturbation, tolerance": (AwarePerturbation, Escape, {"tolerance": 0.6, "far": 1.7, "seed": 3}),
    "frob-sam": (FrobSAM, Frob, {"weight": 0.05, "samples": 3, "seed": 3}),
    "det-sam": (DetSAM, Det, {"weight": 0.4, "samples": 3, "scale": 0.8, "seed": 3}),
    "det-sam, one sample": (DetSAM, Det, {"weight": 0.4, "samples": 1, "scale": 0.8}),
    "cr-sam": (CRSAM, CrSam, {"gamma": 0.3, "beta": 0.2}),
    "gsam": (GSAM, Gsam, {"alpha": 0.4}),
    "egr": (EGR, Egr, {}),
    "m-sam": (MSAM, MicroBatches, {}),
    "random-sam": (RandomSAM, Random, {"seed": 3}),
    "random-sam, gaussian": (RandomSAM, Random, {"gaussian": True}),
}
"""By name: the optimizer, its transcription, arguments of both."""

RHO, SGD = 0.3, {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.01}


def sgd_step(x, direction, buffer):
    """Torch's SGD by hand."""
    direction = direction + SGD["weight_decay"] * x
    buffer = direction if buffer is None else SGD["momentum"] * buffer + direction
    return x - SGD["lr"] * buffer, buffer


def trajectory(dense, model, batches, rho, sign=1.0, noise=lambda step: None):
    """Points after steps of a transcription, each on a list of minibatches; of ``-f`` where the sign is -1."""
    x, buffer = flat(model), None
    for step, each in enumerate(batches):
        dense.state["noise"] = noise(step)
        dense.state["momentum"] = buffer
        f = [partial(lambda f, x: sign * f(x), flat_loss(model, batch)) for batch in each]
        x, buffer = sgd_step(x, dense.direction(f, x, rho), buffer)
    return x

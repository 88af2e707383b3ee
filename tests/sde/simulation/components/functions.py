"""Functions of a vector of three numbers, as users write them: split, not split, and such as cannot be recorded."""

import numpy as np
import torch
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.nn import functional as F  # noqa: N812 (its usual name)


def random_matrix(rows, columns, seed=0):
    return torch.randn(rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


A = random_matrix(3, 3) @ random_matrix(3, 3).mT + torch.eye(3, dtype=torch.float64)
BIG = random_matrix(12, 12, 1)
CONV, MIX = random_matrix(1, 3, 2)[None], random_matrix(3, 3, 3)[None]
ORDER, TWICE = torch.tensor([2, 0, 1]), torch.tensor([1, 1, 2])
torch.manual_seed(0)
NET = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.LayerNorm(4), torch.nn.Linear(4, 3))


def own(value, x):
    """A constant of the type of ``x``."""
    return value.to(x.dtype)


def twisted(x):
    return x.sin() * x.roll(1)


def potential(x):
    return (twisted(x) * x).sum()


def positive(x):
    """A positive definite matrix."""
    return own(A, x) + torch.outer(x, x)


def long(x):
    return torch.cat([x, 2 * x, 3 * x, x.sin()])


def written(x):
    y = x.clone()
    y[0] = y[1] * 2
    y[1:] += 1
    return y


def filled(x):
    y = torch.zeros(3, dtype=x.dtype)
    y[1] = x[0]
    y.mul_(3).add_(x)
    y[ORDER] = y.clone()
    return y


def by_autograd(x):
    with torch.enable_grad():
        y = x.detach().requires_grad_()
        return torch.autograd.grad(potential(y), y)[0]


def network(x):
    return functional_call(NET, {name: own(each, x) for name, each in NET.named_parameters()}, (x,))


SPLIT = {
    # number by number
    "sine": lambda x: x.sin() + x.cos() - x.tanh() * x.atan(),
    "powers": lambda x: x**3 + x.abs() ** 0.5 - x**2 + 2**x,
    "powers of roots": lambda x: (1 + x * x) ** -0.5 + x.abs() ** 1.5 + (2 + x) ** -2 + x.abs() ** 0.3 + x**1.0 * x**0,
    "power of two tensors": lambda x: x.abs() ** x,
    "exponentials": lambda x: x.exp() + x.expm1() + x.abs().log1p() + x.erf() + (x / 10).erfinv(),
    "special functions": lambda x: x.abs().lgamma() + x.sinc() + torch.i0(x) + torch.xlogy(x.abs(), x.abs()),
    "quotients": lambda x: 1 / (2 + x * x) + x / 3 - x.reciprocal() + x.abs().rsqrt(),
    "rounded": lambda x: x.floor() + x.frac() + x.round() + torch.fmod(x, 0.3) + torch.remainder(x, 0.3),
    "divided by whole numbers": lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    "two arguments": lambda x: torch.atan2(x, x.roll(1)) + torch.hypot(x, x.roll(1)) + torch.copysign(x, x.roll(1)),
    "fused": lambda x: torch.lerp(x, x.roll(1), 0.3) + torch.addcmul(x, x, x, value=2) - torch.rsub(x, 3, alpha=2),
    "scaled differences": lambda x: torch.sub(x, x.roll(1), alpha=3) + torch.add(x, x.roll(1), alpha=-0.5),
    "clamped": lambda x: x.clamp(-0.5, 0.5) + x.clamp(min=x.roll(1)) + x.clamp(max=0.2),
    "maxima": lambda x: torch.maximum(x, x.roll(1)) - torch.minimum(x, x.new_tensor(0.1)) + torch.max(x, x.roll(2)),
    "cases": lambda x: torch.where(x > 0, x, -2 * x) + torch.where((x > 0) & (x.roll(1) < 0.3), 1.0, x),
    "truth values": lambda x: (x > 0) * x + (x > 0.5).to(x.dtype) * 3 + (~(x > 0)) * x + ((x > 0) ^ (x > 0.2)),
    "any and all": lambda x: (x > 0.5).any() * x + (x > -0.5).all() * x.sin(),
    "counted": lambda x: (x > 0).sum() * x + (x > 0.3).double().mean().to(x.dtype),
    "masked": lambda x: x.masked_fill(x > 0, 1.5),
    "signs": lambda x: x.sign() + torch.heaviside(x, x.new_tensor(0.5)),
    "numbers that are not finite": lambda x: torch.where(x > 100, float("nan"), x).nan_to_num().clamp(max=float("inf")),
    "finite ones only": lambda x: torch.where(x.isfinite() & (x != float("-inf")), x, 0.0),
    # moved
    "indices": lambda x: x[ORDER] + x[[0, 0, 2]] + x.gather(0, ORDER) + x.take(ORDER) + x.index_select(0, ORDER),
    "slices": lambda x: (
        x[::2].repeat(2)[:3] + x[-1:].expand(3) + x.flip(0) + x.tile(2)[1:4] + x[None, :, None][0, :, 0]
    ),
    "stacked": lambda x: (
        torch.stack([x[1], x[0] * x[2], x.sum()]) + torch.cat([x[1:], x[:1]]) + torch.stack(x.unbind())
    ),
    "parts": lambda x: (
        torch.cat(x.chunk(2)[::-1]) + torch.cat(x.split([1, 2])[::-1]) + x.unfold(0, 2, 1).sum(1).repeat(2)[:3]
    ),
    "strides": lambda x: x.as_strided((3,), (0,)) + torch.outer(x, x.roll(1)).movedim(0, 1)[0] + F.pad(x[:2], (1, 0)),
    "triangles": lambda x: torch.tril(torch.outer(x, x))[1] + torch.triu(torch.outer(x, x), 1)[0],
    "diagonals": lambda x: torch.diag(torch.diag(x)) + torch.diag_embed(x, 1)[0, 1:] + torch.outer(x, x).trace(),
    "differences": lambda x: torch.cat([x.diff(), x[:1]]) + torch.meshgrid(x, x, indexing="ij")[1][0],
    # written in place
    "in place": written,
    "filled in": filled,
    "rows": lambda x: x.new_zeros(3, 2).index_put((torch.arange(3), torch.tensor([0, 1, 0])), x).sum(1),
    "scattered": lambda x: x.scatter(0, TWICE, x.sin()) + x.scatter(0, ORDER[:1], 1.5),
    "added in places": lambda x: torch.zeros(3, dtype=x.dtype).scatter_add(0, TWICE, x),
    "added in rows": lambda x: x.index_add(0, TWICE, x.sin(), alpha=2),
    "put and added": lambda x: x.index_put((TWICE,), x.cos(), accumulate=True) + x.index_put((ORDER[:2],), x[1:]),
    "gradient through an index": lambda x: grad(lambda y: (y[torch.tensor([0, 0, 1])] ** 3).sum())(x),
    # reductions
    "sums": lambda x: x.sum() * x + x.mean() + x.prod() + torch.outer(x, x).sum(0) + torch.outer(x, x).mean(1),
    "extremes": lambda x: x.max() * x + x.min() + x.amax(0, keepdim=True) * x + torch.outer(x, x).amin(0),
    "spread": lambda x: x.var() + x.std(correction=0) * x + torch.var_mean(x)[0] * torch.std_mean(x)[1],
    "norms": lambda x: x / x.norm() + x / x.norm(p=1) + x / torch.linalg.vector_norm(x, 3) + x / x.norm(p=float("inf")),
    "unit vectors": lambda x: F.normalize(x, dim=0) + F.cosine_similarity(x, x.roll(1), dim=0) + torch.dist(x, 2 * x),
    "cumulated": lambda x: x.cumsum(0) + x.cumprod(0) + torch.outer(x, x).cumsum(1)[1],
    "soft": lambda x: x.softmax(0) + x.log_softmax(0) + x.logsumexp(0) + torch.logaddexp(x, x.roll(1)),
    # products
    "matrix times vector": lambda x: own(A, x) @ x,
    "vector times matrix": lambda x: x @ own(A, x),
    "matrices": lambda x: (own(A, x) @ torch.diag(x) @ (own(A, x) + torch.outer(x, x.sin())))[0] + x.dot(x.roll(1)) * x,
    "batches": lambda x: torch.bmm(own(A, x).expand(2, 3, 3), x.expand(2, 3)[:, :, None])[1, :, 0],
    "Einstein's sum": lambda x: torch.einsum("ij,j,i->i", own(A, x), x, x) + torch.kron(x, x)[:3],
    "cross product": lambda x: torch.linalg.cross(x, x.roll(1) + 1),
    "large": lambda x: (own(BIG, x) @ long(x))[:3],
    "large, from the right": lambda x: (long(x) @ own(BIG, x))[:3],
    "large, of a matrix": lambda x: (own(BIG, x) @ torch.diag(long(x)))[:3, 1],
    "Cholesky": lambda x: torch.linalg.cholesky(positive(x)) @ x,
    "Cholesky, upper": lambda x: torch.linalg.cholesky(positive(x), upper=True) @ x,
    # derivatives
    "gradient": lambda x: grad(potential)(x),
    "gradient by autograd": by_autograd,
    "forward": lambda x: jvp(twisted, (x,), (x * x,))[1],
    "backward": lambda x: vjp(twisted, x)[1](x)[0],
    "Jacobian": lambda x: jacfwd(twisted)(x) @ x + jacrev(twisted)(x).mT @ x,
    "Hessian": lambda x: hessian(potential)(x) @ x,
    "third": lambda x: grad(lambda y: grad(potential)(y).pow(2).sum())(x),
    "batched": lambda x: vmap(lambda y: y * y.sin())(x) + vmap(lambda row: row @ x)(own(A, x)),
    # networks
    "network": network,
    "its gradient": lambda x: grad(lambda y: network(y).pow(2).sum())(x),
    "smooth activations": lambda x: F.gelu(x) + F.silu(x) + F.elu(x) + F.softplus(x) + F.mish(x) + F.logsigmoid(x),
    "activations": lambda x: x.relu() + F.leaky_relu(x) + F.hardtanh(x) + F.hardsigmoid(x) + F.threshold(x, 0.1, 5.0),
    "layers": lambda x: F.layer_norm(x, (3,)) + F.rms_norm(x, (3,)) + F.glu(long(x))[:3],
    "losses": lambda x: F.mse_loss(x, x.roll(1)) + F.cross_entropy(x[None], torch.tensor([1])) + 0 * x,
    "gradient of a loss": lambda x: grad(lambda y: F.cross_entropy(y[None], torch.tensor([1])))(x),
    # constants
    "no dependence": lambda x: torch.ones(3, dtype=x.dtype),
    "created": lambda x: x.new_full((3,), 2.0) * x + torch.eye(3, dtype=x.dtype) @ x + torch.zeros_like(x),
    "ranges": lambda x: torch.arange(3) * x + torch.linspace(0, 1, 3, dtype=x.dtype) * x + x * (torch.arange(3) // 2),
    "whole numbers": lambda x: x + torch.arange(3) + x * (torch.arange(3) / 2) + x * torch.tensor([True, False, True]),
    "another type": lambda x: (x.double().sin() * A[0]).to(x.dtype) + x.float().exp().to(x.dtype),
    "no number": lambda x: torch.where(x > 1e301, x.new_tensor([float("inf"), float("nan"), -0.0]), x) * -0.0 + x,
    "numpy's constants": lambda x: x * float(np.sqrt(2.0)) + torch.from_numpy(np.arange(3.0)).to(x.dtype),
}

UNSPLIT = {
    "sorted": lambda x: x.sort().values,
    "largest": lambda x: x.topk(3).values + x.median(),
    "place of the largest": lambda x: x * x.argmax() + x.max(0).values,
    "solved": lambda x: torch.linalg.solve(positive(x), x),
    "determinant": lambda x: torch.linalg.det(positive(x)) * x,
    "eigenvalues": lambda x: torch.linalg.eigvalsh(positive(x)),
    "exponential": lambda x: torch.matrix_exp(torch.outer(x, x))[0],
    "triangular": lambda x: torch.linalg.solve_triangular(torch.linalg.cholesky(positive(x)), x[:, None], upper=False)[
        :, 0
    ],
    "convolution": lambda x: F.conv1d(x[None, None], own(CONV, x), padding=1)[0, 0],
    "trilinear": lambda x: F.bilinear(x[None], x[None], own(MIX, x))[0] * x,
    "spectrum": lambda x: torch.fft.rfft(x).abs().repeat(2)[:3],
    "scattered products": lambda x: x.scatter(0, ORDER, 2.0, reduce="multiply"),
    "filled with another number": lambda x: F.pad(x[:2], (1, 0), value=1.5),
    "index of the state": lambda x: x[(x > 0).long()],
}

NOT_RECORDED = {
    "if": lambda x: x if x[0] > 0 else 2 * x,
    "float": lambda x: x * float(x[0]),
    "int": lambda x: x * int(x.abs().sum()),
    "list": lambda x: torch.tensor(x.tolist(), dtype=x.dtype),
    "numpy": lambda x: torch.from_numpy(np.sin(x.numpy())),
    "numpy, detached": lambda x: x + torch.from_numpy(np.sin(x.detach().numpy())),
    "while": lambda x: next(x * k for k in range(100) if k > x.sum()),
}

NOT_BATCHED = {
    "item": lambda x: x * x[0].item(),
    "mask": lambda x: x * x[x > -9].sum(),
    "filled mask": lambda x: x.clone().index_put_((x > 0,), x.new_tensor(0.0)),
    "places": lambda x: x * x[(x > -9).nonzero()[:, 0]].sum(),
}

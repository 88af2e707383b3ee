"""Strong errors: exactly for linear problems, by paths for those whose solution is a function of the Brownian motion.

A linear problem's flow over a step is expanded in Hermite polynomials of the increment, ``E[Phi He_a(dw)]`` being the
solution of a linear differential equation, so that ``E[Phi (x) Psi(dw)]`` is known for a scheme's step ``Psi``.
"""

import itertools
import math

import numpy as np
import torch
from scipy.linalg import expm
from torch import Tensor
from torch.func import jacfwd, vmap

from eigensam.sde.simulation.noise import PathNoise
from eigensam.sde.simulation.problems.calculus import converted
from eigensam.sde.simulation.scheme import Scheme

from .exact_orders import START, law, settled_slopes
from .suite import Case

COUNTS = tuple(2**k for k in range(4, 13))
DEGREE = 3
"""Of the Hermite polynomials: steps are of a lower one in their increments, which is checked."""


def coefficients(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """``A`` and ``B_j`` of ``dY = A Y dt + sum_j B_j Y dW_j`` in the calculus of Ito, for ``Y = (1, X)``."""
    sde = case.sde
    d, m = sde.diffusion(START[0], case.start).shape
    a, b = np.zeros((d + 1, d + 1)), np.zeros((m, d + 1, d + 1))
    zero = torch.zeros(d, dtype=torch.float64)
    a[1:, 0], a[1:, 1:] = sde.drift(START[0], zero), jacfwd(lambda x: sde.drift(START[0], x))(zero)
    b[:, 1:, 0] = sde.diffusion(START[0], zero).mT
    b[:, 1:, 1:] = jacfwd(lambda x: sde.diffusion(START[0], x))(zero).permute(1, 0, 2)
    if sde.calculus == "stratonovich":
        a = a + sum(each @ each for each in b) / 2
    return a, b


def flow_coefficients(a: np.ndarray, b: np.ndarray, h: float, indices: list[tuple[int, ...]]) -> np.ndarray:
    """``m_a = E[Phi_h He_a(W_h)]``, by ``dm_a/dt = A m_a + sum_j a_j B_j m_{a - e_j}``: shape ``(indices, D, D)``."""
    size, where = len(a), {index: k for k, index in enumerate(indices)}
    block = np.kron(np.eye(len(indices)), a)
    for index, k in where.items():
        for j, power in enumerate(index):
            if power:
                below = where[(*index[:j], power - 1, *index[j + 1 :])]
                block[k * size : (k + 1) * size, below * size : (below + 1) * size] += power * b[j]
    return expm(h * block)[:, :size].reshape(len(indices), size, size)


def hermite(index: tuple[int, ...], dw: Tensor, h: float) -> np.ndarray:
    """Monic, for increments of variance ``h``; their squares average ``a! h^|a|``."""
    z = dw.numpy() / h**0.5
    factors = [np.polynomial.hermite_e.hermeval(z[:, j], np.eye(power + 1)[power]) for j, power in enumerate(index)]
    return h ** (sum(index) / 2) * np.prod(factors, 0)


def step_matrices(scheme: Scheme, case: Case, h: float) -> tuple[np.ndarray, Tensor, np.ndarray]:
    """``Psi(dw)`` for ``Y = (1, X)``, shape ``(Q, D, D)``, the increments ``(Q, m)`` and their probabilities."""
    sde = converted(case.sde, scheme.calculus)
    dw, signs, probability = law(scheme, sde.diffusion(START[0], case.start).shape[1], h, nodes=6)
    d = len(case.start)
    x = torch.cat([torch.zeros(1, d, dtype=torch.float64), torch.eye(d, dtype=torch.float64)])
    ends = vmap(vmap(lambda x, dw, s: scheme.step(sde, START[0], x, h, dw, s), (0, None, None)), (None, 0, 0))(
        x, dw, signs
    ).numpy()
    result = np.zeros((len(dw), d + 1, d + 1))
    result[:, 0, 0] = 1
    result[:, 1:, 0], result[:, 1:, 1:] = ends[:, 0], (ends[:, 1:] - ends[:, :1]).swapaxes(1, 2)
    return result, dw, probability.numpy()


def mean_square_error(scheme: Scheme, case: Case, count: int) -> tuple[float, float]:
    """``E |X_n - X(T)|^2``, and the rounding of ``n`` steps in the three moments that it is made of."""
    h = case.horizon / count
    a, b = coefficients(case)
    psi, dw, probability = step_matrices(scheme, case, h)
    indices = [each for each in itertools.product(range(DEGREE + 1), repeat=len(b)) if sum(each) <= DEGREE]
    flows = flow_coefficients(a, b, h, indices)
    rest, cross = psi, 0
    for index, flow in zip(indices, flows, strict=True):
        polynomial = hermite(index, dw, h)
        part = np.einsum("q,q,qij->ij", probability, polynomial, psi)
        part /= math.prod(map(math.factorial, index)) * h ** sum(index)
        rest = rest - polynomial[:, None, None] * part
        cross = cross + np.kron(flow, part)
    assert np.abs(rest).max() < 1e-11, "the step is of a higher degree in its increments"
    eye = np.eye(len(a))
    truth = expm(h * (np.kron(a, eye) + np.kron(eye, a) + sum(np.kron(each, each) for each in b)))
    own = np.einsum("q,qij,qkl->ikjl", probability, psi, psi).reshape(truth.shape)
    y = np.concatenate([[1.0], case.start.numpy()])
    moments = (np.linalg.matrix_power(each, count) @ np.kron(y, y) for each in (truth, cross, own))
    exact, mixed, found = (np.trace(each.reshape(len(a), len(a))) for each in moments)
    return float(exact - 2 * mixed + found), float(1e-16 * count * exact)


def exact_strong_slope(scheme: Scheme, case: Case) -> float:
    """The order of the root mean square error that the smallest steps show."""
    (slope,) = settled_slopes(lambda count: np.array(mean_square_error(scheme, case, count))[:, None], COUNTS)
    return slope / 2


def path_errors(scheme: Scheme, case: Case, count: int, fine: Tensor) -> Tensor:
    """``|X_n - X(T)|`` on given Brownian paths, whose small increments, ``(paths, finest, m)``, are added."""
    sde, h = converted(case.sde, scheme.calculus), case.horizon / count
    increments = fine.reshape(len(fine), count, -1, fine.shape[-1]).sum(2)
    signs = torch.zeros(0, dtype=torch.float64)
    step = vmap(lambda t, x, dw: scheme.step(sde, t, x, h, dw, signs), (None, 0, 0))
    x = case.start.repeat(len(fine), 1)
    for k in range(count):
        x = step(torch.tensor(k * h, dtype=torch.float64), x, increments[:, k])
    end = torch.tensor(case.horizon, dtype=torch.float64)
    truth = vmap(case.solution, (None, 0))(end, fine.sum(1))
    return torch.linalg.vector_norm(x - truth, dim=-1)


def path_slope(scheme: Scheme, case: Case, counts: tuple[int, ...], paths: int, groups: int) -> tuple[float, float]:
    """The order of the mean error and its standard error, from slopes of groups of paths."""
    noise_dim = case.sde.diffusion(START[0], case.start).shape[1]
    finest = counts[-1]
    z = torch.from_numpy(PathNoise(0, 0, finest * noise_dim).draw(0, paths))
    fine = (case.horizon / finest) ** 0.5 * z.reshape(paths, finest, noise_dim)
    errors = torch.stack([path_errors(scheme, case, count, fine).reshape(groups, -1).mean(1) for count in counts])
    slopes = -np.polyfit(np.log2(counts), errors.log2().numpy(), 1)[0]
    return float(slopes.mean()), float(slopes.std(ddof=1) / groups**0.5)

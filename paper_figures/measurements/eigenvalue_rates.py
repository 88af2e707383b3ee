"""What the third-order SDE says of the top eigenvalue at one point: at which rate a perturbation lowers it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ...landscapes.curvature.landscape_hessian import eigenvalue_gradient
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.spectra.eigenpairs import Eigenpairs

__all__ = ["eigenvalue_rates"]


def eigenvalue_rates(
    landscape: NetworkLandscape,
    pairs: Eigenpairs,
    perturbations: Mapping[str, tuple[float, Callable[[Tensor], Tensor]]],
) -> dict[str, dict[str, float]]:
    """How fast each term of ``-drift = E[g + rho H u + (rho^2/2) T[u, u]]`` moves ``lambda_1``, and why.

    With ``s = grad lambda_1 = T[v_1, v_1]`` of the mean loss, along the drift ``d lambda_1/dt = <s, drift>``, so a term
    ``t`` contributes ``-<s, t>``. Relative to ``lambda_1``, for a unit of time, which is ``1/eta`` steps without
    momentum.

    Args:
        landscape: the minibatches.
        pairs: top eigenpair of its mean loss at the network's point.
        perturbations: by name, ``rho`` and what makes ``u_m`` of a minibatch's gradient.

    Returns:
        By name: ``gradient``, ``second`` and ``third``, the relative rates of the three terms; ``share``, that of
        ``E <u, v_1>^2 s`` in ``E T[u, u]`` (:class:`DriftDecomposition`); ``squared_alignment``, ``E <u, v_1>^2``;
        ``length``, ``(E |u|^2)^(1/2)``.

    Example:
        Of a linear network with squared errors every third derivative is zero, so nothing moves the eigenvalue.

        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape, top_eigenpairs
        >>> data = torch.eye(2), torch.zeros(2, 1)
        >>> f = NetworkLandscape.from_tensors(torch.nn.Linear(2, 1), torch.nn.functional.mse_loss, *data, batch_size=1)
        >>> found = eigenvalue_rates(f, top_eigenpairs(f, f.point()), {"sam": (0.1, lambda g: g / g.norm())})
        >>> abs(found["sam"]["second"]) < 1e-6, round(found["sam"]["length"], 6)
        (True, 1.0)
    """
    x, v = landscape.point(), pairs.vectors[0]
    value, wide = float(pairs.values[0]), v.double()
    slope = eigenvalue_gradient(landscape, x, v)
    s = slope.double()
    sums = {name: torch.zeros(4, dtype=torch.float64) for name in perturbations}
    thirds = {name: torch.zeros_like(s) for name in perturbations}
    along = 0.0
    for m in range(landscape.size):
        g = landscape.minibatch_gradient(x, m)
        along += float(s @ g.double()) / landscape.size
        # <s, H_m u> = <H_m s, u>: one product serves every perturbation.
        product = landscape.minibatch_taylor_gradient(x, slope, (0.0, 1.0), m).double()
        for name, (_, perturbation) in perturbations.items():
            u = perturbation(g)
            third = landscape.minibatch_taylor_gradient(x, u, (0.0, 0.0, 1.0), m).double()
            thirds[name] += third / landscape.size
            u = u.double()
            terms = torch.stack([product @ u, s @ third, (wide @ u) ** 2, u @ u])
            sums[name] += terms / landscape.size
    found = {}
    for name, (rho, _) in perturbations.items():
        second, third, aligned, square = sums[name].tolist()
        length = float(thirds[name] @ thirds[name])
        found[name] = {
            "gradient": -along / value,
            "second": -rho * second / value,
            "third": -0.5 * rho**2 * third / value,
            "share": aligned * third / length if length > 0 else float("nan"),
            "squared_alignment": aligned,
            "length": square**0.5,
        }
    return found

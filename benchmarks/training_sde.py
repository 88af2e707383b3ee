"""SAM with momentum, its SDE, and SAM's SDE at the same effective rate: the picture of docs/simulation.md.

Heavy ball with factor 9/10 and eta = 0.001 on the torus, rho = 0.1: 150 steps, an effective rate of 0.01.
"""

import argparse
from pathlib import Path

import torch

from eigensam.ground import provenance, write_json
from eigensam.landscapes import TiltedTorus
from eigensam.sde import SDE, derive, find_rule
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.statements import parse_statements
from eigensam.sde.simulation.comparison.compare import compare
from eigensam.sde.simulation.comparison.compare_settings import CompareSettings
from eigensam.sde.simulation.comparison.comparison import Comparison
from eigensam.sde.simulation.comparison.given_sdes import Control


def measured(observed: str, paths: int) -> Comparison:
    """The training beside its SDEs of both orders, and the control."""
    f = TiltedTorus.default(2)
    trained = Recursion("SAM with momentum 0.9", parse_statements("m = 9/10*m + grad(rho*unit(g)); x = x - eta*m"))
    sdes: dict[str, SDE | Control] = {
        "its SDE, weak order 2": derive(trained, 2, 1),
        "its SDE, weak order 1": derive(trained, 1, 1),
        "SAM's SDE at eta = 0.01": Control(derive(find_rule("sam"), 2, 1)),
    }
    observables = {"loss": lambda x: f.loss(x[:, None]), "x[0]": lambda x: x[:, 0]}
    settings = CompareSettings(eta=0.001, rho=0.1, steps=150, paths=paths, every=3, observed=observed)
    return compare(trained, sdes, f, torch.tensor([0.4, 1.0], dtype=torch.float64), settings, observables=observables)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    found = {observed: measured(observed, arguments.paths) for observed in ("x", "slow")}
    for observed, each in found.items():
        for process, distances in each.distances().items():
            for name, d in distances.items():
                print(f"{observed:5} {process:24} {name:5} {d.value:.1e} [{d.low:.1e}, {d.high:.1e}]")
    if arguments.json:
        write_json(arguments.json, {**{name: each.to_dict() for name, each in found.items()}, "made": provenance()})
    if arguments.picture:
        found["x"].plot(arguments.picture)


if __name__ == "__main__":
    main()

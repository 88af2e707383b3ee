"""Which optimizers slide along a valley of minima to its flattest point: the picture of docs/optimizers.md.

Five runs of each, 300 steps of length 0.1 with rho = 0.3, from a minimum at 1.2; the flattest minimum is at 0.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD

import eigensam.optim as optim
from eigensam.ground import provenance, write_json
from eigensam.ground.pictures import new_figure, save_figure
from eigensam.landscapes import Valley

PANELS = {
    "controls": ("SGD", "USAM", "EGR", "ReverseSAM", "RandomSAM", "SAM"),
    "relatives of SAM": ("SAM", "EigenSAM", "VaSSO", "FisherSAM", "CRSAM", "GSAM"),
}
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#7f7f7f")


def slide(name: str, seed: int, steps: int = 300) -> list[float]:
    """Where along the valley an optimizer is, step by step."""
    f = Valley(flat=1.0, sharp=4.0)
    torch.manual_seed(seed)
    x = nn.Parameter(torch.tensor([1.2, 0.0], dtype=torch.float64))
    plain = SGD([x], lr=0.1)
    optimizer: Any = None if name == "SGD" else getattr(optim, name)([x], lr=0.1, rho=0.3)
    path = []
    for _ in range(steps):
        m = int(torch.randint(f.size, ()))

        def loss(m: int = m) -> Tensor:
            return f.losses(x)[m]

        path.append(x[0].item())
        if optimizer is not None:
            optimizer.step(loss)
        else:
            plain.zero_grad()
            loss().backward()
            plain.step()
    return path


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the paths here, too")
    parser.add_argument("--picture", type=Path, metavar="STEM", help="draw them into STEM.png, .svg and .pdf")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = dict.fromkeys(name for panel in PANELS.values() for name in panel)
    paths = {name: [slide(name, seed) for seed in range(arguments.seeds)] for name in names}
    for name, found in paths.items():
        print(f"{name:12}", *(f"{path[-1]:6.2f}" for path in found))
    if arguments.json:
        write_json(arguments.json, {"paths": paths, "made": provenance()})
    if arguments.picture:
        figure = new_figure(len(PANELS), width=4.2, height=3.5)
        for axes, (title, panel) in zip(figure.axes, PANELS.items(), strict=True):
            for name, line, colour in zip(panel, LINES, COLOURS, strict=True):
                for i, path in enumerate(paths[name]):
                    axes.plot(path, linestyle=line, color=colour, linewidth=1.0, label=None if i else name)
            axes.set(title=title, xlabel="step", ylabel="position $x_0$ along the valley", ylim=(-0.05, 1.27))
            axes.legend(frameon=False, fontsize=8)
        save_figure(figure, arguments.picture)


if __name__ == "__main__":
    main()

"""What certificates are worth: risks certified on digits and MNIST, beside Clopper-Pearson, with the time each takes.

    python benchmarks/certificates.py --data-root DIR [--only NAME ...] [--json FILE]

Each row is the median over seeds of one case; a case trains its prior by the recipe of ``eigensam certify``, and is
timed whole. The control is the same pipeline on permuted labels, where the true risk is 0.9: a certificate below that
would be wrong.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from eigensam.bounds import Certificate, CertifySettings, certify
from eigensam.bounds.certificates.recipe import PriorRecipe
from eigensam.bounds.certificates.run_certify import permuted
from eigensam.ground.records import provenance, write_json
from eigensam.landscapes import load_data
from eigensam.optim import train


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        seeds: how many.
        most: what the certificate must not exceed; for the control what it must not fall below.
        recipe: of the prior.
        settings: of the certificate.
        permute: the control.
    """

    seeds: int
    most: float
    recipe: PriorRecipe
    settings: CertifySettings = field(default_factory=CertifySettings)
    permute: bool = False


FREE = CertifySettings(prior="initial", looks=16)
"""The filters' threshold was chosen by a dozen looks at these examples, which is paid for."""
CASES = {
    "digits, mlp, SAM": Case(5, 0.040, PriorRecipe()),
    "digits, mlp, SGD": Case(5, 0.040, PriorRecipe(optimizer="sgd")),
    "digits, mlp, SGD, as many passes as SAM": Case(5, 0.040, PriorRecipe(optimizer="sgd", prior_epochs=120)),
    "digits, mlp, Eigen-SAM": Case(5, 0.040, PriorRecipe(optimizer="eigen-sam")),
    "digits, permuted labels": Case(5, 0.85, PriorRecipe(), permute=True),
    "MNIST, mlp": Case(3, 0.018, PriorRecipe(data="mnist")),
    "MNIST, cnn4": Case(3, 0.013, PriorRecipe(data="mnist", model="cnn4")),
    "MNIST, no data in the prior": Case(3, 0.22, PriorRecipe(data="mnist", model="random-filters"), FREE),
    "MNIST, permuted labels": Case(1, 0.85, PriorRecipe(data="mnist", prior_epochs=5), permute=True),
}


def measure(case: Case, seed: int, root: Path | None) -> tuple[Certificate, float]:
    """One certificate, and the seconds that it took with its prior."""
    data = load_data(case.recipe.data, None if case.recipe.data == "digits" else root)
    if case.permute:
        data = permuted(data, seed)
    examples = len(data.train_targets)
    (share,) = case.recipe.shares(examples)
    training = replace(case.recipe, prior_seed=seed).training(examples, share)
    if case.settings.prior != "trained":
        training = replace(training, epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = certify(train(training, data, Path(folder) / "prior"), case.settings, data)
        return found, time.perf_counter() - start


def row(name: str, case: Case, root: Path | None) -> dict[str, Any]:
    """Medians of all seeds, and every value."""
    runs = [measure(case, seed, root) for seed in range(case.seeds)]
    found = [each for each, _ in runs]

    def median(values: list[float]) -> float:
        return statistics.median(values)

    return {
        "case": name,
        "asked": case.most,
        "certificate": median([each.certificate for each in found]),
        "certificates": [each.certificate for each in found],
        "prior_itself": median([each.at_prior.certificate for each in found]),
        "kl": median([each.optimised.kl for each in found if each.optimised is not None]),
        "gibbs_risk": median([each.risk for each in found]),
        "gibbs_test": median([each.optimised.test for each in found if each.optimised is not None]),
        "clopper_pearson": median([each.clopper_pearson or 1.0 for each in found]),
        "test_error": median([each.test_error for each in found]),
        "seconds": median([seconds for _, seconds in runs]),
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="folder that holds MNIST in torchvision's layout")
    parser.add_argument("--only", nargs="*", choices=CASES, help="these cases; default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    print("| case | asked | certificate | Q = P | KL | Gibbs risk, bound; test | Clopper-Pearson | test error | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.only or CASES:
        found = row(name, CASES[name], given.data_root)
        rows.append(found)
        print(
            f"| {name} | {found['asked']:g} | {found['certificate']:.4f} | {found['prior_itself']:.4f} "
            f"| {found['kl']:.3g} | {found['gibbs_risk']:.4f}; {found['gibbs_test']:.4f} "
            f"| {found['clopper_pearson']:.4f} | {found['test_error']:.4f} | {found['seconds']:.0f} |",
            flush=True,
        )
    if given.json is not None:
        write_json(given.json, {"rows": rows, "made_with": provenance("cpu", torch.float32)})


if __name__ == "__main__":
    main()

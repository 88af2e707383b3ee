"""Results of sweeps that nobody trained: groups with chosen numbers."""

from eigensam.optim.training.settings import TrainSettings

SEEDS = 3


def group(name, method, *, spread=0.001, seeds=SEEDS, settings=None, **metrics):
    """One group; each metric is its value plus ``spread`` times the number of the seed, times a value of its own."""
    rows = []
    for seed in range(seeds):
        values = {key: value * (1 + spread * seed * (1 + value)) for key, value in metrics.items()}
        rows.append({"seed": seed, "rows": [{"epoch": 1, **values}]})
    made = TrainSettings(method, **(settings or {"epochs": 1}))
    return {"name": name, "settings": made.to_dict(), "examples": 128, "seeds": rows}


def words(claims):
    """The verdicts."""
    return [claim.verdict.word for claim in claims]


def labels(axes):
    """Names in a panel's legend order."""
    return axes.get_legend_handles_labels()[1]


def texts(table):
    """All of a table in one text."""
    return "\n".join(" | ".join(row) for row in table.rows)

"""What Theorem 4.1 at a trained point assumes besides, in sentences."""

import torch
from torch import nn

from ...landscapes.networks.whole_state import whole_state
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run

__all__ = ["fixed_before_the_sample", "point_assumptions"]

_KINKED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def fixed_before_the_sample(model: nn.Module, initial: nn.Module) -> bool:
    """Whether only trained parameters depend on the sample: all else is as it was before the training.

    Not so with batch norm's running statistics, or any other buffer that passes have changed.
    """
    trained = {name for name, parameter in model.named_parameters(remove_duplicate=False) if parameter.requires_grad}
    then, now = whole_state(initial), whole_state(model)
    return then.keys() == now.keys() and all(
        torch.equal(then[name], now[name].to(then[name])) for name in now.keys() - trained
    )


def point_assumptions(
    run: Run, model: nn.Module, data: DataSet, *, centre: str, fixed: bool, checked: str
) -> list[str]:
    """Sentences, in the order of their weight.

    Args:
        run: that is bounded.
        model: its network.
        fixed: whether all but its trained parameters were there before the sample.
        data: with the labels that are bounded.
        centre: of the prior.
        checked: how derivatives were checked.
    """
    found = [
        f"The {len(data.train_targets)} training examples are independent draws from one distribution.",
        "What is bounded is the risk of the randomised predictor N(x, sigma^2 I); carrying it over to the point x "
        "needs f_D(x) <= E f_D(x + e), as the paper and Foret et al. (2021) assume; compare test_loss_at_x "
        "with test_loss_around_x.",
        "K_3, K_4 and C must hold wherever Q puts mass, which is everywhere; here they are sampled at x, and M_4 is a "
        "mean at x: an estimate, not a certificate. The trace is an estimate, too.",
        "The prior grid and its centre were fixed before the training set was seen "
        + ("(centre: the initialisation)." if centre == "initial" else "(centre: zero)."),
        "The loss is the bounded cross-entropy -ln(p_min + (1 - p_min) p_y)/ln(1/p_min); the cross-entropy that was "
        "trained has no bound, and no theorem of this kind holds for it.",
    ]
    if not fixed:
        found.append(
            "What the training has changed besides parameters, such as batch norm's running statistics, counts as "
            "fixed before the sample was drawn, though it was computed from it; the bound does not pay for it."
        )
    if any(isinstance(module, _KINKED) for module in model.modules()):
        found.append("The loss has four continuous derivatives; with ReLU or max pooling only almost everywhere.")
    if smoothing := run.settings.get("label_smoothing"):
        found.append(f"The network was trained with label smoothing {smoothing}; the loss that is bounded has none.")
    if (examples := run.examples) is not None and examples.replaced:
        found.append(
            f"{examples.replaced} of the {len(examples.train)} labels that the network was trained on are noise; every "
            "term is with the data set's own labels, whose risk is bounded."
        )
    found.append(f"Derivatives are what torch makes of them. {checked}.")
    return found

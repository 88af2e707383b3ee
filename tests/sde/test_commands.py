"""``eigensam derive``: formats, JSON, proof, refusals; values of symbols."""

import json
import re

import pytest
import torch

from eigensam import sde
from eigensam.landscapes import TiltedTorus


def test_derive_as_text(cli):
    outcome = cli("derive", "sam", "--weak-order", 1, "--rho-exponent", "1/3")
    assert outcome.code == 0
    for part in (
        "weak order 1 for ρ = c η^(1/3), proved",
        "b  = -∇f - ρ E[Hg/‖g‖] - ½ ρ² E[T[g,g]/‖g‖²]",
        "they differ first at exponent 2",
        "⟨u,v⟩² = ⟨g,v⟩²/‖g‖²",
        "‖g‖ is bounded away from 0, for every minibatch",
    ):
        assert part in outcome.out


def test_derive_as_latex(cli):
    outcome = cli("derive", "sgd", "--weak-order", 2, "--rho-exponent", 1, "--format", "latex")
    assert r"\begin{align*}" in outcome.out
    assert r"d_\gamma &= g \\" in outcome.out
    assert r"b &= -\nabla f - \tfrac{1}{2}\,\eta\,\nabla^{2}\!f[\nabla f] \\" in outcome.out


@pytest.mark.parametrize("rule", ["unit(g)", "g+hvp(g)", "g+(grad(rho*unit(g))-g)/rho", "norm(g)*g", "mean(norm(g))*g"])
def test_terms_with_crossing_expectations_are_shown(cli, rule, tmp_path):
    """At order 2 their first mismatch has terms such as E_12[T_1[g_2, g_2]]."""
    outcome = cli("derive", rule, "--weak-order", 2, "--rho-exponent", "2/3", "--proof", tmp_path / "p.tex")
    assert outcome.code == 0
    assert "E₁₂[" in outcome.out
    assert r"\mathbb{E}_{1,2}" in (tmp_path / "p.tex").read_text()
    assert "‖g‖ is bounded away from 0, for every minibatch" in outcome.out or rule == "g+hvp(g)"


def test_derive_as_torch_is_the_code_that_runs(cli):
    outcome = cli("derive", "sam", "--weak-order", 2, "--rho-exponent", "2/3", "--format", "torch")
    namespace = {}
    exec(outcome.out, namespace)
    f, x = TiltedTorus.default(2), torch.tensor([[0.3, 0.4]], dtype=torch.float64)
    increments, correction, _ = namespace["coefficients"](f, x, 0.1, {})
    drift, _ = sde.drift_and_covariance(f, sde.derive(sde.find_rule("sam"), 2, "2/3"), x, 0.1, 0.5)
    torch.testing.assert_close(increments.mean(-2) + 0.5 * correction[..., 0, :], drift)


def test_derive_as_json_and_json_file_agree(cli, tmp_path):
    outcome = cli("derive", "eigen-sam", "--format", "json", "--json", tmp_path / "d.json")
    written = json.loads((tmp_path / "d.json").read_text())
    assert json.loads(outcome.out) == written  # nothing but JSON on stdout
    assert written["weak_order"] == "1"
    assert written["drift"]["0"] == {"text": "-Df", "latex": r"-\nabla f"}
    assert [m["exponent"] for m in written["matched"]] == ["1", "4/3", "5/3"]
    assert {m["exponent"] for m in written["mismatch"]} == {"2"}
    assert "alpha^2" in written["share_of_eigenvalue_gradient"]["text"]


def test_proof_is_written(cli, tmp_path):
    outcome = cli("derive", "sam", "--weak-order", 1, "--rho-exponent", "1/3", "--proof", tmp_path / "new" / "out.tex")
    assert outcome.code == 0
    assert (tmp_path / "new" / "out.tex").read_text().startswith(r"\documentclass")
    assert "wrote" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["derive", "adam"], "unknown rule 'adam'; choose one of: sgd, usam, sam"),
        (["derive", "grad(rho*w)"], "unbound symbol 'w'.*parameter\\('w'\\)"),
        (["derive", "grad(eta*g)"], "contains eta.* write that radius as rho"),
        (["derive", "g + unit(rho*g)"], "norm\\(rho\\*g\\) vanishes at rho = 0"),
        (["derive", "grad(0.5*g)"], "the gradient's shift g/2 does not vanish"),
        (["derive", "g*0"], "the step 0\\*g is 0; give one that moves x"),
        (["derive", "sam", "--proof", "checkpoint.json"], "has the name of a file of a run directory"),
        (
            ["derive", "sam", "--proof", "same", "--json", "./same"],
            "--json and --proof are both .*same; give two files",
        ),
        (["derive"], "derive takes a RULE, such as sam, or --like RUN"),
        (["derive", "sam", "--format", "word"], "word"),
        (["derive", "sam", "--weak-order", "1.5"], "Invalid value for '--weak-order'"),
        (["derive", "-(g)"], "No such option.*put -- before"),
        (["nope"], "No such command 'nope'"),
        (["weak-order", "g*(1+loss())", "--dim", "1"], "a loss, which is not periodic"),
        (["derive", "grad(rho*g"], "is not an expression"),
        (["derive", "sam", "--rho-exponent", "pi"], "--rho-exponent 'pi' is not rational"),
        (["derive", "sam", "--rho-exponent", "0"], "not positive"),
        (["derive", "sam", "--weak-order", "3"], "weak order 3 is impossible"),
        (["derive", "sam", "--proof", "/dev/null/out.tex"], "cannot write --proof"),
        (["weak-order", "sam", "--drift-order", "1", "--weak-order", "1"], "use one of both"),
        (["weak-order", "cr-sam"], "the symbol alpha is unbound"),
        (["weak-order", "cr-sam", "--value", "alpha=x"], "--value alpha 'x' is not a number"),
        (["weak-order", "cr-sam", "--value", "alpha"], "--value alpha '' is not a number"),
        (["weak-order", "cr-sam", "--value", "alpha=1,2"], "has no direction alpha; give one number"),
        (["weak-order", "eigen-sam", "--value", "alpha=1", "--value", "v=0,0"], "length nan"),
        (["weak-order", "eigen-sam", "--value", "alpha=1", "--value", "v=1"], r"has shape \(1,\)"),
    ],
)
def test_refusals(refused, arguments, message):
    assert re.search(message, refused(*arguments))

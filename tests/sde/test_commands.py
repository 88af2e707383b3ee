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


MOMENTUM = "m = 9/10*m + g; x = x - eta*m"


def test_derive_statements(cli):
    outcome = cli("derive", MOMENTUM, "--weak-order", 2, "--rho-exponent", 1)
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == MOMENTUM
    for part in ("b  = -∇f - 19/2 ε ∇²f ∇f", "ε = 10 η is the effective rate", "X₀ = x₀ + η χ(x₀,m₀)"):
        assert part in outcome.out


def test_derive_what_is_trained(cli, tmp_path):
    """Momentum, a cosine outside the buffer, reshuffled epochs that leave a minibatch out: all at once."""
    outcome = cli(
        *("derive", "m = 9/10*m + g; x = x - eta*s*m", "--weak-order", 2, "--rho-exponent", 1),
        *("--schedule", "s=(1+cos(pi*t))/2", "--epochs", "reshuffled", "--batches", 469, "--epoch-steps", 468),
        *("--json", tmp_path / "d.json", "--proof", tmp_path / "p.tex"),
    )
    assert "b  = -s ∇f + ½ ε s' ∇f - 54877/6084 ε s² ∇²f ∇f - 2921/6084 ε s² E[Hg]" in outcome.out
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["sampling"]["law"] == "Reshuffled"
    assert found["schedules"]["s"]["formula"] == "(1+cos(pi*t))/2"
    assert found["effective_rate"] == "10"
    assert r"\section*{Epochs}" in (tmp_path / "p.tex").read_text()


@pytest.mark.parametrize(
    ("epochs", "b1"),
    [
        (["independent"], "-∇f - ½ η ∇²f ∇f"),
        (["reshuffled", "--batches", 2], "-∇f - ½ η E[Hg]"),
        (["single-shuffle", "--batches", 2], "-∇f - ½ η E[Hg]"),
        (["given-order", "--batches", 2], "-∇f - ½ η ∇²f ∇f + η E_b[-H\u2113]"),
    ],
    ids=["independent", "reshuffled", "single", "given"],
)
def test_derive_a_rule_with_epochs(cli, epochs, b1):
    outcome = cli("derive", "sgd", "--weak-order", 2, "--rho-exponent", 1, "--epochs", *epochs)
    assert f"  b  = {b1}\n" in outcome.out


def test_derive_distinct_draws_of_a_cycle(cli):
    """Two steps of one epoch, written out, are the reshuffled epoch."""
    text = "x = x - eta*grad(draw='a'); x = x - eta*grad(draw='b')"
    outcome = cli("derive", text, "--weak-order", 2, "--rho-exponent", 1, "--distinct", 2, "--inner-steps", 2)
    assert "  b  = -∇f - ½ η E[Hg]\n" in outcome.out
    assert "  Σ  = 0\n" in outcome.out
    alone = cli("derive", text, "--weak-order", 2, "--rho-exponent", 1, "--inner-steps", 2)
    assert "  b  = -∇f - ½ η ∇²f ∇f\n" in alone.out


def test_derive_a_known_recursion(cli):
    outcome = cli("derive", "nesterov", "--weak-order", 2, "--rho-exponent", 1)
    assert "b  = -∇f - 43/5 ε ∇²f ∇f" in outcome.out
    assert "nesterov" in cli("derive", "--help").out


def test_derive_says_which_regime(cli, tmp_path):
    path = tmp_path / "f.json"
    path.write_text('{"kind": "quadratic", "hessian": [[5.0]], "centres": [[1.0], [-1.0]]}')
    arguments = ("derive", MOMENTUM, "--rho-exponent", 1, "--landscape", path)
    outcome = cli(*arguments, "--eta", "0.1", "--json", tmp_path / "d.json")
    shown = " ".join(outcome.out.split())
    assert "eta*lambda_1/(1 - sqrt(beta))^2 = 189.868 with lambda_1 = 5 everywhere: not below 1" in shown
    found = json.loads((tmp_path / "d.json").read_text())["regime"]
    assert (found["name"], found["curvature"], found["where"]) == ("scaled friction", 5.0, "everywhere")
    assert "far below 1" in cli(*arguments, "--eta", "1/100000").out
    assert "there is no fast memory" in cli("derive", "sgd", "--landscape", path, "--eta", "0.1").out
    assert "regime" not in cli("derive", MOMENTUM, "--rho-exponent", 1).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["derive", MOMENTUM, "--batches", "4"],
            "--batches has no effect here: it belongs to --epochs reshuffled, single",
        ),
        (
            ["derive", MOMENTUM, "--epochs", "given-order", "--batches", "4", "--epoch-steps", "3"],
            "--epoch-steps has no effect here: it belongs to --epochs reshuffled",
        ),
        (["derive", "sam", "--schedule", "s=t"], "--schedule has no effect here: it belongs to a RULE of statements"),
        (["derive", "sam", "--distinct", "4"], "--distinct has no effect here"),
        (["derive", "sam", "--inner-steps", "4"], "--inner-steps has no effect here"),
        (["derive", MOMENTUM, "--eta", "1"], "--eta has no effect here: it belongs to --landscape"),
        (["derive", MOMENTUM, "--landscape", "f.json"], "at a learning rate; give --eta"),
        (["derive", MOMENTUM, "--landscape", ".", "--eta", "1"], "is a folder; give a landscape file"),
        (["derive", MOMENTUM, "--landscape", "no.json", "--eta", "1"], "no.json"),
        (["derive", MOMENTUM, "--landscape", "no.json", "--eta", "x"], "--eta 'x' is not a number"),
        (["derive", MOMENTUM, "--epochs", "reshuffled"], "--epochs reshuffled needs the number of minibatches"),
        (["derive", MOMENTUM, "--epochs", "random"], "'random' is not one of 'independent', 'reshuffled'"),
        (["derive", MOMENTUM, "--schedule", "s"], "--schedule 's' is not NAME=FORMULA"),
        (["derive", "m = m + g; x = x - eta*m"], "a step multiplies m by 1, so it never forgets"),
        (["derive", "m = 9/10*m + g"], "no statement moves x"),
        (["derive", "x = x - eta*m"], "unbound symbol 'm'.*--schedule m="),
        (["derive", "x = x - g"], "without a factor eta"),
        (["derive", "d = 9/10*d + g; x = x - eta*grad(rho*unit(d))"], "only memory that is affine|no polynomial"),
        (["derive", "g + x/1000"], "part of statements only.*x = x - eta"),
    ],
)
def test_refusals_of_what_is_trained(refused, arguments, message):
    assert re.search(message, refused(*arguments))


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

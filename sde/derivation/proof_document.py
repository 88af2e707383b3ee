r"""The proof of an SDE's weak order as a LaTeX document.

Only ``amsmath``, ``amssymb`` and ``geometry`` are needed.
"""

from ..algebra.printing import series_terms, signed_terms
from ..rules.latex_styles import LATEX, RULE_LATEX
from ..rules.nodes import Add
from ..rules.recursion import Recursion
from ..rules.style import signed
from .derived_sde import SDE
from .document_parts import ETA, RHO, RHO_LAW, equation, power, title
from .proof import Match
from .recursion_document import recursion_sections
from .recursion_equations import block_terms

__all__ = ["proof_document"]

_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage{amsmath,amssymb}
\usepackage[margin=25mm]{geometry}
\allowdisplaybreaks
\begin{document}
"""


def proof_document(sde: SDE) -> str:
    r"""A document that states the SDE and matches both one-step operators, power by power.

    Example:
        >>> from eigensam.sde import derive, find_rule
        >>> print(proof_document(derive(find_rule("sam"), 1, "1/3")).splitlines()[0])
        \documentclass[11pt]{article}
    """
    first, *sections = _sections(sde) if sde.parts is None else recursion_sections(sde)
    parts = [
        _PREAMBLE,
        first,
        _notation(len(sde.blocks) > 1),
        *sections,
        _mismatch(sde),
        _dropped(sde),
        _assumptions(sde),
        r"\end{document}" + "\n",
    ]
    return "\n".join(parts)


def _sections(sde: SDE) -> list[str]:
    return [_statement(sde), _expansion(sde), _operators(sde)]


def _statement(sde: SDE) -> str:
    noise = series_terms(sde.covariance, LATEX)
    correction = series_terms(sde.correction, LATEX, prefix=ETA)
    covariance = (
        equation(r"\Sigma = \operatorname{Cov}_\gamma(h'), \qquad h'", noise, "") if noise else r"\[\Sigma = 0\]"
    )
    step = sde.memoryless.step
    parts = step.parts if isinstance(step, Add) else (step,)
    written = [signed(part.written(RULE_LATEX)) for part in parts]
    rule = equation(r"x^+ = x - \eta\, d_\gamma(x), \qquad d_\gamma", written, ",")
    return rf"""\section*{{{title(sde)} has weak order {sde.weak_order}}}
The update rule is
{rule}
with ${power(RHO_LAW, sde.rho_exponent)}$ for a constant $c > 0$.
Claim: under the assumptions at the end, the solution of
\[ dX = b(X)\,dt + \sqrt{{\eta}}\;\Sigma(X)^{{1/2}}\,dW \]
with
{equation("b", [*series_terms(sde.drift, LATEX), *correction], "")}
and
{covariance}
approximates it with weak order ${sde.weak_order}$:
$\max_{{k \le T/\eta}} |\mathbb{{E}}\,\varphi(x_k) - \mathbb{{E}}\,\varphi(X_{{k\eta}})|
\le C\,{power(ETA, sde.weak_order)}$ for smooth $\varphi$ of polynomial growth."""


def _notation(several: bool) -> str:
    return (_NOTATION + _BLOCKS) if several else _NOTATION


_BLOCKS = r"""
$\nabla^2\!\varphi_{m, x}[a, b]$ is a derivative of $\varphi$ in the block $m$ along $a$ and in $x$ along $b$."""
_NOTATION = r"""\section*{Notation}
$\gamma$ is the minibatch of the step, $f_\gamma$ its loss, $f = \mathbb{E} f_\gamma$; $g = \nabla f_\gamma$,
$H = \nabla^2 f_\gamma$, $T = \nabla^3 f_\gamma$. A derivative in brackets, as $T[a, b]$,
is contracted with its arguments; one slot fewer than its order leaves a vector, none leaves a number. $\mathbb{E}$ is
over a minibatch that is independent of all outside its brackets; where two of them cross, $g_1$, $H_2$, \dots{} belong
to independent minibatches 1, 2, \dots{}, over which $\mathbb{E}_{1,2}$ runs."""


def _expansion(sde: SDE) -> str:
    last = max([sde.proof.largest_rho_power, *sde.increments])
    expansion = sde.proof.expansion
    assert expansion is not None
    terms = series_terms(expansion(last).coefficients, LATEX)
    increment = equation(r"h_\gamma", [*terms, ("+", rf"O(\rho^{{{last + 1}}})")])
    return rf"""\section*{{The increment}}
Taylor's formula, applied from the inside out, expands the increment $h_\gamma = -d_\gamma$ in $\rho$:
{increment}"""


def _operators(sde: SDE) -> str:
    matches = "\n".join(_match(match) for match in sde.proof.matched)
    return rf"""\section*{{Both one-step operators}}
With $h_\gamma = \sum_k \rho^k h_k$, one step of the rule acts on a test function as
\[ (P\varphi)(x) = \mathbb{{E}}\,\varphi(x + \eta h_\gamma)
   = \sum_a \frac{{\eta^a}}{{a!}} \sum_{{k_1, \dots, k_a}} \rho^{{k_1 + \dots + k_a}}\;
     \mathbb{{E}}\bigl[\nabla^a\!\varphi[h_{{k_1}}, \dots, h_{{k_a}}]\bigr], \]
and the SDE over a time $\eta$ as $e^{{\eta L}}\varphi = \sum_n \frac{{\eta^n}}{{n!}} L^n \varphi$ with the generator
$L = b\cdot\nabla + \tfrac{{\eta}}{{2}}\,\Sigma : \nabla^2$. The coefficients of $\eta^a\rho^k$, whose exponent is
$a + k\beta$ with $\beta = {sde.rho_exponent}$, agree identically, in this order:
{matches}"""


def _match(match: Match) -> str:
    name = power(ETA, match.eta_power) + (power(RHO, match.rho_power) if match.rho_power else "")
    return f"\\paragraph{{${name}$, exponent ${match.exponent}$.}} Both operators have\n" + equation(
        rf"[{name}]\,P\varphi = [{name}]\,e^{{\eta L}}\varphi", signed_terms(match.chain, LATEX)
    )


_WHERE = r"""
On the left $\Phi\varphi$ is $\varphi$ of the slow variable, up to $O(\eta^2)$; on the right it is $\varphi$ at the
shifted start. As $\mu(\chi) = 0$ and fast blocks forget geometrically, the expectation of a function of the slow blocks
differs from that of the slow variable by $O(\eta^2)$ after $O(\log(1/\eta))$ steps."""
_NEARBY = r"""
On the left $\Phi\varphi$ is $\varphi$ of the slow blocks, on the right it is $\varphi$ at their start, both up to
$O(\eta)$."""


def _mismatch(sde: SDE) -> str:
    proof = sde.proof
    recursion = isinstance(sde.rule, Recursion)
    difference = r"(P\Phi - \Phi e^{W\eta L})\varphi" if recursion else r"(P - e^{\eta L})\varphi"
    if not proof.mismatch:
        body = "No power of exponent up to 3 differs."
        exponent = proof.weak_order + 1
    else:
        exponent = proof.mismatch[0].exponent
        parts = []
        for match in proof.mismatch:
            name = power(ETA, match.eta_power) + (power(RHO, match.rho_power) if match.rho_power else "")
            parts.append(equation(rf"[{name}]\,{difference}", signed_terms(match.difference, LATEX)))
        body = rf"The first exponent at which they differ is ${exponent}$:" + "\n" + "\n".join(parts)
    if recursion:
        where = "" if not sde.memory else _WHERE if sde.correction_order else _NEARBY
        return rf"""\section*{{The first mismatch, and the order}}
{body}
So with a second corrector $\eta^2\varphi_2$ in $\Phi$ the local error is
${difference} = O({power(ETA, exponent)})$, uniformly where the assumptions hold, and as both $P$ and
$e^{{W\eta L}}$ keep the growth of smooth functions bounded on $[0, T]$, the telescoping sum
\[ P^k\Phi\varphi - \Phi e^{{kW\eta L}}\varphi
   = \sum_{{j < k}} P^{{k - 1 - j}}\,(P\Phi - \Phi e^{{W\eta L}})\,e^{{jW\eta L}}\varphi, \qquad k \le T/(W\eta), \]
adds $O(1/\eta)$ of them: the global error is $O({power(ETA, exponent - 1)})$.{where} $\square$"""
    return rf"""\section*{{The first mismatch, and the order}}
{body}
So the local error is $|(P - e^{{\eta L}})\varphi| = O({power(ETA, exponent)})$, uniformly where the assumptions
hold, and as both $P$ and $e^{{\eta L}}$ keep the growth of smooth functions bounded on $[0, T]$, the telescoping sum
\[ P^k\varphi - e^{{k\eta L}}\varphi
   = \sum_{{j < k}} P^{{k - 1 - j}}\,(P - e^{{\eta L}})\,e^{{j\eta L}}\varphi, \qquad k \le T/\eta, \]
adds at most $T/\eta$ of them: the global error is $O({power(ETA, exponent - 1)})$. $\square$"""


def _dropped(sde: SDE) -> str:
    if not sde.dropped:
        return ""
    rows = "\n".join(
        rf"\item {d.part}, ${power(RHO, d.rho_power) if d.rho_power else '1'}$ term, global error "
        rf"$O({power(ETA, d.order)})$:"
        + "\n"
        + equation(_dropped_name(d.part, d.rho_power), block_terms(d.term, LATEX))
        for d in sde.dropped
    )
    return rf"""\section*{{What was dropped}}
\begin{{itemize}}
{rows}
\end{{itemize}}"""


def _dropped_name(part: str, power: int) -> str:
    return {
        "drift": rf"\mathbb{{E}}\,h_{{{power}}}",
        "correction": rf"b_{{1,{power}}}",
        "covariance": rf"h_{{{power}}}",
    }[part]


def _assumptions(sde: SDE) -> str:
    sentences = sde.assumptions_in(LATEX)
    items = "\n".join(rf"\item {sentence}." for sentence in sentences)
    return f"\\section*{{Assumptions}}\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}"

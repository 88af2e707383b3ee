r"""The proof of a recursion's SDE, in the sections that :mod:`.proof_document` puts together."""

from fractions import Fraction

from ..algebra.printing import series_terms, signed_terms
from ..rules.latex_styles import LATEX
from ..rules.sampling import GivenOrder, Sampling, SingleShuffle
from .derived_sde import SDE
from .document_parts import ETA, RHO_LAW, aligned, equation, power, title
from .proof import Match
from .recursion_equations import RecursionEquations

__all__ = ["recursion_sections"]


def recursion_sections(sde: SDE) -> list[str]:
    """The recursion and its SDE, the expanded step, the corrector, the two identities, and what epochs add."""
    return [_statement(sde), _step(sde), _corrector(sde), _identities(sde), *_epochs(sde)]


def _statement(sde: SDE) -> str:
    written = RecursionEquations(sde, latex=True)
    statements = aligned([(row.left, row.terms, row.relation) for row in written.statements()])
    where = [*written.schedules(), *written.effective_rate()]
    known = f", and\n{aligned([(row.left, row.terms, '=') for row in where])}" if where else "."
    claimed = aligned([(row.left, row.terms, "=") for row in (*written.equations(), *written.start())])
    items = "\n".join(rf"\item {sentence}." for sentence in written.remarks())
    remarks = f"\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}" if items else ""
    rate, law = written.rate, f"${power(RHO_LAW, sde.rho_exponent)}$"
    blocks = ", ".join(f"${LATEX.state(name)}$" for name in sde.blocks)
    return rf"""\section*{{{title(sde)} has weak order {sde.weak_order}}}
One step is, line by line, each of which sees what those before it have done,
{statements}
with {law} for a constant $c > 0${known}
Claim: under the assumptions at the end, the solution of
{claimed}
approximates the slow blocks, {blocks}, with weak order ${sde.weak_order}$,
one step of training taking the time ${rate}$.{remarks}"""


def _names(sde: SDE) -> tuple[str, str]:
    slow = ", ".join(LATEX.state(name) for name in sde.blocks)
    fast = ", ".join(LATEX.state(name) for name in sde.memory)
    return f"({slow})" if len(sde.blocks) > 1 else slow, f"({fast})" if len(sde.memory) > 1 else fast


def _step(sde: SDE) -> str:
    assert sde.parts is not None
    proof = sde.proof
    largest = max((match.exponent for match in (*proof.matched, *proof.mismatch)), default=Fraction(1))
    step = sde.parts.effective(largest).step
    slow, fast = _names(sde)
    written = []
    for name, graded in [*step.moves.items(), *step.maps.items()]:
        old = f" - {LATEX.state(name)}" if name in step.moves else ""
        terms = []
        for (a, k), value in sorted(graded.items(), key=lambda item: item[0][0] + item[0][1] * sde.rho_exponent):
            if not old and a + k * sde.rho_exponent > largest - 1:
                continue  # what is fast enters with a factor eta
            prefix = LATEX.space.join([*([power(ETA, a)] if a else []), *([power(r"\rho", k)] if k else [])])
            terms += signed_terms(value, LATEX, prefix)
        written.append((f"{LATEX.state(name)}^+{old}", [*terms, ("+", r"\dots")], "="))
    labels = [
        f"${'g' + chr(39) * (-1 - number)}$ is that of the minibatch {label}"
        for label, number in step.draws.items()
        if number
    ]
    draws = f"\nHere {', '.join(labels)}, and so with $H$ and $T$." if labels else ""
    memory = (
        rf"The slow blocks, ${slow}$, stay where they are at $\eta = 0$. There a step contracts the others, ${fast}$,"
        + "\nwhich have one invariant law with the slow blocks held, "
        r"$\mu$, whose averages are computed exactly."
        if fast
        else rf"All blocks, ${slow}$, stay where they are at $\eta = 0$: nothing is averaged out."
    )
    body = aligned(written)
    return rf"""\section*{{The step}}
Taylor's formula, applied from the inside out, expands what a step does in $\eta$ and $\rho$, up to the exponent
${largest}$:
{body}{draws}
{memory}"""


def _corrector(sde: SDE) -> str:
    if not sde.memory or sde.parts is None:
        return ""
    proof = sde.proof
    largest = max((match.exponent for match in (*proof.matched, *proof.mismatch)), default=Fraction(1))
    one = sde.parts.effective(largest)
    several = len(sde.blocks) > 1
    shown = []
    for name, powers in one.corrector.items():
        letter = rf"\chi_{{{LATEX.state(name)}}}" if several else r"\chi"
        kept = {k: value for k, value in powers.items() if 1 + k * sde.rho_exponent <= largest}
        shown.append((letter, [*series_terms(kept, LATEX), ("+", r"\dots")], "="))
    slow, _ = _names(sde)
    body = aligned(shown)
    return rf"""\section*{{The corrector}}
Let $\eta G$ be the part of ${slow}^+ - {slow}$ that has one factor $\eta$, and $P_0$ the one-step operator at
$\eta = 0$. With $b_0 = \mu(\mathbb{{E}}\,G)$ the corrector $\chi$ solves
$(I - P_0)\chi = \mathbb{{E}}\,G - b_0$, $\mu(\chi) = 0$:
{body}"""


def _identities(sde: SDE) -> str:
    written = RecursionEquations(sde, latex=True)
    steps = written.recursion.inner_steps
    over = rf"\tfrac{{W^2}}{{{steps}}}" if steps > 1 else "W^2"
    right = rf"\bigl(\tfrac12 W^2 L_0^2 + {over} L_1\bigr)\varphi"
    matches = "\n".join(_match(match, bool(sde.memory)) for match in sde.proof.matched)
    time = r"\partial_t + " if written.recursion.schedules else ""
    compared = _WITH_MEMORY if sde.memory else _WITHOUT_MEMORY
    return rf"""\section*{{Both one-step operators}}
One step acts on functions as $P = P_0 + \eta P_1 + \eta^2 P_2 + \dots$, with $\mathbb{{E}}$ over its minibatches. The
SDE over the time $W\eta$ of a step, $W = {LATEX.rational(sde.rate * steps)}$, acts as $e^{{W\eta L}}$ with
$L = L_0 + {written.rate} L_1$, $L_0 = {time}b_0\cdot\nabla$, $L_1 = b_1\cdot\nabla + \tfrac12\,\Sigma : \nabla^2$.
{compared.replace("RIGHT", right)}
The coefficients, whose exponent is $a + k\beta$ with $\beta = {sde.rho_exponent}$, agree identically, in this order:
{matches}"""


_WITH_MEMORY = r"""Both are applied to $\Phi\varphi = \varphi + \eta\,\chi\cdot\nabla\varphi$, a function of the slow
blocks corrected by the fast ones. What has to agree is, at $\eta$, with the fast blocks in it,
\[ P_1\varphi + (P_0 - I)\,\chi\cdot\nabla\varphi = W L_0\,\varphi, \]
and at $\eta^2$, averaged over $\mu$,
\[ \mu\bigl(P_2\varphi + P_1(\chi\cdot\nabla\varphi) - \chi\cdot\nabla(W L_0\varphi)\bigr) = RIGHT. \]
An average suffices there, since what has mean zero is $(I - P_0)\varphi_2$ of some $\varphi_2$, which a second
corrector $\eta^2\varphi_2$ takes away."""
_WITHOUT_MEMORY = r"""Both are applied to $\Phi\varphi = \varphi$, since there are no fast blocks. What has to agree is
\[ P_1\varphi = W L_0\,\varphi, \qquad P_2\varphi = RIGHT. \]"""


def _match(match: Match, averaged: bool) -> str:
    name = power(ETA, match.eta_power) + (power(r"\rho", match.rho_power) if match.rho_power else "")
    where = ", averaged" if averaged and match.eta_power == 2 else ""
    return f"\\paragraph{{${name}$, exponent ${match.exponent}${where}.}} Both sides have\n" + equation(
        f"[{name}]", signed_terms(match.chain, LATEX)
    )


def _epochs(sde: SDE) -> list[str]:
    written = RecursionEquations(sde, latex=True)
    sampling, rate = written.recursion.sampling, written.rate
    if sampling.epoch == 1 or not sde.correction_order or sde.parts is None:
        return []
    batches = getattr(sampling, "batches", sampling.family)
    family = f", from a family of $N = {batches}$ minibatches," if batches else ""
    return [
        rf"""\section*{{Epochs}}
Here {sampling.words}.
The slow variable obeys $y^+ = y + {rate}\,h_n\bigl(y - {rate} \sum_l c_l h_{{n-l}}\bigr)$ up to terms that do not hold
two minibatches, with weights $c_l$ of what memory has of the step $l$ steps ago. So the minibatches of two steps meet
at ${rate}^2$, and over an epoch of $M = {sampling.epoch}$ steps{family}
{_PAIRS}
where $\bar h = \mathbb{{E}} h$, and $b_1^{{\mathrm{{ind}}}}$ is that of independent minibatches, for which both
operators were compared above.
{_pairs(sde, sampling)}"""
    ]


_PAIRS = r"""\begin{align*}
b_1 &= b_1^{\mathrm{ind}} + \frac1M \sum_{a<b} \bigl(\mathbb{E}\,(D h_b) h_a - (D\bar h)\bar h\bigr)
 - \sum_{l \ge 1} c_l\,\operatorname{avg}_n \bigl(\mathbb{E}\,(D h_n) h_{n-l} - (D\bar h)\bar h\bigr), \\
\Sigma &= \tfrac1M \operatorname{Cov}(h_1 + \dots + h_M),
\end{align*}"""
_RESHUFFLED = r"-\frac{1}{N-1}\Bigl[\frac{M-1}{2} - \sum_{l<M} c_l\Bigl(1 - \frac lM\Bigr)\Bigr]"
_ALIKE: dict[type[Sampling], str] = {
    SingleShuffle: r"-\Bigl[\frac12 + \sum_{N \mid l} c_l - \frac{1}{N-1}\sum_{N \nmid l} c_l\Bigr]",
}
_LAGGED = r"The sums are $\mathbb{E}_b\,(D h_b)[\ell]$ with the $\ell$ of the claim."


def _pairs(sde: SDE, sampling: Sampling) -> str:
    if isinstance(sampling, GivenOrder):
        return rf"""Nothing is random, so that $\Sigma = 0$. {_LAGGED}
The first sum is not symmetric in the order of a pair, and inside an epoch partial sums differ from their mean at order
1."""
    if sde.ordered or sde.parts is None:
        return f"The law of a pair depends on the pair. {_LAGGED}"
    terms = sde.parts.epochs(sde.correction_order)
    sign = "-" if terms.share < 0 else ""
    added = equation(r"\kappa\,C", series_terms(terms.correction, LATEX))
    return rf"""All pairs are alike, so that with $\tilde h = h - \bar h$ and $C = \mathbb{{E}}\,(D\tilde h)\tilde h$
the sums are $\kappa\,C$,
\[ \kappa = {_ALIKE.get(type(sampling), _RESHUFFLED)} = {sign}{LATEX.rational(abs(terms.share))}, \qquad
\Sigma = {LATEX.rational(sampling.noise())}\,\operatorname{{Cov}} h, \]
{added}"""

"""A recursion's SDE as formulas: statements, effective rate, equations of the slow blocks, the shifted start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..algebra.printing import series_terms, show, signed_terms
from ..algebra.sums import Sum
from ..rules.latex_styles import LATEX, RULE_LATEX
from ..rules.leaves import POSITION
from ..rules.nodes import Add
from ..rules.plain_styles import TEXT, UNICODE
from ..rules.recursion import Recursion
from ..rules.sampling import GivenOrder
from ..rules.style import Style, joined, signed
from .averaging.recursion_parts import LAGGED, by_block
from .equations import expression_texts, wrapped
from .printed_sde import Powers, PrintedSDE

__all__ = ["Equation", "RecursionEquations", "block_terms", "block_texts", "powers_texts", "show_blocks"]

_LARGEST_KERNEL = 64  # rows in JSON

Terms = list[tuple[str, str]]


@dataclass(frozen=True)
class Equation:
    """One line: a side, how it is related to the other, and the signed terms of the other."""

    left: str
    terms: Terms
    relation: str = "="


@dataclass(frozen=True)
class RecursionEquations:
    """What is printed of a recursion's SDE, in Unicode or LaTeX.

    Args:
        sde: of a recursion.
        latex: whether in LaTeX.
    """

    sde: PrintedSDE
    latex: bool

    @property
    def recursion(self) -> Recursion:
        """What is trained."""
        assert isinstance(self.sde.rule, Recursion)
        return self.sde.rule

    @property
    def style(self) -> Style:
        """With a letter of its own for the direction along which a given order differentiates."""
        base = LATEX if self.latex else UNICODE
        letter = r"\ell" if self.latex else "\u2113"
        return replace(base, direction=lambda name: letter if name == LAGGED else base.direction(name))

    @property
    def rate(self) -> str:
        """The letter of the effective rate; that of the learning rate, where both are the same."""
        return self.style.parameter("eta" if self.sde.rate == 1 else "epsilon")

    def statements(self) -> list[Equation]:
        """One step, line by line."""
        style = RULE_LATEX if self.latex else UNICODE
        arrow = r"\leftarrow" if self.latex else "←"
        found = []
        for name, value in self.recursion.statements:
            parts = value.parts if isinstance(value, Add) else (value,)
            found.append(Equation(style.state(name), [signed(part.written(style)) for part in parts], arrow))
        return found

    def schedules(self) -> list[Equation]:
        """Their formulas."""
        import sympy  # here, since most recursions have none

        write = sympy.latex if self.latex else lambda formula: str(formula).replace("**", "^")
        return [
            Equation(f"{self.style.parameter(name)}(t)", [signed(write(schedule.expression))])
            for name, schedule in self.recursion.schedules.items()
        ]

    def effective_rate(self) -> list[Equation]:
        """Nothing where it is the learning rate."""
        if self.sde.rate == 1:
            return []
        body = self.style.space.join([self.style.rational(self.sde.rate), self.style.parameter("eta")])
        return [Equation(self.rate, [("+", body)])]

    def equations(self) -> list[Equation]:
        """``dX``, drift and covariance; with several slow blocks a line for each of their equations."""
        blocks = self.sde.blocks
        noisy = self._noise()
        if blocks == (POSITION,):
            change = Equation("dX", [("+", self._dt("b")), *([("+", self._dw(""))] if noisy else [])])
            return [change, Equation(self._padded("b"), self._drift(POSITION)), *self._covariance(noisy)]
        drifts = {name: self._drift(name) for name in blocks}
        several = len(noisy) > 1
        changes = []
        for name in blocks:
            terms = [("+", self._dt(self._sub("b", name)))] if drifts[name] else []
            if name in noisy:
                terms.append(("+", self._dw(name if several else "")))
            changes.append(Equation(f"d{self.style.state(name)}", terms))
        drift = [Equation(self._sub("b", name), terms) for name, terms in drifts.items() if terms]
        return [*changes, *drift, *self._covariance(noisy)]

    def start(self) -> list[Equation]:
        """Where the SDE starts, and the corrector in it; nothing where the start is the training's."""
        found = []
        several = len(self.sde.blocks) > 1
        eta, chi = self.style.parameter("eta"), self.style.parameter("chi")
        for name, powers in self.sde.corrector.items():
            letter = self._sub(chi, name) if several else chi
            start = f"{self.style.state(name)}(0)" if several else self._zero("X")
            moved = self.style.space.join([eta, f"{letter}({self._arguments(start=True)})"])
            found += [
                Equation(start, [("+", self._zero(self.style.state(name))), ("+", moved)]),
                Equation(letter if several else self._padded(letter), series_terms(powers, self.style)),
            ]
        return found

    def slow_variable(self) -> str:
        """The sentence that says what the SDE follows; empty where that is the position itself."""
        if not self.sde.corrector:
            return ""
        style, several = self.style, len(self.sde.blocks) > 1
        eta, chi = style.parameter("eta"), style.parameter("chi")
        names = []
        for name in self.sde.corrector:
            letter = self._sub(chi, name) if several else chi
            names.append(style.math(f"{style.state(name)} + {eta}{style.space}{letter}({self._arguments()})"))
        own = ", ".join(style.math(style.state(name)) for name in self.sde.corrector)
        log = r"\log" if self.latex else "log"
        law = style.math(f"O({log}(1/{eta}))")
        memory = ", ".join(style.math(style.state(name)) for name in self.sde.memory)
        follows = f"the SDE follows the slow variable {', '.join(names)} from the first step on; {own} itself has "
        if isinstance(self.recursion.sampling, GivenOrder):
            return f"{follows}order 1: at the end of an epoch {memory} always holds most of the same, last minibatches"
        return f"{follows}this order after {law} steps, when {memory} has forgotten where it started"

    def remarks(self) -> list[str]:
        """Sentences on the rate, on time, on where the order holds, on pairs of minibatches, on decimals."""
        style, recursion = self.style, self.recursion
        found = []
        if self.sde.rate != 1:
            equation = f"{self.effective_rate()[0].left} = {joined(self.effective_rate()[0].terms)}"
            time = style.math(self.rate)
            found.append(f"{style.math(equation)} is the effective rate: one step of training takes the time {time}")
        if recursion.inner_steps > 1:
            found.append(
                f"the statements are {recursion.inner_steps} steps of training, which take the time "
                f"{style.math(self._product(str(recursion.inner_steps), self.rate))}; the order holds where they end"
            )
        for name in recursion.schedules:
            prime, slope = style.math(style.parameter(f"{name}'")), style.math(f"d{style.parameter(name)}/dt")
            found.append(f"{prime} is {slope}")
        if recursion.schedules:
            now = style.math(f"t = {self._product('n', self.rate)}")
            found.append(f"step number {style.math('n')} is at the time {now}")
        if sentence := self.slow_variable():
            found.append(sentence)
        if not self.sde.covariance_order:
            found.append("the noise is left out, which order 1 does not notice")
        elif not self._noise():
            found.append("the noise of the minibatches cancels at this order: this is an ODE")
        if isinstance(recursion.sampling, GivenOrder):
            found.append("the order holds at the ends of epochs; inside an epoch the error is of order 1")
        if self.sde.ordered:
            found.append(self._lagged())
        if recursion.sampling.epoch > 1 and self.sde.correction_order:
            found.append(
                "operators are compared with independent minibatches; what the law of an epoch adds to them is the "
                "formula of the theory's section 9"
            )
        return found

    def _lagged(self) -> str:
        style = self.style
        ell, inside = style.direction(LAGGED), "K_{ba}" if self.latex else "K_ba"
        total = r"\sum_a" if self.latex else "Σ_a"
        lagged = style.math(f"{ell} = {total} {inside} h_a")
        expectation = style.math(r"\mathbb{E}_b" if self.latex else "E_b")
        words = (
            f"{expectation} is over the minibatches b of the family, whose derivatives it has, and {lagged} is a sum "
            f"of the increments {style.math('h_a')} of all its minibatches a at the same point"
        )
        if not isinstance(self.recursion.sampling, GivenOrder):
            return f"{words}; {style.math(inside)} is what the law of the epochs says of the pair (theory, section 9)"
        behind, one = ("k_{b - a}", r"[a < b]") if self.latex else ("k_(b-a)", "[a<b]")
        n = self.recursion.sampling.batches
        total = style.math(joined([("-", style.rational(Fraction(n - 1, 2)))]))
        return (
            f"{words}: {style.math(f'{inside} = {one} + {behind}')}, the first 1 where a comes before b in the epoch, "
            f"else 0, and {style.math('-k_j')} the weight that memory gives the minibatch j places behind (modulo "
            f"{n}), plus a constant that makes the sum of all {style.math('k_j')} equal to {total}"
        )

    def lines(self, *, statements: bool) -> list[str]:
        """For a terminal: the equations with the start, and in front of them, if asked for, one step."""
        before = [*self.statements(), *self.schedules()] if statements else []
        found = []
        for equation in before:
            found += wrapped(f"  {equation.left} {equation.relation} ", joined(equation.terms))
        rate = [] if statements else [replace(row, left=self._padded(row.left)) for row in self.effective_rate()]
        found += [""] if statements else []
        for equation in [*rate, *self.equations(), *self.start()]:
            found += wrapped(f"  {equation.left} {equation.relation} ", joined(equation.terms))
        return found

    def latex_lines(self) -> str:
        """The rows of an aligned equation."""
        rows = [*self.statements(), *self.schedules(), *self.effective_rate(), *self.equations(), *self.start()]
        return " \\\\\n".join(f"{row.left} &{row.relation} {joined(row.terms)}" for row in rows)

    def to_dict(self) -> dict[str, Any]:
        """What a recursion's SDE has beside a rule's, for JSON."""
        sde, recursion = self.sde, self.recursion
        unicode, latex = RecursionEquations(sde, latex=False), RecursionEquations(sde, latex=True)
        sampling, kernel = recursion.sampling, sde.parts.kernel if sde.ordered and sde.parts else None
        return {
            "statements": [
                {"block": name, "text": f"{name} = {value}", "latex": f"{row.left} {row.relation} {joined(row.terms)}"}
                for (name, value), row in zip(recursion.statements, latex.statements(), strict=True)
            ],
            "effective_rate": str(sde.rate),
            "inner_steps": recursion.inner_steps,
            "distinct": recursion.distinct,
            "draws": recursion.draws,
            "blocks": {"slow": list(sde.blocks), "fast": {name: str(factor) for name, factor in sde.memory.items()}},
            "sampling": {"law": type(sampling).__name__, "words": sampling.words, "epoch": sampling.epoch}
            | {"family": sampling.family, "noise": str(sampling.noise())},
            "schedules": {
                name: {"formula": schedule.formula, "latex": joined(row.terms)}
                for (name, schedule), row in zip(recursion.schedules.items(), latex.schedules(), strict=True)
            },
            "corrector": {name: powers_texts(powers) for name, powers in sde.corrector.items()},
            "start": [f"{row.left} {row.relation} {joined(row.terms)}" for row in unicode.start()],
            "ordered": {str(k): expression_texts(term) for k, term in sorted(sde.ordered.items())},
            "kernel": kernel if kernel and len(kernel) <= _LARGEST_KERNEL else None,
            "kernel_by_places_behind": self._by_places(kernel),
            "remarks": unicode.remarks(),
        }

    def _by_places(self, kernel: list[list[float]] | None) -> list[float] | None:
        """``k_j`` in ``K_ba = [a < b] + k_{b-a}``."""
        if kernel is None or not isinstance(self.recursion.sampling, GivenOrder):
            return None
        return [kernel[0][-j % len(kernel)] for j in range(len(kernel))]

    def _drift(self, name: str) -> Terms:
        drift = {k: found for k, vector in self.sde.drift.items() if (found := by_block(vector).get(name))}
        correction = {k: found for k, vector in self.sde.correction.items() if (found := by_block(vector).get(name))}
        ordered = series_terms(self.sde.ordered, self.style) if name == POSITION else []
        terms = [*series_terms(drift, self.style), *series_terms(correction, self.style, prefix=self.rate)]
        if ordered:
            inside = joined(ordered)
            mean = rf"\mathbb{{E}}_b\left[{inside}\right]" if self.latex else f"E_b[{inside}]"
            terms.append(("+", self._product(self.rate, mean)))
        return terms

    def _noise(self) -> dict[str, Powers]:
        """By block that has noise: its increments."""
        found: dict[str, dict[int, Sum]] = {}
        for k, vector in self.sde.covariance.items():
            for name, part in by_block(vector).items():
                found.setdefault(name, {})[k] = part
        return {name: powers for name, powers in found.items() if any(h - h.mean() for h in powers.values())}

    def _covariance(self, noisy: Mapping[str, Powers]) -> list[Equation]:
        sigma = r"\Sigma" if self.latex else "Σ"
        if not noisy:
            return [Equation(sigma if self.latex else "Σ ", [])]
        several = len(noisy) > 1
        letter = "h'" if self.latex else "h"
        names = [self._sub(letter, name) if several else letter for name in noisy]
        if self.recursion.sampling.noise_matrix() is not None:
            law = (
                rf"\tfrac{{1}}{{N}} \sum_{{a, b}} Q_{{ab}}\,\tilde{{{letter}}}_a \tilde{{{letter}}}_b^\top"
                if self.latex
                else "1/N Σ_ab Q_ab (h_a - E h) (h_b - E h)ᵀ"
            )
        else:
            law = rf"\operatorname{{Cov}}_\gamma({', '.join(names)})" if self.latex else f"Cov({', '.join(names)})"
        increments = zip(names, noisy.values(), strict=True)
        first, *rest = [Equation(name, series_terms(h, self.style)) for name, h in increments]
        head = rf"{sigma} = {law},\quad {first.left}" if self.latex else f"Σ  = {law}   with {first.left}"
        return [Equation(head, first.terms), *rest]

    def _arguments(self, *, start: bool = False) -> str:
        names = [self.style.state(name) for name in (*self.sde.blocks, *self.sde.memory)]
        return (", " if self.latex else ",").join(self._zero(name) if start else name for name in names)

    def _product(self, *factors: str) -> str:
        return self.style.space.join(factors)

    def _dt(self, drift: str) -> str:
        return self._product(drift, "dt")

    def _dw(self, block: str) -> str:
        noise = r"\Sigma^{1/2}\,dW" if self.latex else "Σ^(1/2) dW"
        if block:
            noise = self._sub(self.style.brackets(noise), block)
        return self._product(rf"\sqrt{{{self.rate}}}" if self.latex else f"√{self.rate}", noise)

    def _sub(self, letter: str, name: str) -> str:
        return f"{letter}_{{{self.style.state(name)}}}" if self.latex else f"{letter}_{self.style.state(name)}"

    def _zero(self, letter: str) -> str:
        return f"{letter}_{{0}}" if self.latex else f"{letter}₀"

    def _padded(self, letter: str) -> str:
        return letter if self.latex else f"{letter} "


def show_blocks(vector: Sum, style: Style) -> str:
    """An expression; a vector of several blocks as ``x: ..., m: ...``.

    Example:
        >>> from eigensam.sde.rules.plain_styles import UNICODE
        >>> show_blocks(Sum.derivative().mean(), UNICODE)
        '∇f'
    """
    parts = by_block(vector)
    if parts.keys() <= {POSITION}:
        return show(vector, style)
    space = r":\ " if style.space != " " else ": "
    gap = r",\quad " if style.space != " " else ", "
    return gap.join(f"{style.state(name)}{space}{show(part, style)}" for name, part in parts.items())


def block_texts(vector: Sum) -> dict[str, str]:
    """As :func:`.equations.expression_texts`, of a vector of several blocks, too."""
    return {"text": show_blocks(vector, TEXT), "latex": show_blocks(vector, LATEX)}


def powers_texts(coefficients: Powers) -> dict[str, dict[str, str]]:
    """Coefficients by power of ``rho``, for JSON."""
    return {str(k): block_texts(c) for k, c in sorted(coefficients.items())}


def block_terms(vector: Sum, style: Style) -> Terms:
    """The signed terms of an expression; of several blocks all as one."""
    return signed_terms(vector, style) if by_block(vector).keys() <= {POSITION} else [("+", show_blocks(vector, style))]

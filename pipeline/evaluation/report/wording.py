"""Numbers as people read them."""

import math
from collections.abc import Mapping

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Probabilities without a colour in a heat map, and the deepest one on which numbers are legible.
_FAINTEST, _DEEPEST = 1e-4, 0.55


def number(value: float) -> str:
    """Format a perplexity."""
    return "∞" if math.isinf(value) else f"{value:,.1f}"


def percent(share: float) -> str:
    """Format a share."""
    return f"{share:.1%}"


def short_percent(p: float) -> str:
    """Format a probability for the cell of a heat map, in percent without the sign."""
    if p < _FAINTEST:
        return "<.01"
    return f"{100 * p:.0f}" if p >= 0.095 else f"{100 * p:.2g}"


def shade(p: float) -> float:
    """Return the opacity of a heat map's cell, from 0 for the least probabilities."""
    if p <= _FAINTEST:
        return 0.0
    return _DEEPEST * (1 - math.log(p) / math.log(_FAINTEST))


def power(value: float) -> str:
    """Format a small number: 2·10⁻⁶."""
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def change(ratio: float) -> str:
    """Format a ratio as a relative change."""
    return f"{ratio - 1:+.1%}".replace("-", "−")


def chance(p: float) -> str:
    """Format a probability that may be very small."""
    if p >= 0.001:
        return percent(p)
    return f"1 in {1 / p:,.0f}" if p > 1e-12 else "less than 1 in 10¹²"


def training_size(windows: Mapping[str, int]) -> str:
    """Describe the trainings of `windows` in explanation.json."""
    return (
        f"{windows['epochs']} epochs of {windows['training_tokens']:,} tokens, "
        f"{windows['tokens_of_an_update']:,} tokens per update"
    )

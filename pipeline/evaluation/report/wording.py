"""Names and numbers, as people write them."""

import math
import re


def label(model: str) -> str:
    """The name of a model in metrics.json, as people write it."""
    name = re.sub(r"kneser_ney_(\d+)", r"Kneser-Ney \1-gram", model)
    return name.replace("_and_", " + ")


def number(value: float) -> str:
    """A perplexity."""
    return "∞" if math.isinf(value) else f"{value:,.1f}"


def percent(share: float) -> str:
    """A share."""
    return f"{share:.1%}"


def power(value: float) -> str:
    """A small number: 2·10⁻⁶."""
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits}·10" + str(int(exponent)).translate(
        str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    )


def change(ratio: float) -> str:
    """How much more or less something is than something else, ratio times."""
    return f"{ratio - 1:+.1%}".replace("-", "−")


def chance(p: float) -> str:
    """A probability that may be very small."""
    if p >= 0.001:
        return percent(p)
    return f"1 in {1 / p:,.0f}" if p > 1e-12 else "less than 1 in 10¹²"

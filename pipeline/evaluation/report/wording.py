"""What several parts of the report say alike."""

import math
import re
from collections.abc import Mapping

from pipeline.evaluation.report.language import FAINTEST, Language

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Opacity of the deepest colour in a heat map on which numbers are legible.
_DEEPEST = 0.55


def shade(p: float) -> float:
    """Return the opacity of a heat map's cell, from 0 for the least probabilities."""
    if p <= FAINTEST:
        return 0.0
    return _DEEPEST * (1 - math.log(p) / math.log(FAINTEST))


def power(value: float) -> str:
    """Format a small number: 2·10⁻⁶."""
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def model_label(label: str, language: Language) -> str:
    """Translate the words in the label of a model: lstm + Kneser-Ney 5-gram."""
    _ = language.gettext
    if label == "unigram":
        return _("unigram")
    if found := re.fullmatch(r"(.* \+ )?Kneser-Ney (\d+)-gram", label):
        return (found[1] or "") + _("Kneser-Ney %(order)s-gram", order=found[2])
    return label


def split_name(split: str, language: Language) -> str:
    """Name a held-out split."""
    _ = language.gettext
    return {"valid": _("validation"), "test": _("test")}.get(split, split)


def rank_band(band: str, language: Language) -> str:
    """Write out a band of ranks of frequency.csv: 1001-10000 → 1,001 to 10,000."""
    _ = language.gettext
    if band == "unknown":
        return _("out of vocabulary")
    first, *last = (language.number(int(end), 0) for end in band.split("-") if end)
    if last:
        return _("%(first)s to %(last)s", first=first, last=last[0])
    return _("%(first)s and beyond", first=first)


def training_size(windows: Mapping[str, int], language: Language) -> str:
    """Describe the trainings of `windows` in explanation.json."""
    return language.gettext(
        "%(epochs)s of %(tokens)s tokens, %(update)s tokens per update",
        epochs=language.ngettext("%(num)s epoch", "%(num)s epochs", windows["epochs"]),
        tokens=language.number(windows["training_tokens"], 0),
        update=language.number(windows["tokens_of_an_update"], 0),
    )

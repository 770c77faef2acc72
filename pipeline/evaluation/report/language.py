"""The languages of the report: its messages, and numbers as their readers write them.

Messages are gettext's: English in the code, translated in pt.po. After a message was added or
changed, Babel brings that file up to date, and leaves the translation to a person:

    cd pipeline/evaluation/report
    pybabel extract -F ../../../pyproject.toml --add-location file -o /tmp/report.pot .
    pybabel update -i /tmp/report.pot -l pt_BR -o pt.po --no-fuzzy-matching --ignore-obsolete
"""

import dataclasses
import functools
import gettext
import io
import math
from collections.abc import Sequence
from pathlib import Path

from babel import Locale
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

# Probabilities that a heat map does not tell apart.
FAINTEST = 1e-4


@dataclasses.dataclass(frozen=True)
class Language:
    """A language that the report is written in.

    Attributes:
        tag: of BCP 47, as HTML has it.
        name: as its speakers say it.
        catalog: file of translations beside this one; None for the messages as they are.
    """

    tag: str
    name: str
    catalog: str | None = None

    @functools.cached_property
    def locale(self) -> Locale:
        """Babel's rules for the language."""
        return Locale.parse(self.tag, sep="-")

    @functools.cached_property
    def translations(self) -> gettext.NullTranslations:
        """The catalogue, as the standard library and Jinja2 know it."""
        if self.catalog is None:
            return gettext.NullTranslations()
        with Path(__file__).with_name(self.catalog).open("rb") as text, io.BytesIO() as compiled:
            write_mo(compiled, read_po(text))
            compiled.seek(0)
            return gettext.GNUTranslations(compiled)

    def gettext(self, message: str, **values: str | int) -> str:
        """Translate a message, and fill in its `%(name)s`; a percent sign in it is `%%`."""
        return self.translations.gettext(message) % values

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Translate a message in the form that a number takes, and fill it in as `%(num)s`."""
        message = self.translations.ngettext(singular, plural, number)
        return message % {"num": self.number(number, 0)}

    def number(self, value: float, digits: int = 1) -> str:
        """Format a number with so many decimal places: 1,234.6."""
        if math.isinf(value):
            return "∞"
        pattern = f"#,##0.{'0' * digits}".rstrip(".")
        return format_decimal(value, pattern, locale=self.locale)

    def plain_number(self, value: float) -> str:
        """Format a number with as many decimal places as it has: 1,234.56."""
        return format_decimal(value, "#,##0.##########", locale=self.locale)

    def percent(self, share: float, digits: int = 1) -> str:
        """Format a share in percent: 26.5%."""
        if math.isnan(share):  # of an interval over one sentence
            return "–"
        pattern = f"#,##0.{'0' * digits}".rstrip(".") + "%"
        return format_percent(share, pattern, locale=self.locale)

    def short_percent(self, p: float) -> str:
        """Format a probability for the cell of a heat map, in percent without the sign."""
        if p < FAINTEST:
            return f"<{format_decimal(100 * FAINTEST, '.##', locale=self.locale)}"
        pattern = "#,##0" if p >= 0.095 else "@#"  # two significant digits
        return format_decimal(100 * p, pattern, locale=self.locale)

    def change(self, ratio: float) -> str:
        """Format a ratio as a relative change: −10.0%."""
        return format_percent(ratio - 1, "+#,##0.0%;−#,##0.0%", locale=self.locale)

    def chance(self, p: float) -> str:
        """Format a probability that may be very small: 1 in 2,500."""
        if p >= 0.001:
            return self.percent(p)
        if p <= 1e-12:
            return self.gettext("less than 1 in 10¹²")
        return self.gettext("1 in %(count)s", count=self.number(1 / p, 0))

    def join(self, parts: Sequence[str]) -> str:
        """Join the items of a sentence: a, b, and c."""
        return format_list(parts, locale=self.locale)


ENGLISH = Language("en", "English")
PORTUGUESE = Language("pt-BR", "Português", catalog="pt.po")

"""What ends a sentence."""

import re

SENTENCE_ENDS = ".!?…"


def sentence_end(*, also: str = "") -> re.Pattern[str]:
    """Return the pattern of a mark that ends a sentence, at the end of a text.

    Closing quotes and brackets may follow the mark.

    Args:
        also: other marks to accept.
    """
    return re.compile(rf"[{SENTENCE_ENDS}{also}][\"'”’»)\]]*$")

"""What people type of the word they mean: p(typed | meant) of a noisy channel.

Accents may be missing; those that are typed are meant:

    typed   a   c   a               typed   a   ç   a
    acabou  a   c   a  b  o  u  1   açaí    a   ç   a  í        1
    ação    a   ç   ã  o        ε   acabou  a   c   a  b  o  u  0

Words are ranked by p(word | text) · p(typed | word) (Kernighan, Church & Gale 1990): in the
suggestions of a model that is exported, and where it is measured how many keys they save.
"""

import functools
import unicodedata

# ε, up to a factor that all words share: a word that lacks an accent. Chosen on the validation
# split of data/sample, between typists who write accents and those who never do.
MISSING_ACCENT = 0.1


@functools.cache
def bare(letter: str) -> str:
    """A letter without its marks: ç → c; itself where no single letter is left."""
    letters = [c for c in unicodedata.normalize("NFD", letter) if not unicodedata.combining(c)]
    return letters[0] if len(letters) == 1 else letter

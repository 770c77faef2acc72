"""What people type of the word they mean: p(typed | word) of a noisy channel.

Accents may be missing; those that are typed are meant:

    typed    a   c   a                     typed    v   ó
    acabou   a   c   a   b   o   u   1     vó       v   ó   0.1, it is whole
    ação     a   ç   ã   o           0.1   vou      v   o   u   0

Words are ranked by p(word | text) · p(typed | word) (Kernighan, Church & Gale 1990), where an
exported model suggests them, and where the keys are counted that suggestions save.
"""

import functools
import unicodedata

import numpy as np

from pipeline.text.tokenizer import is_word
from pipeline.text.vocabulary import Vocabulary

# Up to a factor that all words share: of a word that lacks an accent, and of one that is whole to
# the accent, which a suggestion would bring nothing but its space. Keys saved on the validation
# split of data/sample, by who writes accents and who never does: 42.8 and 42.4 % without the
# second, 43.1 and 42.6 % with both; from 0.03 to 0.3 no figure changes by more than 0.15.
MISSING_ACCENT = 0.1
WHOLE = 0.1


@functools.cache
def bare(letter: str) -> str:
    """A letter without its marks: ç → c; itself where no single letter is left."""
    letters = [c for c in unicodedata.normalize("NFD", letter) if not unicodedata.combining(c)]
    return letters[0] if len(letters) == 1 else letter


def suggestible(vocabulary: Vocabulary) -> np.ndarray:
    """Return which tokens may be suggested, or begin a suggestion of several pieces: bool (V,).

    They look like a word and have a form to display. `<unk>`, `<s>`, `<num>`, bytes, marks, numbers
    and pieces that begin no word do not.
    """
    shown = np.array([bool(display) for display in vocabulary.displays])
    return is_word(vocabulary.spellings()).numpy() & shown

"""What the tokens are that a model knows."""

import dataclasses

from pipeline.config import option
from pipeline.text.vocabulary import Case, Numbers, Unit


@dataclasses.dataclass(frozen=True)
class VocabularyConfig:
    """What the tokens are that a model knows."""

    vocabulary_size: int = option(10_000, "Maximum number of tokens in the vocabulary.", min=3)
    min_count: int = option(2, "Tokens rarer than this in training are unknown.", min=1)
    unit: Unit = option(
        "word",
        "word: each token is known or <unk>; subword: words are cut into pieces, and none is unknown.",
    )
    case: Case = option(
        "fold", "fold: the model sees tokens in lower case; keep: as they are written."
    )
    numbers: Numbers = option(
        "keep", "keep: as they are written; class: each is <num>, which is never suggested."
    )

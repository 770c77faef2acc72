"""Which models a page can hold."""

from pipeline.model.config import ModelConfig
from pipeline.text.vocabulary import Unit


def unfit(model: ModelConfig, *, unit: Unit, cache: int) -> str | None:
    """Return why a page cannot hold a model, with what to do; None if it can."""
    if model.softmax == "adaptive":
        return "its softmax is adaptive; train it with --softmax full, or export a SavedModel"
    if unit == "subword":
        return "its vocabulary is of subwords; tokenize with --unit word, or export a SavedModel"
    if cache:
        return "a page has no cache; leave out --cache, or export a SavedModel"
    return None

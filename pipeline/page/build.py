"""The page of a trained model: one HTML file that works from the disk and without a network."""

import base64
import dataclasses
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.export.config import ExportConfig
from pipeline.model.language_model import LanguageModel, load_model
from pipeline.page.config import unfit
from pipeline.page.meant import describe_channel, log_frequencies
from pipeline.page.patterns import javascript, tokenizer_patterns
from pipeline.page.weights import Arrays, pack, rounded, weights_of
from pipeline.text.lexicon import Lexicon
from pipeline.text.never import NeverSuggested
from pipeline.text.suggestible import suggestible
from pipeline.text.vocabulary import NUMBER, UNKNOWN, Vocabulary

ROOM = Path(__file__).parent
_IMPORT = re.compile(r'^import\s[^;]*?"\./([\w.]+)";\n', re.MULTILINE)


def export_page(training: Path, output: Path, *, config: ExportConfig) -> None:
    """Write the model of a training folder as one page, index.html, and sw.js beside it.

    A static file host that serves sw.js as well serves an app that can be installed.

    Args:
        training: folder that `train` wrote.
        output: folder to write into.
        config: what is suggested.

    Raises:
        InputError: there is no trained model, no word to suggest, a file has no list of words, or
            the page cannot run the model.
    """
    model = load_model(training)
    vocabulary = Vocabulary.load(training / "vocabulary.tsv")
    if reason := unfit(model.config, unit=vocabulary.unit, cache=config.cache):
        raise InputError(f"A page cannot hold the model in {training}: {reason}.")
    lexicon = Lexicon.load(training, vocabulary, config.lexicon)
    never = NeverSuggested.load(config.never_suggest)
    words = describe(vocabulary, lexicon, never=never, suggestions=config.suggestions)
    if not (words.arrays["suggested"].any() or words.arrays["lexicon.suggested"].any()):
        raise InputError(f"The vocabulary in {training} has no word to suggest.")
    (output / "index.html").write_text(page(pack_model(model, words)), encoding="utf-8")
    shutil.copyfile(ROOM / "sw.js", output / "sw.js")


class Words(NamedTuple):
    """What the engine must know of words: the header of `pack`, and arrays beside it."""

    header: dict[str, Any]
    arrays: Arrays


def pack_model(model: LanguageModel, words: Words) -> bytes:
    """Pack a model, and the words that it was trained on; model.js reads them."""
    header = {**words.header, "config": dataclasses.asdict(model.config)}
    return pack(header, {**rounded(weights_of(model)), **words.arrays})


def describe(
    vocabulary: Vocabulary, lexicon: Lexicon, *, never: NeverSuggested, suggestions: int
) -> Words:
    """Return what the engine must know of words."""
    tokens, displays = vocabulary.tokens, vocabulary.displays
    header = {
        "vocabulary": {
            "tokens": list(tokens),
            # Only those that differ.
            "displays": {i: d for i, d in enumerate(displays) if d != tokens[i]},
            "case": vocabulary.case,
            "numbers": vocabulary.numbers,
        },
        "lexicon": list(lexicon.words),
        "patterns": tokenizer_patterns(),
        "channel": describe_channel(),
        "never": [javascript(pattern) for pattern in never.patterns],
        "suggestions": suggestions,
    }
    whole = suggestible(vocabulary)
    covered = never.covers(tf.constant(list(displays), tf.string)).numpy()
    written = np.array([token not in {UNKNOWN, NUMBER} for token in tokens])
    outside = ~never.covers(tf.constant(list(lexicon.words), tf.string)).numpy()
    arrays = {
        "is_word": whole,
        "suggested": whole & ~covered,
        "generated": written & ~covered,
        "lexicon.suggested": outside,
    }
    flags = {name: flag.astype(np.uint8) for name, flag in arrays.items()}
    frequencies = log_frequencies(lexicon)
    arrays = {**flags, "lexicon.f": lexicon.probabilities, "frequencies": frequencies}
    return Words(header, arrays)


def page(content: bytes) -> str:
    """Return the HTML of the page around what `pack_model` returned."""
    html = (ROOM / "index.html").read_text(encoding="utf-8")
    parts = {
        "worker": bundle("worker.js"),
        "app": bundle("app.js"),
        "model": base64.b64encode(content).decode(),
    }
    for name, part in parts.items():
        html = html.replace(f"/* {name} */", part)
    return html.replace("/* policy */", _policy(html))


def _policy(html: str) -> str:
    """Return a Content-Security-Policy that allows the page's own style, script and worker.

    The worker may compile WebAssembly, which needs a source of its own: see multiply.js.
    """

    def digest(tag: str) -> str:
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest('style')}; "
        f"script-src {digest('script')} 'wasm-unsafe-eval'; "
        "worker-src blob: 'self'; manifest-src data:; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def bundle(*names: str) -> str:
    """Return modules of this folder and those that they import as one script.

    Each module's names are its own, so `import` and `export` can be left out.
    """
    scripts: dict[str, str] = {}
    for name in names:
        _add(name, scripts)
    return "\n".join(scripts.values())


def _add(name: str, scripts: dict[str, str]) -> None:
    """Add a module after those that it imports."""
    if name in scripts:
        return
    text = (ROOM / name).read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _add(imported, scripts)
    scripts[name] = re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.MULTILINE)

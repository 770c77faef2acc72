"""Treebanks in CoNLL-U."""

import re
import unicodedata
from pathlib import Path

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import open_lines

_CONLLU_COMMENT = re.compile(r"#\s*(newdoc|newpar|text(?=\s*=))\b\s*=?\s*(.*)")


def read_conllu(path: Path, config: ReadingConfig) -> Texts:
    """Yield documents; a paragraph begins at `# newpar`, or without any at each sentence."""
    found: list[str] = []
    size, in_paragraph, opens, has_text = 0, False, True, False
    with open_lines(path) as (file, encoding):
        for comment in filter(None, map(_CONLLU_COMMENT.match, file)):
            what, value = comment.groups()
            full = size > opening.MAX_PIECE and (what == "newpar" or not in_paragraph)
            if what == "newdoc" or full:
                yield Text(found, encoding)
                found, size = [], 0
            if what != "text":
                in_paragraph, opens = what == "newpar", True
                continue
            has_text = True
            sentence = unicodedata.normalize("NFC", " ".join(value.split()))
            if in_paragraph and not opens:
                found[-1] = f"{found[-1]} {sentence}"
            elif sentence:
                found.append(sentence)
                opens = False
            size += len(sentence)
        if not has_text:
            raise ValueError("it has no lines '# text = …'")
        yield Text(found, encoding)

"""Our tokens beside the words of a CoNLL-U treebank: agreement, and each kind of difference.

    python benchmarks/treebank.py pt_bosque-ud-test.conllu …

A treebank's tokens here are its surface tokens: of a range (`3-4 do`) the range counts and its
words do not, for people type contractions and enclitics in one. A token is right where it begins
and ends with one of the treebank's; offsets count the characters of `# text =` as the tokenizer
folds them, without white space. A stretch of text that is cut otherwise is one difference, and
its kind is the mark at the first place where only one of the two cuts.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@dataclass(frozen=True)
class Difference:
    """A stretch of text, from one place where both cut to the next, that is cut in two ways."""

    mark: str
    """The character beside the first cut that only one makes, "space", or "letter, digit"."""
    only_treebank: bool
    """Who makes that cut."""
    treebank: str
    """The treebank's tokens, between single spaces; a space inside a token is ␣."""
    ours: str


def read(lines: Iterable[str], *, name: str) -> Iterator[tuple[str, list[str]]]:
    """The text and the surface tokens of each sentence; a sentence without text has "".

    Args:
        lines: of a CoNLL-U file.
        name: of the file, for the message of an error.
    """
    numbered = enumerate(map(str.rstrip, lines), 1)
    for filled, sentence in groupby(numbered, lambda line: bool(line[1])):
        text, forms, last = "", [], 0
        for number, line in sentence if filled else ():
            if line.startswith("#"):
                key, _, value = line[1:].partition("=")
                text = value.strip() if key.strip() == "text" else text
                continue
            place, *columns = line.split("\t")
            first, _, end = place.partition("-")
            if "." in place:
                continue  # a word that is not in the text
            if not columns or not first.isdigit() or (end and not end.isdigit()):
                raise SystemExit(f"{name}, line {number} is no row of CoNLL-U: give .conllu files.")
            if int(first) > last:
                forms.append(columns[0])
                last = int(end or first)
        if forms:
            yield text, forms


def locate(text: str, forms: list[str]) -> list[str] | None:
    """What each token is in the text, or None where the tokens do not spell it.

    Old files join names: `Rio_de_Janeiro` or `Rio=de=Janeiro` is "Rio de Janeiro" in the text.
    """
    found, at = [], 0
    for form in forms:
        at += len(text[at:]) - len(text[at:].lstrip())
        spaced = form.replace("_", " ").replace("=", " ")
        token = next((token for token in (form, spaced) if text.startswith(token, at)), None)
        if token is None:
            return None
        found.append(token)
        at += len(token)
    return None if text[at:].strip() else found


def ends(tokens: Iterable[str]) -> list[int]:
    """Where each token ends, in characters without white space."""
    return list(accumulate(map(len, tokens)))


def compare(treebank: list[list[str]], ours: list[str]) -> tuple[int, list[Difference]] | None:
    """Tokens that both have in one sentence, and what differs; None where letters differ.

    Args:
        treebank: the tokens, folded as ours, each cut at the white space inside it.
        ours: the tokens.
    """
    whole = "".join(ours)
    if "".join(map("".join, treebank)) != whole:
        return None
    theirs = dict(zip(ends(map("".join, treebank)), map("␣".join, treebank), strict=True))
    mine = dict(zip(ends(ours), ours, strict=True))
    spaces = {*ends(piece for token in treebank for piece in token)} - theirs.keys()
    right, found, start = 0, [], 0
    for end in sorted(theirs.keys() & mine.keys()):
        cuts = [cut for cut in sorted(theirs.keys() | mine.keys()) if start < cut < end]
        if cuts:
            found.append(
                Difference(
                    mark="space" if cuts[0] in spaces else mark_at(whole, cuts[0]),
                    only_treebank=cuts[0] in theirs,
                    treebank=" ".join(theirs[cut] for cut in [*cuts, end] if cut in theirs),
                    ours=" ".join(mine[cut] for cut in [*cuts, end] if cut in mine),
                )
            )
        else:
            right += 1
        start = end
    return right, found


def mark_at(text: str, cut: int) -> str:
    """The mark beside a cut, the one after it first."""
    marks = [sign for sign in (text[cut], text[cut - 1]) if not sign.isalnum()]
    return marks[0] if marks else "letter, digit"


def tokenize(texts: list[str]) -> list[list[str]]:
    """Our tokens of each text."""
    import tensorflow as tf

    from pipeline.text import tokenizer

    tokens = tokenizer.tokenize(tf.constant(texts, tf.string)).to_list()
    return [[token.decode() for token in row] for row in tokens]


def fold(tokens: list[list[str]]) -> list[list[list[str]]]:
    """Tokens of sentences as the tokenizer folds them, each cut at its white space."""
    pieces = sorted({piece for row in tokens for token in row for piece in token.split()})
    folded = dict(zip(pieces, map("".join, tokenize(pieces)), strict=True))
    return [[[folded[piece] for piece in token.split()] for token in row] for row in tokens]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", help="CoNLL-U files")
    parser.add_argument("--kinds", type=int, default=30, help="how many, the most frequent first")
    options = parser.parse_args()
    sentences: list[tuple[str, list[str]]] = []
    for path in options.files:
        try:
            with path.open(encoding="utf-8") as lines:
                sentences += read(lines, name=str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"{path} cannot be read as UTF-8: {error}.") from error

    located = [(text, found) for text, forms in sentences if (found := locate(text, forms))]
    treebank, ours = fold([found for _, found in located]), tokenize([text for text, _ in located])
    right, in_treebank, in_ours, compared = 0, 0, 0, 0
    kinds: Counter[tuple[str, bool]] = Counter()
    examples: dict[tuple[str, bool], Difference] = {}
    for theirs, mine in zip(treebank, ours, strict=True):
        result = compare(theirs, mine)
        if result is None:
            continue
        right += result[0]
        compared, in_treebank, in_ours = (
            compared + 1,
            in_treebank + len(theirs),
            in_ours + len(mine),
        )
        for difference in result[1]:
            kind = (difference.mark, difference.only_treebank)
            kinds[kind] += 1
            examples.setdefault(kind, difference)

    print(f"sentences {compared:,}", end="")
    print(f" (left out, for their tokens do not spell their text: {len(sentences) - compared:,})")
    if not compared:
        raise SystemExit("Nothing to compare: no sentence has both rows and `# text =`.")
    print(f"tokens {in_treebank:,} in the treebank, {in_ours:,} ours, {right:,} the same")
    print(f"precision {right / in_ours:.2%}, recall {right / in_treebank:.2%}", end="")
    print(f", F1 {2 * right / (in_ours + in_treebank):.2%}")
    report(kinds.most_common(options.kinds), examples)


def report(
    kinds: list[tuple[tuple[str, bool], int]], examples: dict[tuple[str, bool], Difference]
) -> None:
    """Print the kinds of difference, with their counts and one example each."""
    import rich.console
    import rich.table

    table = rich.table.Table("mark", "who cuts", "differences", "the treebank", "ours")
    for kind, count in kinds:
        mark, only_treebank = kind
        who = "treebank" if only_treebank else "we"
        table.add_row(mark, who, f"{count:,}", examples[kind].treebank, examples[kind].ours)
    rich.console.Console(markup=False).print(table)


if __name__ == "__main__":
    main()

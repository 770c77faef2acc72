"""One more word typed, and texts scored: the SavedModel beside PyTorch's nn.LSTM and KenLM.

    python benchmarks/inference.py [--rounds 9] [--words 100] [--against torch kenlm]

An LSTM of 1 × 512 units over the 10,000 words of data/sample, its embedding of 256 tied to the
output, with the same random weights for both frameworks; the time is the same whatever they are.
Every time is that of a whole call, from a Python string to Python words: `step` cuts the word into
tokens itself; PyTorch looks it up in a dict, goes one step on, and takes a softmax and a top-k.
KenLM, which has no top-k, gives each word of the vocabulary its probability after the text; its
model is a 5-gram of the sample's training split (pipeline.model.kneser_ney).

`step` is asked for the next word when one more is typed after 5 and after 500 words,
`serving_default` for the next word of a text of 50, and `score` for the paragraphs of the test
split in batches of 32. PyTorch has no text to cut for the last: it is given ids, and packs them.

Each rival is a process of its own that may use every core. They take turns, round after round, so
that a busy machine slows all alike; the first round, which warms up, is not timed. "ours is" is the
median of the rounds' ratios by the clock: the time of our first row beside that of each (less is
better), our tokens a second beside theirs (more is better). "CPU" is the processor time of a word
or a token, which other work disturbs less (a PyTorch that waits for a core counts its waiting, too:
OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 leaves one thread to each). "ln p"
must be the same for both.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import multiprocessing
import multiprocessing.connection
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import rich
import training
from rich.table import Table

SETUP = training.Setup("lstm", layers=1, units=512, embedding=256, batch=32)
SUGGESTIONS, ORDER = 5, 5
SHORT, TEXT, LONG = 5, 50, 500  # words

# Asked for the next words after the i-th word typed.
Question = Callable[[int], list[str]]


class Contestant(Protocol):
    """Whoever answers.

    Args:
        folder: what `prepare` wrote.
        asked: its questions.json: `tokens` of the vocabulary; `words` typed; `texts`, paragraphs
            in batches, and their `ids`.
    """

    name: str

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None: ...

    def questions(self) -> dict[str, Question]:
        """What it can be asked."""

    def score(self, batch: int) -> float:
        """ln p of a batch of paragraphs."""


class Ours:
    def __init__(self, folder: Path, asked: dict[str, Any]):
        from pipeline.cli.process import import_tensorflow

        import_tensorflow()  # with its settings
        import tensorflow as tf

        self.name, self.constant = f"TensorFlow {tf.__version__}", tf.constant
        self.loaded = tf.saved_model.load(str(folder / "nextword"))
        self.suggest, self.step, self.scores = (
            self.loaded.signatures[name] for name in ("serving_default", "step", "score")
        )
        self.begin = tf.zeros((1, self.step.structured_input_signature[1]["state"].shape[1]))
        self.words, self.texts = asked["words"], [tf.constant(texts) for texts in asked["texts"]]

    def questions(self) -> dict[str, Question]:
        def whole(i: int) -> list[str]:
            return self.read(self.suggest(text=self.constant([" ".join(self.words[i : i + TEXT])])))

        return {
            f"step after {SHORT} words": self.after(SHORT),
            f"step after {LONG} words": self.after(LONG),
            f"serving_default, {TEXT} words": whole,
        }

    def after(self, length: int) -> Question:
        prompt = self.constant([" ".join(self.words[:length])])
        state = self.step(text=prompt, state=self.begin)["state"]
        return lambda i: self.read(self.step(text=self.constant([self.words[i]]), state=state))

    def read(self, answer: dict[str, Any]) -> list[str]:
        answer["probabilities"].numpy()
        return [word.decode() for word in answer["words"].numpy()[0]]

    def score(self, batch: int) -> float:
        return float(self.scores(text=self.texts[batch])["log_probability"].numpy().sum())


class Torch:
    def __init__(self, folder: Path, asked: dict[str, Any]):
        import torch

        self.name, self.torch = f"PyTorch {torch.__version__}", torch
        self.model = training.Torch(SETUP)  # with the same weights
        self.tokens, self.words = asked["tokens"], asked["words"]
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        self.batches = [[torch.tensor(ids) for ids in batch] for batch in asked["ids"]]

    def forward(self, ids: Any, state: Any = None) -> tuple[Any, Any]:
        """(T, B) to the features (T, B, E) and the state."""
        h, state = self.model.cell(self.model.embed(ids), state)
        return self.model.project(h), state

    def questions(self) -> dict[str, Question]:
        torch = self.torch
        with torch.inference_mode():
            prompt = [[self.ids[word]] for word in self.words[:SHORT]]
            state = self.forward(torch.tensor(prompt))[1]

        def step(i: int) -> list[str]:
            with torch.inference_mode():
                features, _ = self.forward(torch.tensor([[self.ids[self.words[i]]]]), state)
                p = torch.softmax(self.model.output(features[0, 0]), -1)
                probabilities, ids = p.topk(SUGGESTIONS)
            probabilities.numpy()
            return [self.tokens[number] for number in ids.numpy()]

        return {f"nn.LSTM after {SHORT} words": step}

    def score(self, batch: int) -> float:
        torch, rows = self.torch, self.batches[batch]
        x, y = (
            torch.nn.utils.rnn.pack_sequence([row[part] for row in rows], enforce_sorted=False)
            for part in (slice(-1), slice(1, None))
        )
        with torch.inference_mode():
            h, _ = self.model.cell(x._replace(data=self.model.embed(x.data)))
            logits = self.model.output(self.model.project(h.data))
            return -float(torch.nn.functional.cross_entropy(logits, y.data, reduction="sum"))


class KenLM:
    def __init__(self, folder: Path, asked: dict[str, Any]):
        import kenlm

        self.name, self.state = "KenLM", kenlm.State
        config = kenlm.Config()
        config.show_progress, config.arpa_complain = False, kenlm.ARPALoadComplain.NONE
        self.model = kenlm.Model(str(folder / "words.arpa"), config)
        self.tokens, self.words = asked["tokens"], asked["words"]

    def questions(self) -> dict[str, Question]:
        score, prompt = self.model.BaseScore, self.state()
        self.model.BeginSentenceWrite(prompt)
        for word in self.words[:SHORT]:
            before, prompt = prompt, self.state()
            score(before, word, prompt)

        def step(i: int) -> list[str]:
            state, after = self.state(), self.state()
            score(prompt, self.words[i], state)
            p = np.array([score(state, token, after) for token in self.tokens])
            best = np.argpartition(-p, SUGGESTIONS)[:SUGGESTIONS]
            return [self.tokens[number] for number in best[np.argsort(-p[best])]]

        return {f"5-gram after {SHORT} words": step}

    def score(self, batch: int) -> float:
        raise NotImplementedError  # another model: its speed compares with nothing


CONTESTANTS: dict[str, type[Contestant]] = {"ours": Ours, "torch": Torch, "kenlm": KenLM}


def prepare(folder: Path) -> None:
    """Write a SavedModel with the weights of `SETUP`, words.arpa, and questions.json."""
    import pandas as pd
    import tensorflow as tf

    from pipeline.corpus.ingest import ingest
    from pipeline.export.config import ExportConfig
    from pipeline.export.export import export
    from pipeline.model.kneser_ney import KneserNey
    from pipeline.model.language_model import weights
    from pipeline.text.suggestible import suggestible
    from pipeline.text.tokenizer import Tokenizer
    from pipeline.text.vocabulary import Vocabulary
    from pipeline.tokens.config import VocabularyConfig
    from pipeline.tokens.tokenize import tokenize

    size = SETUP.vocabulary
    documents, trained, exported = (folder / name for name in ("documents", "training", "nextword"))
    for path in (documents, trained, exported):
        path.mkdir()
    ingest(corpus=[str(training.SAMPLE)], output=documents)
    tokenize(documents, folder, config=VocabularyConfig(vocabulary_size=size, min_count=1))
    vocabulary = Vocabulary.load(folder / "vocabulary.tsv")

    model = training.Ours(SETUP).trainer.model
    model.config.save(trained / "model.json")
    vocabulary.save(trained / "vocabulary.tsv")
    tf.train.CheckpointManager(weights(model), str(trained / "checkpoints"), max_to_keep=1).save()
    export(trained, exported, config=ExportConfig(SUGGESTIONS))

    stream = np.load(folder / "train.npy")
    ngrams = KneserNey.fit(stream, order=ORDER, vocabulary_size=size)
    write_arpa(ngrams, vocabulary.tokens, folder / "words.arpa")

    word = suggestible(vocabulary)
    table = pd.read_parquet(documents / "documents.parquet")
    lines = "\n".join(table.loc[table["split"] == "test", "text"]).splitlines()
    texts = [lines[first : first + SETUP.batch] for first in range(0, len(lines), SETUP.batch)]
    asked = {
        "tokens": vocabulary.tokens,
        "words": [vocabulary.tokens[i] for i in np.load(folder / "test.npy") if word[i]],
        "texts": texts,
        "ids": [Tokenizer(vocabulary)(tf.constant(batch)).to_list() for batch in texts],
    }
    (folder / "questions.json").write_text(json.dumps(asked), encoding="utf-8")


def write_arpa(ngrams: Any, tokens: Sequence[str], path: Path) -> None:
    """Write a `KneserNey` model as KenLM reads it."""
    lengths, size = ngrams._lengths, len(tokens)
    counts = [len(length.keys) for length in lengths]
    counts[0] += 1  # KenLM wants an </s>, which no text here has
    # Of each n-gram: its tokens, the number of the one without the first of them, and p.
    names, shorter, p = [""], np.zeros(1, np.int64), np.array([1 / size])
    with path.open("w", encoding="utf-8") as file:
        print("\\data\\", *(f"ngram {n}={N}" for n, N in enumerate(counts, 1)), sep="\n", file=file)
        for n, length in enumerate(lengths, start=1):
            contexts, last = length.keys // size, length.keys % size
            names = [f"{names[i]} {tokens[j]}".strip() for i, j in zip(contexts, last, strict=True)]
            if n > 1:
                shorter = np.searchsorted(lengths[n - 2].keys, shorter[contexts] * size + last)
            else:
                shorter = np.zeros_like(last)
            p = length.shares + length.backoff[contexts] * p[shorter]
            backoff = lengths[n].backoff if n < len(lengths) else np.ones(len(p))
            file.write(f"\n\\{n}-grams:\n" + ("-99\t</s>\n" if n == 1 else ""))
            for row in zip(np.log10(p), names, np.log10(backoff), strict=True):
                file.write("{:.6f}\t{}\t{:.6f}".format(*row).removesuffix("\t0.000000") + "\n")
        file.write("\n\\end\\\n")


def answer(name: str, folder: Path, pipe: multiprocessing.connection.Connection) -> None:
    """The process of one contestant.

    Asked a question and numbers of words, or None and numbers of batches, it answers the seconds
    that each took, the seconds of processor time of all, and the ln p of the batches.
    """
    asked = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    contestant = CONTESTANTS[name](folder, asked)
    questions = contestant.questions()
    pipe.send((contestant.name, [*questions]))
    for question, numbers in iter(pipe.recv, None):
        call: Callable[[int], Any] = questions.get(question, contestant.score)
        seconds, answers, busy = [], [], time.process_time()
        for i in numbers:
            start = time.perf_counter()
            answers.append(call(i))
            seconds.append(time.perf_counter() - start)
        busy = time.process_time() - busy
        pipe.send((seconds, busy, 0.0 if question else sum(answers)))


def race(folder: Path, *, against: Sequence[str], rounds: int, count: int) -> None:
    """Ask all in turn, round after round, and print the tables."""
    asked = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    spawn, pipes, titles, rows = multiprocessing.get_context("spawn"), {}, {}, []
    for name in ("ours", *against):
        pipes[name], end = spawn.Pipe()
        # The processes end with this one, or when they read None.
        spawn.Process(target=answer, args=(name, folder, end), daemon=True).start()
        end.close()
        titles[name], questions = pipes[name].recv()
        rows += [(name, question) for question in questions]
    texts = [(name, None) for name in pipes if name != "kenlm"]
    random, batches = np.random.default_rng(1), [*range(len(asked["texts"]))]
    found: dict[tuple[str, str | None], list[Any]] = {row: [] for row in (*rows, *texts)}
    for _ in range(rounds + 1):
        words = random.integers(len(asked["words"]) - TEXT, size=count).tolist()
        for name, question in found:
            pipes[name].send((question, words if question else batches))
            found[name, question].append(pipes[name].recv())
    for pipe in pipes.values():
        pipe.send(None)

    table = Table("one more word", "", "p50 ms", "p99 ms", "ours is", "CPU ms", box=None)
    for row in rows:
        ours, times = (np.array([s for s, *_ in found[each][1:]]) for each in (rows[0], row))
        ratio = np.median(np.median(ours, axis=1) / np.median(times, axis=1))
        busy = np.median([busy / count for _, busy, _ in found[row][1:]])
        table.add_row(
            *(titles[row[0]], row[1]),
            *(f"{np.percentile(times, at) * 1e3:.3f}" for at in (50, 99)),
            *(f"{ratio:.2f} ×", f"{busy * 1e3:.3f}"),
        )
    rich.print(table)
    tokens = sum(len(ids) - 1 for batch in asked["ids"] for ids in batch)
    table = Table("score", "tokens/s", "ours is", "CPU µs", "ln p", box=None)
    for row in texts:
        ours, times = (np.array([sum(s) for s, *_ in found[each][1:]]) for each in (texts[0], row))
        busy = np.median([busy / tokens for _, busy, _ in found[row][1:]])
        table.add_row(
            *(titles[row[0]], f"{tokens / np.median(times):,.0f}"),
            *(f"{np.median(times / ours):.2f} ×", f"{busy * 1e6:.0f}", f"{found[row][0][2]:,.1f}"),
        )
    rich.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    rivals = [name for name in CONTESTANTS if name != "ours"]
    there = [name for name in rivals if importlib.util.find_spec(name)]
    parser.add_argument("--against", nargs="*", default=there, choices=rivals)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--words", type=int, default=100, help="typed in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            prepare(Path(name))
        print(f"{os.cpu_count()} cores; {SETUP}; {options.rounds} rounds of {options.words} words")
        race(Path(name), against=options.against, rounds=options.rounds, count=options.words)


if __name__ == "__main__":
    main()

"""The table of benchmarks/leaderboard.py: what is predicted, and what a character costs."""

import fnmatch
import hashlib
import itertools
import json
import math
import shlex
from collections import Counter

import click
import pandas as pd
import pytest
from conftest import ROOT

from pipeline.cli import main
from pipeline.corpus import catalog
from pipeline.evaluation.evaluated_model import EvaluatedModel, save_models

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")  # where a script finds the others
    import leaderboard


def test_all_spellings_together_have_probability_one():
    """Letters a, b and any other; words of up to 7 letters have nearly all of it."""
    spelling = leaderboard.Spelling(["ab", "a", "ba", "AB", "a"])
    total = 0.0
    for length in range(8):
        for letters in itertools.product("ab%", repeat=length):
            others = letters.count("%")  # each stands for all code points
            total += math.exp(-spelling.nats("".join(letters))) * 0x110000**others
    assert 0.9 < total <= 1 + 1e-9


def test_a_spelling_is_cheaper_the_more_it_is_like_others():
    spelling = leaderboard.Spelling(["cantava", "falava", "andava", "cantar", "falar", "casa"])
    assert spelling.nats("Cantava") == spelling.nats("cantava")
    assert spelling.nats("andar") < spelling.nats("rdnaa")
    assert spelling.nats("andar") < spelling.nats("xndar")
    assert spelling.nats("xndar") > math.log(0x110000)


def test_what_is_predicted_is_folded_tokens(tmp_path):
    rows = [
        ("train", "Ele disse: Olá!"),
        ("test", "O gato bebeu.\nEla, a Ana,\nviu d'água"),
        ("test", "Fim."),
        ("valid", "Sim"),
    ]
    pd.DataFrame(rows, columns=["split", "text"]).to_parquet(tmp_path / "documents.parquet")
    leaderboard.write_texts(tmp_path, tmp_path / "text")
    assert (tmp_path / "text/test.txt").read_text() == (
        "o gato bebeu .\nela , a ana ,\nviu d'água\nfim .\n"
    )
    assert (tmp_path / "text/train.txt").read_text() == "ele disse : olá !\n"
    assert (tmp_path / "text/valid.txt").read_text() == "sim\n"


@pytest.fixture
def evaluated(tmp_path):
    """A row whose test text of 41 characters has ten tokens, two of them unknown."""
    for folder in ("data/documents", "data/tokens", "models/evaluation", "text"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "text/test.txt").write_text("é" * 20 + "\n" + "a" * 19 + "\n", encoding="utf-8")
    tokens = tmp_path / "data/tokens"
    (tokens / "vocabulary.tsv").write_text("<unk>\t<unk>\t1\n<s>\t<s>\t1\na\ta\t1\n")
    (tokens / "rare.tsv").write_text("casa\tcasa\t1\ncaso\tCaso\t1\n")
    (tokens / "valid.unknown.txt").write_text("casar\n")
    (tokens / "test.unknown.txt").write_text("Casa\ncasa\n")
    kinds = {"lstm": "network", "lstm_cache": "cache", "kn": "ngrams", "unigram": "unigram"}
    models = [EvaluatedModel(name, name, kind) for name, kind in kinds.items()]
    save_models(models, tmp_path / "models/evaluation")
    valid = dict(zip(kinds, (5.0, 4.0, 9.0, 90.0), strict=True))
    test = dict(zip(kinds, (4.0, 8.0, 16.0, 64.0), strict=True))
    common = {"tokens": 10, "oov_rate": 0.2, "top_3": 0.25, "top_3_low": 0.2, "top_3_high": 0.3}
    common["keystroke_savings"] = 0.4  # without an interval: a single paragraph
    metrics = {
        split: {n: {**common, "perplexity": p} for n, p in values.items()}
        for split, values in (("valid", valid), ("test", test))
    }
    metrics["test"]["lstm"]["training_cpu_seconds"] = 1234.5
    (tmp_path / "models/evaluation/metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def test_a_character_costs_what_its_tokens_and_spellings_do(evaluated):
    """Of ten tokens with perplexity 4, two bits each, over 40 characters: half a bit."""
    ngrams, network, best = leaderboard.lines("row", evaluated)
    spelled = 2 * leaderboard.Spelling(["casa", "caso", "casar"]).nats("casa") / math.log(2)
    for cells, bits in ((network, 20), (ngrams, 40), (best, 30)):
        assert cells[7] == f"{(bits + spelled) / 40:.3f}"
    digest = hashlib.sha256((evaluated / "text/test.txt").read_bytes()).hexdigest()[:8]
    assert ngrams[:7] == ["row", digest, "3", "10", "20.0%", "kn", "16.0"]
    assert network[:6] == ["", "", "", "", "", "lstm"]
    assert network[8:] == ["25.0% (20.0%–30.0%)", "40.0%", "1,234"]
    # Chosen on the validation split: on test, the network alone would be better.
    assert best[5] == "lstm_cache"


def test_the_authors_of_held_out_novels_are_in_one_split():
    names = list(catalog.find("eltec-por").files)
    authors = Counter(name.split("_")[1] for name in names)
    for numbers in leaderboard.ELTEC.values():
        for number in numbers.split():
            (name,) = fnmatch.filter(names, f"POR{number}_*")
            assert authors[name.split("_")[1]] == 1


@pytest.mark.parametrize("row", leaderboard.ROWS.values(), ids=leaderboard.ROWS)
def test_rows_name_corpora_of_the_catalogue_and_options_that_there_are(row):
    for stage, options in (("ingest", row.ingest), ("train", row.train)):
        command = main.commands[stage]
        given, _, _ = command.make_parser(click.Context(command)).parse_args(shlex.split(options))
        if stage == "ingest":
            for name in given["corpus"]:
                assert catalog.find(name) or name == str(ROOT / "data/sample")

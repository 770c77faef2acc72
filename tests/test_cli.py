"""The commands as people type them, and what a run leaves in MLflow."""

import errno
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import tensorflow as tf
from conftest import ROOT, ask, config, free_ports, nextword, physical_gpu, sentence_of, small
from mlflow.projects import utils as projects
from mlflow.projects._project_spec import load_project

from pipeline import InputError
from pipeline.cli import PRESETS, main
from pipeline.cli.options import values_of
from pipeline.cli.presets import FINE_TUNING
from pipeline.cli.stages import require_corpus, train_stage
from pipeline.corpus import catalog
from pipeline.corpus.config import ReadingConfig
from pipeline.training import strategies

SENTENCE = "Matias tinha um cachorro e ele gostava de beber"
LEXICON = ["--lexicon", "words.txt"]
SMALL = "--embedding 16 --units 16 --window 10 --batch-size 8 --epochs 2".split()


@pytest.fixture(scope="module", autouse=True)
def tracked(store):
    mlflow.set_tracking_uri(store)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Help


def test_help_needs_neither_tensorflow_nor_mlflow():
    code = (
        "import sys; from pipeline.cli import PRESETS, main\n"
        "try: main(['train', '--help'])\n"
        "finally: assert not {'tensorflow', 'keras', 'mlflow', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--learning-rate" in done.stdout


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_shows_every_default(command):
    shown = "".join(nextword(command, "--help").output.split())  # lines may end at hyphens
    for parameter in main.commands[command].params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            assert parameter.opts[0] in shown
            if parameter.show_default and parameter.default is not None:
                given = parameter.default
                default = ", ".join(given) if isinstance(given, tuple) else given
                assert "".join(f"{parameter.help}[default:{default}".split()) in shown
            else:
                assert parameter.help.endswith("]")
                # A long word may be cut where a line of the terminal ends.
                assert parameter.help.replace(" ", "") in shown.replace(" ", "")


# The whole way, small


@pytest.fixture(scope="module")
def walked(tmp_path_factory, store):
    """A folder in which `nextword run` has been run on a few texts of the sample."""
    folder = tmp_path_factory.mktemp("walked")
    shutil.copytree(ROOT / "data/sample/animais", folder / "data/sample/animais")
    shutil.copytree(ROOT / "data/sample/cidade", folder / "data/sample/cidade")
    write(folder / "words.txt", "xenofobia\t3\nxilofone\n")
    write(folder / "data/agreement.tsv", "context\tright\twrong\tdistance\nEle viu\ta\to\t0\n")
    with pytest.MonkeyPatch.context() as patch, physical_gpu():
        patch.chdir(folder)
        result = nextword("run", *SMALL, *LEXICON)
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture
def in_walked(walked, monkeypatch):
    monkeypatch.chdir(walked[0])
    return walked[0]


def test_run_leaves_what_the_design_names(walked):
    folder, output = walked
    for made in """
        data/documents/documents.parquet data/tokens/vocabulary.tsv data/tokens/train.npy
        data/tokens/valid.npy data/tokens/test.npy models/training/model.json
        models/training/vocabulary.tsv models/training/rare.tsv models/training/checkpoints
        models/training/history.csv models/evaluation/report.html
        models/evaluation/metrics.json models/evaluation/figures/learning_curves.png
        models/nextword/saved_model.pb models/page/index.html
    """.split():
        assert (folder / made).exists(), made
    assert output.count("Wrote ") == 9
    assert "perplexity" in output
    assert not list(folder.glob("*/*.partial")) + list(folder.glob("*/*.old"))


def test_run_trains_all_networks_equally(in_walked):
    trained = {}
    for name in ("training", "simple_rnn", "feedforward"):
        manifest = json.loads(Path("models", name, "manifest.json").read_text())
        epochs = pd.read_csv(Path("models", name, "history.csv"))["epoch"].tolist()
        rate = manifest["parameters"].pop("learning_rate")
        own = {"cell", "mogrifier", "output"}
        trained[rate] = {k: v for k, v in manifest["parameters"].items() if k not in own} | {
            "epochs trained": epochs
        }
    assert len(trained) > 1  # each has the rate that suits it
    first, *others = trained.values()
    assert all(other == first for other in others)
    networks = json.loads(Path("models/evaluation/metrics.json").read_text())["test"]
    sizes = [networks[name]["parameters"] for name in ("lstm", "simple_rnn", "feedforward")]
    assert sizes[0] > sizes[1] > 0
    assert all(networks[name]["training_cpu_seconds"] > 0 for name in ("lstm", "feedforward"))
    assert "parameters" not in networks["unigram"]


def test_agreement_is_explained_and_any_pairs_are_evaluated(in_walked):
    explained = json.loads(Path("models/explanation/explanation.json").read_text())["agreement"]
    assert explained["window"] == 5
    assert {row["model"] for row in explained["counts"]} == {
        *("lstm", "simple_rnn", "feedforward", "Kneser-Ney 5-gram", "unigram")
    }
    write(Path("other.tsv"), "context\tright\twrong\nEle viu\ta\to\nEle viu\to\ta\n")
    result = nextword("evaluate", "--pairs", "other.tsv", "--output", "models/with-pairs")
    assert result.exit_code == 0, result.output
    assert "Right form preferred to wrong" in result.output
    rows = pd.read_csv("models/with-pairs/pairs.csv")
    assert (rows["share"] == 0.5).all()  # one of the two is right
    assert rows["model"].tolist()[0] == "lstm"
    error = sentence_of(nextword("evaluate", "--pairs", "none.tsv"))
    assert "There is no none.tsv, which --pairs names" in error


def test_streams_hold_every_token_and_the_vocabulary_counts_them(in_walked):
    vocabulary = pd.read_csv(
        "data/tokens/vocabulary.tsv", sep="\t", quoting=3, header=None, keep_default_na=False
    )
    stream = np.load("data/tokens/train.npy")
    np.testing.assert_array_equal(np.bincount(stream, minlength=len(vocabulary)), vocabulary[2])
    documents = pd.read_parquet("data/documents/documents.parquet")
    trained = documents[documents["split"] == "train"]["text"]
    assert vocabulary[2][1] == sum(len(text.split("\n")) for text in trained)
    displays = dict(zip(vocabulary[0], vocabulary[1], strict=True))
    assert displays["lúcia"] == "Lúcia"
    assert displays["água"] == "água"


def test_a_second_run_skips_all(in_walked):
    again = nextword("run", *SMALL, *LEXICON)
    assert again.exit_code == 0, again.output
    assert again.output.count("nothing has changed") == 9
    assert "Already logged as models:/m-" in again.output
    assert "Wrote " not in again.output


def test_a_run_can_be_continued_stage_by_stage(in_walked):
    """What `run` has trained is what `train` would, so that --resume may go on from either."""
    assert "Skipped models/training" in nextword("train", *SMALL, "--resume").output


def test_a_stage_runs_again_for_another_option_and_by_force(in_walked):
    ingest = ["ingest", "--output", "data/spelled"]
    assert "Wrote data/spelled." in nextword(*ingest).output
    assert "Skipped data/spelled: nothing has changed." in nextword(*ingest).output
    assert "Wrote data/spelled." in nextword(*ingest, "--deduplicate", "false").output
    assert "Wrote data/spelled." in nextword(*ingest, "--deduplicate", "false", "--force").output


def test_a_run_measures_and_exports_its_lexicon(in_walked):
    metrics = json.loads(Path("models/evaluation/metrics.json").read_text())
    assert 0 < metrics["valid"]["lstm"]["lexicon_coverage"] < 1  # by words that were too rare
    card = Path("models/nextword/assets/model_card.md").read_text(encoding="utf-8")
    assert "| lexicon_coverage | " in card
    answer = ask(tf.saved_model.load("models/nextword"), "complete", text=["O"], prefix=["xenof"])
    assert answer["words"][0, 0] == b"xenofobia"
    rare = Path("data/tokens/rare.tsv").read_bytes()
    assert Path("models/training/rare.tsv").read_bytes() == rare != b""


def test_predict_suggests_what_the_savedmodel_does(in_walked):
    result = nextword("predict", SENTENCE)
    assert result.exit_code == 0, result.output
    saved = tf.saved_model.load("models/nextword")
    answer = saved.signatures["serving_default"](text=tf.constant([SENTENCE]))
    shown = [line.split()[-1] for line in result.output.splitlines()]
    assert shown == [word.decode() for word in answer["words"].numpy()[0]]


def test_predict_reads_standard_input(in_walked):
    result = nextword("predict", "-", stdin="Bom\nO cachorro\x00 latiu\n\xff".encode())
    assert result.exit_code == 0, result.output
    shown = nextword("predict", "Bom").output
    assert result.output.count("%") == 3 * len(shown.splitlines())
    # More than are read side by side.
    assert nextword("predict", "-", stdin="Bom\n" * 300).output == "\n".join([shown] * 300)
    assert nextword("predict", "-", stdin="").output == ""


def test_predict_reads_what_ingest_reads(in_walked):
    """Text in an old encoding, from a pipe or as an argument, is the same text."""
    texts = ["A água é", "O avô não", "Bom"]
    suggested = nextword("predict", "-", stdin="\n".join(texts)).output
    assert nextword("predict", "-", stdin="\n".join(texts).encode("cp1252")).output == suggested
    assert nextword("predict", "-", stdin="\r\n".join(texts).encode("cp850")).output == suggested
    argument = texts[0].encode("cp1252").decode("utf-8", errors="surrogateescape")
    assert nextword("predict", argument).output == nextword("predict", texts[0]).output


@pytest.mark.parametrize(
    ("text", "stdin", "what"),
    [
        ("-", b"Bom\n\xff\n", "Line 2 of standard input"),
        ("-", "Bom\nA água".encode("utf-16"), "Line 1 of standard input"),
        ("A \udcff", None, "TEXT"),
        (f"A {chr(0xD83D)}", None, "TEXT"),
    ],
)
def test_predict_refuses_bytes_that_are_no_text(in_walked, text, stdin, what):
    sentence = sentence_of(nextword("predict", "--", text, stdin=stdin))
    assert sentence.startswith(f"Error: {what} ")
    assert sentence.endswith("write it in UTF-8.")


@pytest.mark.parametrize("text", ["", "-"])
def test_predict_answers_any_prompt(in_walked, text):
    lines = ["", " ", "zzzz qqqq", "🙂🙃", "a" * 100_000, "o " * 5_000]
    result = nextword("predict", "--", text, stdin="\n".join(lines))
    assert result.exit_code == 0, result.output
    assert result.output.count("%") == 5 * (len(lines) if text else 1)
    assert "nan" not in result.output.lower()


def test_mlflow_holds_the_run(in_walked, walked):
    (run,) = mlflow.search_runs(
        filter_string="run_name = 'run' and attributes.status = 'FINISHED'",
        output_format="list",
        order_by=["start_time ASC"],
        max_results=1,
    )
    assert run.data.params["units"] == "16"
    assert run.data.params["corpus"] == "data/sample"
    metrics = json.loads(Path("models/evaluation/metrics.json").read_text())
    assert run.data.metrics["test_lstm_perplexity"] == pytest.approx(
        metrics["test"]["lstm"]["perplexity"]
    )
    client = mlflow.MlflowClient()
    curve = client.get_metric_history(run.info.run_id, "valid_perplexity")
    assert [point.step for point in curve] == [1, 2]
    assert client.get_metric_history(run.info.run_id, "feedforward_valid_perplexity")

    datasets = {d.tags[0].value: d.dataset for d in run.inputs.dataset_inputs}
    assert set(datasets) == {"training", "validation", "testing"}
    assert all("documents.parquet" in d.source and d.digest for d in datasets.values())
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"vocabulary.tsv", "report.html", "metrics.json", "figures"} <= artifacts

    (model,) = run.outputs.model_outputs
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    assert loaded.metadata.signature.inputs.required_input_names() == ["text"]
    assert loaded.input_example is not None
    answer = loaded.predict(pd.DataFrame({"text": [SENTENCE, ""]}))
    assert list(answer.columns) == ["words", "probabilities"]
    assert len(answer["words"][0]) == 5
    assert all(0 <= p <= 1 for p in answer["probabilities"][1])


def test_a_model_is_registered_once(in_walked):
    assert "Logged as models:/once/1." in nextword("export", "--register", "once").output
    assert "Already version 1 of once." in nextword("export", "--register", "once").output


def test_compare_takes_folders_and_runs(in_walked):
    (run,) = mlflow.search_runs(
        filter_string="run_name = 'run' and attributes.status = 'FINISHED'",
        output_format="list",
        order_by=["start_time ASC"],
        max_results=1,
    )
    result = nextword("compare", "models/evaluation", run.info.run_id)
    assert result.exit_code == 0, result.output
    assert "1.000 ×" in result.output  # the same model
    assert "neither is better" in result.output or "nothing can be said" in result.output
    assert "nowhere is neither a folder nor" in sentence_of(
        nextword("compare", "models/evaluation", "nowhere")
    )


def test_a_parameter_that_mlflow_run_has_logged_keeps_its_spelling(in_walked, monkeypatch):
    with mlflow.start_run() as run:
        mlflow.log_param("vocabulary_size", "50.0")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    result = nextword("tokenize", "--vocabulary-size", 50, "--output", "data/logged")
    assert result.exit_code == 0, result.output
    params = mlflow.get_run(run.info.run_id).data.params
    assert params["vocabulary_size"] == "50.0"
    assert params["output"] == "data/logged"


@pytest.fixture
def as_mlflow_run_does(monkeypatch):
    """Runs an entry point in the run that `mlflow run` has made for it."""

    def start(entry, **asked):
        run = projects._create_run(str(ROOT), "0", str(ROOT), None, entry, asked)
        monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
        command = load_project(ROOT).get_entry_point(entry).compute_command(asked, None)
        result = nextword(*shlex.split(command)[3:])
        return result, mlflow.get_run(run.info.run_id).data.params, run.info.run_id

    return start


def test_what_mlflow_shows_of_a_run_is_what_was_used(in_walked, as_mlflow_run_does):
    given = dict(zip([n[2:].replace("-", "_") for n in SMALL[::2]], SMALL[1::2], strict=True))
    result, params, run_id = as_mlflow_run_does("train", **given)
    assert result.exit_code == 0, result.output
    assert "Skipped models/training" in result.output
    used = mlflow.artifacts.load_dict(f"runs:/{run_id}/options.json")
    assert params == {
        name: " ".join(value) if isinstance(value, list) else str(value)
        for name, value in used.items()
    }
    quick = {name: str(value) for name, value in set_by("quick").items()} | {"stride": "10"}
    assert params.items() >= (quick | given).items()
    assert params["output"] == "models/training"
    assert params["tied"] == "True"
    assert "retain" not in params


def test_models_that_are_explained_if_none_is_named(in_walked, tmp_path, monkeypatch):
    def models():
        return main.commands["explain"].make_context("explain", []).params["model"]

    names = ("training", "simple_rnn", "feedforward")
    assert models() == tuple(Path("models", name) for name in names)
    shutil.copytree("models/feedforward", tmp_path / "models/feedforward")
    monkeypatch.chdir(tmp_path)
    assert models() == (Path("models/feedforward"),)


def test_options_that_others_overrule_are_not_shown(in_walked, as_mlflow_run_does):
    write(in_walked / "listed.txt", "água\nrio\n")
    asked = {"vocabulary": "listed.txt", "output": "data/listed"}
    result, params, _ = as_mlflow_run_does("tokenize", **asked)
    assert result.exit_code == 0, result.output
    assert params.items() >= asked.items()
    assert not {"vocabulary_size", "min_count", "spark_master", "new_words"} & set(params)
    assert params["documents"] == "data/documents"
    grown = {"init": "models/training", "output": "data/grown"}
    result, params, _ = as_mlflow_run_does("tokenize", **grown)
    assert result.exit_code == 0, result.output
    assert not {"unit", "case", "numbers", "vocabulary_size", "preset"} & set(params)
    assert (params["new_words"], params["min_count"]) == ("1000", "2")


@pytest.mark.slow
def test_mlflow_run_shows_what_a_preset_has_set(in_walked, tmp_path):
    for name in ("MLproject", "python_env.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree("data/tokens", tmp_path / "data/tokens")
    small = {"embedding": "16", "units": "16", "batch_size": "8", "epochs": "1"}
    given = small | {"preset": "gpu", "learning_rate": "1e-3"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    parameters = [word for item in given.items() for word in ("-P", "=".join(item))]
    subprocess.run(
        [sys.executable, "-m", "mlflow", "run", ".", "-e", "train", "--env-manager", "local",
         *parameters],
        cwd=tmp_path, env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    (run,) = mlflow.search_runs(
        filter_string="params.preset = 'gpu'", output_format="list", max_results=1
    )
    used = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/options.json")
    assert set(run.data.params) == set(used)
    for name, value in used.items():
        shown = run.data.params[name]
        assert shown in (str(value), "1e-3") or shown == " ".join(value), name
    assert used["learning_rate"] == 1e-3
    model = json.loads((tmp_path / "models/training/model.json").read_text())
    for name, value in values_of(PRESETS["gpu"].model).items():
        assert run.data.params[name] == given.get(name, str(value))
        assert str(model[name]) == run.data.params[name]
    assert run.data.params["stride"] == run.data.params["window"] == "70"


# Presets


def resolved(*arguments):
    """The options of `nextword train` as typed."""
    return main.commands["train"].make_context("train", [str(a) for a in arguments]).params


def set_by(preset):
    return values_of(PRESETS[preset].model, PRESETS[preset].training)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_what_is_not_given(preset):
    typed = ["--units", 300, "--variational", "true", "--window", "full"]
    for arguments in (["--preset", preset, *typed], [*typed, "--preset", preset]):
        given = resolved(*arguments)
        changed = {"units": 300, "variational": True, "window": "full"}
        assert given.items() >= (set_by(preset) | changed).items()
    assert resolved().items() >= set_by("quick").items()


def test_a_model_that_goes_on_is_what_it_was(here):
    kind = {"cell": "gru", "tied": False, "softmax": "adaptive", "context": 3}
    config(**kind).save(here / "model.json")
    assert resolved("--init", here).items() >= (kind | values_of(FINE_TUNING)).items()
    for arguments in (["--init", here, "--cell", "lstm"], ["--cell", "lstm", "--init", here]):
        assert resolved(*arguments)["cell"] == "lstm"
        assert resolved(*arguments)["context"] == 3


@pytest.mark.parametrize(
    "arguments", ["--units 0", "--preset huge", "--schedule x", "--dropout 1", "--seed -1"]
)
def test_a_preset_does_not_let_wrong_values_through(arguments):
    with pytest.raises(click.UsageError):
        resolved(*arguments.split())


# Bad input


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_no_files(here):
    assert "no text to read at nowhere" in sentence_of(nextword("ingest", "--corpus", "nowhere"))
    (here / "empty").mkdir()
    assert "no text to read at empty" in sentence_of(nextword("run", "--corpus", "empty"))


def test_an_empty_file_and_bytes_that_are_no_text(here):
    write(here / "a/empty.txt", "")
    write(here / "a/picture.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    assert "No file of a holds readable text" in sentence_of(nextword("ingest", "--corpus", "a"))


def test_a_corpus_shorter_than_one_window(here):
    write(here / "a.txt", "O gato bebeu leite.\n\nO gato dormiu.\n\n" * 5)
    assert "less than one window" in sentence_of(nextword("run", "--corpus", "a.txt"))


def test_a_vocabulary_larger_than_the_corpus_is_as_large_as_it_can_be(here):
    write(here / "a.txt", "\n\n".join(f"O gato {n} bebeu leite." for n in range(60)))
    nextword("ingest", "--corpus", "a.txt")
    result = nextword("tokenize", "--vocabulary-size", 1_000_000)
    assert result.exit_code == 0, result.output
    tokens = [
        line.split("\t")[0] for line in Path("data/tokens/vocabulary.tsv").read_text().splitlines()
    ]
    assert set(tokens) == {"<unk>", "<s>", "o", "gato", "bebeu", "leite", "."}


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("tokenize", "data/documents"),
        ("train", "data/tokens"),
        ("explain", "no trained model to explain"),
        ("evaluate", "models/training"),
        ("export", "models/training"),
        ("predict olá", "models/nextword"),
    ],
)
def test_a_missing_earlier_stage(here, command, missing):
    sentence = sentence_of(nextword(*command.split()))
    assert missing in sentence
    assert "nextword " in sentence


def test_a_wrong_savedmodel_folder(here):
    write(here / "wrong/saved_model.pb", "no protocol buffer")
    sentence = sentence_of(nextword("predict", "x", "--model", "wrong"))
    assert "wrong/saved_model.pb is not what" in sentence


def test_a_folder_of_somebody_else_is_not_replaced(here):
    write(here / "a.txt", "O gato bebeu leite.\n\n" * 30)
    mine = write(here / "mine/thesis.txt", "precious")
    assert "will not be replaced" in sentence_of(
        nextword("ingest", "--corpus", "a.txt", "--output", "mine")
    )
    assert mine.read_text() == "precious"


def test_a_failed_training_keeps_the_model_that_was_there(in_walked):
    before = Path("models/training/history.csv").read_text()
    sentence = sentence_of(nextword("train", *SMALL, "--learning-rate", 1e38))
    assert "with an eighth of the learning rate too: lower --learning-rate" in sentence
    assert Path("models/training/history.csv").read_text() == before
    assert nextword("predict", "Bom").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        *("train --epochs 0", "train --cell transformer", "train --dropout 1", "ingest --corpus"),
        *(
            "train --dropout nan",
            "train --clip-norm inf",
            "train --retain nan",
            "sweep --hours nan",
        ),
    ],
)
def test_options_out_of_range(here, arguments):
    _, name, *_ = arguments.split()
    assert f"'{name}'" in sentence_of(nextword(*arguments.split()))


def test_a_folder_that_cannot_be_written(in_walked, tmp_path):
    file = write(tmp_path / "file", "x")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.access(closed, os.W_OK):  # by root, who may write anywhere but into the kernel's folders
        closed = Path("/sys")
    corpus = "data/sample/animais"
    for command in (["ingest", "--corpus", corpus], ["train", *SMALL]):
        for place, named in ((file, file), (closed, f"{closed}/made.partial.lock")):
            sentence = sentence_of(nextword(*command, "--output", place / "made"))
            assert f"{named} cannot be used: " in sentence


WRONG_NAMES = {
    "ingest --corpus nowhere": "nowhere",
    "ingest --corpus hf:./nowhere": "nowhere",
    "ingest --corpus table.csv --text-column corpo": "no column 'corpo'",
    "run --corpus table.csv --text-column corpo": "no column 'corpo'",
    "run --corpus nowhere": "nowhere",
    "run --corpus table.csv --text-column texto --vocabulary nowhere": "--vocabulary",
    "run --corpus table.csv --text-column texto --lexicon nowhere": "--lexicon",
    "run --corpus table.csv --text-column texto --lexicon table.csv": "Line 2 of table.csv",
    "run --corpus table.csv --text-column texto --lexicon words.txt --unit subword": "leave out",
    "run --corpus table.csv --text-column texto --never-suggest nowhere": "--never-suggest",
    "run --corpus table.csv --text-column texto --never-suggest all.txt": "Line 1 of all.txt",
    "run --corpus table.csv --text-column texto --never-suggest words.txt --unit subword": "leave",
    "inspect --documents nowhere": "nowhere",
    "tokenize --documents nowhere": "nowhere",
    "train --tokens nowhere": "nowhere",
    "train --init nowhere": "nowhere",
    "evaluate --training nowhere": "nowhere",
    "explain --model nowhere": "nowhere",
    "explain": "no trained model",
    "export --training nowhere": "nowhere",
    "predict olá --model nowhere": "nowhere",
    "demo nowhere": "nowhere",
}
# These are refused before slow imports.
WITHOUT_TENSORFLOW = """
import contextlib, io, json, sys
from pipeline.cli import main
for command, wrong in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main(command.split())
        except SystemExit as end:
            assert end.code == 2, command
    assert errors.getvalue().startswith("Error: "), command
    assert wrong in errors.getvalue(), (command, errors.getvalue())
    assert not {"tensorflow", "keras", "mlflow"} & set(sys.modules), command
"""


def test_a_wrong_name_is_refused_before_tensorflow_is_imported(here):
    write(here / "table.csv", "texto,ano\nO gato bebeu leite.,1999\n")
    write(here / "words.txt", "guaraná\t3\n")
    write(here / "all.txt", "*\n")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, json.dumps(WRONG_NAMES)],
        cwd=here, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_table_is_looked_at_as_ingest_reads_it(here):
    write(here / "a/table.csv", "texto,ano\n" + "O gato bebeu leite.,1999\n" * 3)
    write(here / "a/broken.csv", 'text\n"never closed')
    for text_column, taken in (("texto", "a/table.csv"), ("text", "a/broken.csv")):
        require_corpus((taken,), ReadingConfig(text_column=text_column))
    with pytest.raises(InputError, match="no column 'text'"):
        require_corpus(("a/table.csv",), ReadingConfig(text_column="text"))
    require_corpus(("machado",))  # is not downloaded for it


@pytest.mark.parametrize("option", ["--output", "--never-suggest"])
def test_an_empty_path_is_refused(here, option):
    """`mlflow run . -e export -P output=` gives one."""
    sentence = sentence_of(nextword("export", option, ""))
    assert sentence.startswith(f"Error: Invalid value for '{option}': the path is empty")


@pytest.mark.parametrize(
    ("format", "option"),
    [
        ("litert", "--register"),
        ("litert", "--suggestions"),
        ("page", "--register"),
        ("page", "--cache"),
        ("page", "--evaluation"),
        ("aosp", "--suggestions"),
        ("saved_model", "--words"),
    ],
)
def test_an_option_that_a_format_does_not_take_is_refused(here, format, option):
    result = nextword("export", "--format", format, option, "7")
    assert f"--format {format} takes no {option}: leave it out" in sentence_of(result)


@pytest.mark.parametrize(
    ("command", "option", "needed"),
    [
        ("train", "--speaker", "--corpus"),
        ("train", "--mask", "--corpus"),
        ("train", "--new-words", "--corpus"),
        ("train", "--retain", "--init"),
        ("tokenize", "--new-words", "--init"),
        ("evaluate", "--text-column", "--text"),
        ("explain", "--training-tokens", "--windows"),
        ("explain", "--training-epochs", "--windows"),
    ],
)
def test_an_option_without_the_one_that_it_is_for_is_refused(in_walked, command, option, needed):
    value = {"--mask": "all", "--retain": "0.25"}.get(option, "7")
    sentence = sentence_of(nextword(command, option, value, "--output", "models/new"))
    assert f"{option} is for" in sentence
    assert f"that {needed} names: name it, or leave {option} out" in sentence
    assert not Path("models/new").exists()


def test_a_feedforward_model_has_no_recurrent_weights_to_drop(here):
    asked = ("train", "--cell", "feedforward", "--output", "models/new", "--weight-dropout")
    assert "leave --weight-dropout out" in sentence_of(nextword(*asked, "0.5"))
    assert not Path("models/new").exists()
    of_preset = nextword("train", "--cell", "feedforward", "--preset", "gpu", "--tokens", "nowhere")
    assert "No vocabulary can be read from nowhere" in sentence_of(of_preset)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("train --context 3", "--context is for --cell feedforward"),
        ("sweep --cell gru --context 3", "--context is for --cell feedforward"),
        ("train --cell gru --mogrifier 3", "--mogrifier is for --cell lstm"),
        ("tokenize --init models/training --case keep", "--case is as in the model that --init"),
        ("tokenize --vocabulary words.txt --min-count 3", "leave --min-count out"),
        ("run --vocabulary words.txt --vocabulary-size 50", "leave --vocabulary-size out"),
        ("ingest --spark-master spark://a:7077", "--spark-master is for --engine spark"),
        ("tokenize --spark-master spark://a:7077", "--spark-master is for --engine spark"),
        ("run --spark-master spark://a:7077", "--spark-master is for --engine spark"),
    ],
)
def test_an_option_that_another_makes_useless_is_refused(in_walked, command, sentence):
    assert sentence in sentence_of(nextword(*command.split()))


def test_a_store_that_cannot_be_read_is_named(here, store):
    (here / "broken.db").write_text("no database")
    mlflow.set_tracking_uri(broken := f"sqlite:///{here}/broken.db")
    try:
        sentence = sentence_of(nextword("compare", "one", "other"))
    finally:
        mlflow.set_tracking_uri(store)
    assert f"one is neither a folder nor a run at {broken}" in sentence
    assert "file is not a database" in sentence


@pytest.mark.parametrize("command", ["explain", "run"])
def test_a_sentence_is_decoded_as_a_prompt_is(in_walked, command):
    sentence = sentence_of(nextword(command, "--sentence", f"A {chr(0xD83D)}"))
    assert "--sentence holds halves of characters: write it in UTF-8." in sentence


def test_a_worker_writes_where_the_target_of_a_link_will_be(here, monkeypatch):
    (here / "link").symlink_to(here / "elsewhere" / "model")
    written = []
    monkeypatch.setattr(strategies, "is_chief", lambda: False)
    monkeypatch.setattr(
        "pipeline.training.train.train", lambda **given: written.append(given["output"])
    )
    train_stage(here, here / "link", **small(), force=True, resume=False)
    assert written == [here / "elsewhere" / "model.partial"]


@pytest.fixture
def failing(monkeypatch):
    """`nextword corpora` fails with an error."""

    def failing(error):
        def fail():
            raise error

        monkeypatch.setattr(catalog, "corpora", fail)

    return failing


def failures_of_a_server(address):
    """What asking nobody at an address fails with, by three libraries."""
    for call in (
        lambda: requests.get(f"http://{address}", timeout=9),
        lambda: urllib.request.urlopen(f"http://{address}", timeout=9),
        lambda: socket.create_connection(tuple(address.split(":")), timeout=9),
        lambda: socket.create_connection(("name.invalid", 80), timeout=9),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            call()
        yield caught.value


def test_a_network_that_fails_is_not_called_a_file(failing):
    (port,) = free_ports(1)
    for error in (*failures_of_a_server(f"127.0.0.1:{port}"), TimeoutError("timed out")):
        failing(error)
        sentence = sentence_of(nextword("corpora"))
        assert sentence.startswith("Error: The network failed (")
        assert "check the connection" in sentence
        assert "file" not in sentence
    failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert "A file cannot be used: No space left" in sentence_of(nextword("corpora"))


def test_debug_shows_the_traceback_beside_the_sentence(failing):
    failing(InputError("Nothing works: try again."))
    result = nextword("--debug", "corpora")
    assert result.exit_code == 2
    assert "in fail\n" in result.stderr
    assert result.stderr.endswith("Error: Nothing works: try again.\n")
    assert "Traceback" not in nextword("corpora").stderr

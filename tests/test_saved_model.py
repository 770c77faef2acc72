"""What lies in an exported folder, and the contract of models/README.md, run as it stands there."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    CELLS,
    ROOT,
    TOKENS,
    VOCABULARY,
    config,
    random_model,
    write_tokens,
    write_training,
)

from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.evaluated_model import EvaluatedModel, save_metrics, save_models
from pipeline.export.config import ExportConfig
from pipeline.export.export import _tune_cache as tune_cache
from pipeline.export.export import export
from pipeline.export.litert import export_litert
from pipeline.export.model_card import _corpora_of, _figures, write_model_card
from pipeline.export.packing import Packing
from pipeline.export.recurrence import run_layers
from pipeline.export.saved_model import NextWord
from pipeline.manifest import digest, run_stage
from pipeline.model.cache import Cache
from pipeline.model.checkpoint import writing
from pipeline.model.language_model import build_model

README = ROOT / "models" / "README.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with models/nextword, exported twice as a stage is."""
    project = tmp_path_factory.mktemp("project")
    training = write_training(project / "training")
    (training / "rare.tsv").write_text("gato\tgato\t2\nlisboa\tLisboa\t1\n", encoding="utf-8")
    tokens = write_tokens(project / "tokens")
    evaluation = project / "evaluation"
    parameters = {"training": training, "evaluation": evaluation, "config": ExportConfig(3)}

    def write(folder, stage, made, **asked):
        folder.mkdir(exist_ok=True)
        manifest = {"stage": stage, "made": made, "parameters": asked}
        (folder / "manifest.json").write_text(json.dumps(manifest, default=str))

    write(project / "documents", "ingest", "2026-01-01", corpus=["data/sample"])
    write(tokens, "tokenize", "2026-01-01", documents=project / "documents")
    write(training, "train", "2026-01-02", tokens=tokens)
    write(evaluation, "evaluate", "2026-01-03", training=training)
    figures = {"perplexity": 81.25, "top_3": 0.345, "tokens": 1234}
    metrics = {split: {"lstm": figures, "unigram": {}} for split in ("valid", "test")}
    save_metrics(metrics, evaluation)
    save_models([EvaluatedModel("lstm", "lstm", "network", digest=digest([training]))], evaluation)
    output = project / "models" / "nextword"
    for _ in range(2):
        assert run_stage(export, reads=[training], output=output, parameters=parameters, force=True)
    return project


def files(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(folder): path for path in paths}


@pytest.mark.slow
def test_versions_for_tensorflow_serving_are_numbered(project):
    folder = project / "models" / "nextword"
    assert [path.name for path in folder.iterdir() if path.name.isdecimal()] == ["2"]
    version = files(folder / "2")
    assert {"saved_model.pb", "fingerprint.pb"} <= {path.name for path in version}
    assert {Path("assets/model_card.md"), Path("assets/vocabulary.tsv")} <= set(version)
    own = {path: file for path, file in files(folder).items() if path.parts[0] != "2"}
    assert set(own) == set(version)
    for path, file in own.items():
        assert file.samefile(version[path])  # and need no room of their own


def test_parts_that_tensorflow_could_not_delete_are_deleted(tmp_path):
    """As where `unlink` fails, which TensorFlow does not tell: here its folder is not empty."""
    module = tf.Module()
    module.weight = tf.Variable(1.0)
    checkpoint = tf.train.Checkpoint(module)
    left = [tmp_path / "variables/variables_temp", tmp_path / "checkpoints/ckpt-1_temp"]
    for parts in left:
        parts.mkdir(parents=True)
        (parts / "part-00007-of-00009.index").touch()
    with writing(left[0].parent, "SavedModel", "try again"):
        tf.saved_model.save(module, str(tmp_path), signatures={})
    with writing(left[1].parent, "checkpoint", "try again"):
        tf.train.CheckpointManager(checkpoint, str(left[1].parent), max_to_keep=1).save()
    for parts in left:
        assert not parts.exists()
        assert [*parts.parent.glob("*.index")]


def test_files_are_copied_where_links_are_not_supported(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    training = write_training(tmp_path / "training", "feedforward")
    monkeypatch.setattr(os, "link", refuse)
    export(training, tmp_path / "nextword", config=ExportConfig(3))
    copy = tmp_path / "nextword" / "1" / "saved_model.pb"
    assert copy.read_bytes() == (tmp_path / "nextword" / "saved_model.pb").read_bytes()
    card = (tmp_path / "nextword" / "1" / "assets" / "model_card.md").read_text(encoding="utf-8")
    assert "license: unknown" in card
    assert "This form of the model has not been measured." in card
    assert "metrics:" not in card


def test_the_card_describes_the_model(project):
    folder = project / "models" / "nextword"
    card = (folder / "assets" / "model_card.md").read_text(encoding="utf-8")
    head = card.split("---\n")[1].splitlines()
    assert {"language: pt", "license: cc0-1.0", "metrics:", "- perplexity", "- lstm"} <= set(head)
    assert "| train | 30 | 600 |" in card
    assert "| perplexity | 81.2 | 81.2 |" in card
    assert "| top_3 | 34.5% | 34.5% |" in card
    assert "- 2 other words" in card
    assert "not been measured" not in card
    assert str(project) not in card
    path, digest = re.search(r"SHA-256 of (variables/.*): ([0-9a-f]{64})", card).groups()
    sums = subprocess.check_output(["sha256sum", folder / path], text=True)
    assert sums.split()[0] == digest


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        (["machado"], 'license_name: "public domain: the author died in 1908"'),
        (["/home/ana/notas"], "- notas: licence not known."),
        (["hf:someone/texts"], "- hf:someone/texts: see its page"),
        (["machado", "/home/ana/notas"], "license: unknown"),
        (["data/sample", "pud"], 'license_name: "CC0 1.0; CC BY-SA 3.0"'),
        (["data/sample", "pud"], "/UD_Portuguese-PUD): CC BY-SA 3.0."),
        (["wikipedia-pt"], "wikipedia-PT): CC BY-SA 3.0."),
        (["hf:TucanoBR/wikipedia-PT@main#train"], 'license_name: "CC BY-SA 3.0"'),
    ],
)
def test_licences_are_those_of_the_corpus(project, tmp_path, corpus, expected):
    path = project / "documents" / "manifest.json"
    before = path.read_text()
    try:
        path.write_text(json.dumps({"made": "2026-01-01", "parameters": {"corpus": corpus}}))
        card = card_of(project, tmp_path)
    finally:
        path.write_text(before)
    assert expected in card
    assert "/home" not in card


@pytest.mark.parametrize(
    ("lexicon", "licence"),
    [([], "cc0-1.0"), (["wordfreq"], "cc-by-sa-4.0"), (["wordfreq", "/home/ana/a.txt"], "unknown")],
)
def test_licences_are_those_of_the_lexicon_too(project, tmp_path, lexicon, licence):
    card = card_of(project, tmp_path, lexicon)
    assert f"\nlicense: {licence}\n" in card
    assert ("https://creativecommons.org/licenses/by-sa/4.0/" in card) == ("wordfreq" in lexicon)
    assert ("Speer (2022)" in " ".join(card.split())) == ("wordfreq" in lexicon)
    assert ("- a.txt, a list of words for the lexicon: licence not known." in card) == (
        len(lexicon) > 1
    )
    assert "/home" not in card


def test_a_model_that_went_on_from_another_learned_from_the_corpora_of_both(tmp_path):
    made = {"made": "2026-01-01"}

    def write(name, **parameters):
        (tmp_path / name).mkdir(exist_ok=True)
        parameters = {key: str(tmp_path / value) for key, value in parameters.items()}
        manifest = {**made, "parameters": parameters}
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path / name

    for step, corpus in enumerate((["machado", "pud"], ["pud", "notas"])):
        documents = write(f"documents-{step}")
        manifest = {**made, "parameters": {"corpus": corpus}}
        (documents / "manifest.json").write_text(json.dumps(manifest))
        write(f"tokens-{step}", documents=f"documents-{step}")
    first = write("training", tokens="tokens-0")
    personal = write("personal", tokens="tokens-1", init="training")
    assert _corpora_of(first) == ["machado", "pud"]
    assert _corpora_of(personal) == ["machado", "pud", "notas"]
    made["made"] = "2026-01-02"  # the first model is made again
    write("training", tokens="tokens-0")
    assert _corpora_of(personal) == ["", "pud", "notas"]


def test_the_card_omits_text_that_was_made_again_after_training(project, tmp_path):
    path = project / "tokens" / "manifest.json"
    before = path.read_text()
    assert "| train | 30 | 600 |" in card_of(project, tmp_path)
    try:
        path.write_text(before.replace("2026-01-01", "2026-01-09"))
        card = card_of(project, tmp_path)
    finally:
        path.write_text(before)
    assert "- Not known." in card
    assert "| train |" not in card


def card_of(project, folder, lexicon=()):
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "vocabulary.tsv").touch()
    cache = Cache(size=20, theta=0.5, weight=0.25)
    write_model_card(
        folder=folder, training=project / "training", evaluation=None, cache=cache, lexicon=lexicon
    )
    card = (folder / "assets" / "model_card.md").read_text(encoding="utf-8")
    assert "a continuous cache of 20 tokens, θ = 0.5, λ = 0.25" in card
    return card


@pytest.mark.slow
def test_the_card_shows_only_metrics_of_this_model(tmp_path):
    training = write_training(tmp_path / "training", "feedforward")
    tokens = write_tokens(tmp_path / "tokens")
    evaluation = tmp_path / "evaluation"
    config = EvaluationConfig(ngram_order=0, cache=20)
    given = {"training": training, "tokens": tokens, "config": config}
    assert run_stage(evaluate, reads=[training, tokens], output=evaluation, parameters=given)
    valid = json.loads((evaluation / "metrics.json").read_text())["valid"]

    def card(cache):
        (tmp_path / "assets").mkdir(exist_ok=True)
        (tmp_path / "assets" / "vocabulary.tsv").touch()
        write_model_card(folder=tmp_path, training=training, evaluation=evaluation, cache=cache)
        return (tmp_path / "assets" / "model_card.md").read_text(encoding="utf-8")

    cache = tune_cache(training, tokens, size=20)
    for of, name in ((cache, "feedforward_cache"), (None, "feedforward")):
        text = card(of)
        assert f"| perplexity | {valid[name]['perplexity']:.1f} | " in text
        assert "not been measured" not in text
    # Of another size, or tuned on other text, it is another model.
    for change in ({"size": 30}, {"theta": 0.123}, {"weight": 0.001}):
        text = card(dataclasses.replace(cache, **change))
        assert "| perplexity |" not in text
        assert "This form of the model has not been measured." in text
    # As it is where a byte of the training has changed, whenever that was.
    shutil.copytree(training, tmp_path / "copied")
    assert set(_figures(evaluation, tmp_path / "copied", None)) == {"valid", "test"}
    with (tmp_path / "copied" / "vocabulary.tsv").open("a") as file:
        file.write("\n")
    assert _figures(evaluation, tmp_path / "copied", None) == {}
    assert _figures(tmp_path / "nowhere", training, None) == {}


def examples(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_examples_of_the_readme_run_with_tensorflow_alone(project):
    (project / "models/litert").mkdir()
    export_litert(training=project / "training", output=project / "models/litert")
    code = "".join(examples("python"))
    names = ("serving_default", "complete", "step", "score", "generate")
    assert all(f'signatures["{name}"]' in code for name in names)
    last = '\nimport sys\nassert not {"pipeline", "mlflow"} & set(sys.modules)\n'
    done = subprocess.run(
        [sys.executable, "-I", "-c", code + last],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shape=(2, 3)" in done.stdout
    assert "O cachorro" in done.stdout


@pytest.mark.slow
def test_saved_model_cli_runs_every_signature(project):
    """TensorFlow's own command, as the README calls it, and for the other signatures."""
    (shell,) = examples("console")
    commands = [c for c in re.sub(r"\\\n\s*", "", shell).split("$ saved_model_cli ") if c.strip()]
    complete = commands[-1]
    size = tf.saved_model.load(str(project / "models" / "nextword")).signatures["step"]
    size = size.structured_input_signature[1]["state"].shape[1]
    inputs = {
        "serving_default": 'text=["O cachorro"]',
        "step": f'text=["Ela"];state={[[0.0] * size]}',
        "score": 'text=["O cachorro bebeu."]',
        "generate": 'text=["Ela"];length=5;temperature=1.0;top_p=1.0;seed=3',
    }
    run = complete.split("--signature_def")[0]
    commands += [f"{run} --signature_def {s} --input_exprs '{i}'" for s, i in inputs.items()]
    # TensorFlow takes seconds to import, so that is done once.
    code = (
        "import os, shlex, sys\n"
        "from tensorflow.python.tools.saved_model_cli import main\n"
        f"for command in {commands!r}:\n"
        "    if not os.fork():\n"
        "        sys.argv = ['saved_model_cli', *shlex.split(command)]\n"
        "        main()\n"
        "    assert os.wait()[1] == 0, command\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for shown in ("signature_def['generate']", "Result for output key log_probability"):
        assert shown in done.stdout
    assert done.stdout.count("Result for output key words") == 4


@pytest.mark.parametrize("cell", [*CELLS, "mogrifier"])
def test_packed_layers_equal_keras(cell):
    changes = {"mogrifier": 3} if cell == "mogrifier" else {}
    model = random_model("lstm" if changes else cell, **changes)
    ids = tf.constant(np.random.default_rng(7).integers(len(TOKENS), size=(3, 6)), tf.int32)
    _, before = model.hidden(ids[:, ::-1])
    for lengths in (tf.constant([6, 6, 6]), tf.constant([4, 0, 6])):
        counted = tf.sequence_mask(lengths, 6)
        expected, states = model.hidden(ids, states=before, mask=counted)
        packing = Packing.of(lengths, steps=tf.constant(6))
        packed, after = run_layers(model, packing.pack(ids), packing, states=before)
        expected = tf.where(counted[..., None], expected, 0.0)
        np.testing.assert_allclose(packing.unpack(packed), expected, atol=1e-5)
        for mine, keras in zip(after, states, strict=True):
            for a, b in zip(mine, keras, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS[:3])
def test_the_input_is_projected_outside_the_loop(cell):
    """A step of an exported layer multiplies by the recurrent weights, and by nothing else."""
    module = NextWord(build_model(config(cell)), VOCABULARY, suggestions=1)
    graph = module.suggest.get_concrete_function().graph.as_graph_def()
    functions = {body.signature.name: body.node_def for body in graph.library.function}

    def count(nodes, op):
        called = {a.func.name for n in nodes for a in n.attr.values() if a.func.name in functions}
        inside = sum(count(functions[name], op) for name in called)
        return inside + sum(node.op == op for node in nodes)

    bodies = [
        functions[node.attr["body"].func.name]
        for nodes in (graph.node, *functions.values())
        for node in nodes
        if node.op in ("While", "StatelessWhile")
    ]
    loops = [products for products in (count(body, "MatMul") for body in bodies) if products]
    assert loops == [1] * config(cell).layers
    # The projections of both layers, and the output.
    assert count(graph.node, "MatMul") >= 2 * config(cell).layers + 1


def test_packing_is_step_by_step_and_longest_first():
    texts = tf.constant([[11, 12, 0], [21, 0, 0], [0, 0, 0], [41, 42, 43]])
    packing = Packing.of(tf.constant([2, 1, 0, 3]), steps=tf.constant(3))
    packed = packing.pack(texts)
    assert packed.numpy().tolist() == [41, 11, 21, 42, 12, 43]
    assert packing.sizes.numpy().tolist() == [3, 2, 1]
    assert packing.unpack(packed).numpy().tolist() == texts.numpy().tolist()
    assert packing.total(packed).numpy().tolist() == [23, 21, 0, 126]

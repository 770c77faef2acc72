"""A registry whose champion changes only for a better model, and models by their addresses."""

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import nextword, sentence_of, write_export

from pipeline.evaluation.evaluated_model import EvaluatedModel, save_models
from pipeline.manifest import digest
from pipeline.tracking.champion import find_version


def write_evaluation(folder, training, *, perplexity):
    """What `evaluate` writes of a model that has nearly this perplexity in 30 documents."""
    (folder / "figures").mkdir(parents=True)
    model = EvaluatedModel("feedforward", "feedforward", "network", digest=digest([training]))
    save_models([model], folder)
    nats = 100 * (np.log(perplexity) + np.linspace(-0.01, 0.01, 30))
    rows = {"number": range(1, 31), "digest": [f"d{n}" for n in range(30)], "nats": nats}
    splits = [
        pd.DataFrame({"split": split, "model": model.name, "unit": "document", **rows}).assign(
            tokens=100, top_3=30, keys=240, unaided_keys=400
        )
        for split in ("valid", "test")
    ]
    pd.concat(splits).to_csv(folder / "documents.csv", index=False)
    (folder / "metrics.json").write_text(
        json.dumps({"test": {model.name: {"perplexity": perplexity}}})
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory, store):
    """A folder with two models, first/ and second/, and with evaluations of both.

    The second one was evaluated twice, as if it were worse than the first and as if it were better.
    """
    mlflow.set_tracking_uri(store)
    folder = tmp_path_factory.mktemp("promote")
    for name, evaluations in {
        "first": {"first-90": 90},
        "second": {"second-95": 95, "second-85": 85},
    }.items():
        # Of other sizes, so the models differ.
        write_export(folder / f"{name}-made", "feedforward", suggestions=4 + len(evaluations))
        (folder / f"{name}-made/nextword").rename(folder / name)
        for evaluation, perplexity in evaluations.items():
            write_evaluation(
                folder / evaluation, folder / f"{name}-made/training", perplexity=perplexity
            )
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def promote(model, name, evaluation, *options):
    return nextword("promote", model, "--name", name, "--evaluation", evaluation, *options)


def state(name):
    """The champion's number, and how many versions and runs there are."""
    champion = find_version(f"models:/{name}@champion")
    versions = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return champion and champion.number, len(versions), len(mlflow.search_runs())


@pytest.mark.slow
def test_only_a_better_model_replaces_the_champion():
    first = promote("first", "way", "first-90")
    assert first.exit_code == 0, first.output
    assert "models:/way/1 is now models:/way@champion.\n" in first.output
    assert state("way")[:2] == ("1", 1)

    before = state("way")
    worse = promote("second", "way", "second-95")
    assert worse.exit_code == 1, worse.output
    assert "models:/way/1 is better than second, and that is not noise" in worse.output
    assert "models:/way/1 stays the champion; nothing has changed." in worse.output
    assert state("way") == before

    better = promote("second", "way", "second-85")
    assert better.exit_code == 0, better.output
    assert "second is better than models:/way/1, and that is not noise" in better.output
    assert (
        "models:/way/2 is now models:/way@champion; before, it was models:/way/1" in better.output
    )
    row = next(line for line in better.output.splitlines() if "× 0.944" in line)  # 85 / 90
    assert row.split()[:4] == ["test", "perplexity", "85.0", "90.0"]
    assert "valid" not in better.output
    assert state("way")[:2] == ("2", 2)

    # The version that was the champion is compared again by what is known of it.
    before = state("way")
    again = nextword("promote", "models:/way/1")
    assert again.exit_code == 1, again.output
    assert "models:/way/2 is better than models:/way/1" in again.output
    assert state("way") == before


def test_the_champion_is_the_champion_already():
    promote("first", "twice", "first-90")
    before = state("twice")
    said = "models:/twice/1 is the champion already.\n"
    named = (["models:/twice/1"], ["models:/twice@champion"], ["first", "--name", "twice"])
    for arguments in named:
        result = nextword("promote", *arguments)
        assert result.exit_code == 0, result.output
        assert result.output == said
    assert state("twice") == before


def test_no_difference_is_not_better(tmp_path):
    write_evaluation(tmp_path / "same", Path("second-made/training"), perplexity=90)
    promote("first", "noise", "first-90")
    result = promote("second", "noise", tmp_path / "same")
    assert result.exit_code == 1, result.output
    assert "neither is better" in result.output
    assert state("noise")[:2] == ("1", 1)


def test_a_version_knows_the_run_of_its_evaluation():
    promote("first", "known", "first-90")
    version = find_version("models:/known@champion")
    run = mlflow.get_run(version.evaluation)
    assert run.info.run_name == "promote"
    assert run.data.metrics["test_feedforward_perplexity"] == 90
    result = nextword("compare", "second-85", version.evaluation)
    assert "second-85 is better" in " ".join(result.output.split())
    # And a run may be named as the evaluation of a model.
    result = promote("first", "other", version.evaluation)
    assert result.exit_code == 0, result.output
    assert find_version("models:/other@champion").evaluation == version.evaluation


def test_a_champion_made_by_hand_needs_an_evaluation():
    promote("first", "hand", "first-90")
    client = mlflow.MlflowClient()
    client.delete_model_version_tag("hand", "1", "nextword_evaluation")
    sentence = sentence_of(promote("second", "hand", "second-85"))
    assert "It is not known how good the champion is, models:/hand/1" in sentence
    assert "nextword promote models:/hand/1 --evaluation FOLDER" in sentence
    client.set_model_version_tag("hand", "1", "nextword_evaluation", "deleted")
    assert sentence_of(promote("second", "hand", "second-85")) == sentence
    told = nextword("promote", "models:/hand/1", "--evaluation", "first-90")
    assert told.exit_code == 0, told.output
    assert promote("second", "hand", "second-85").exit_code == 0
    assert state("hand")[:2] == ("2", 2)


def test_an_evaluation_of_another_model_is_refused(tmp_path):
    write_evaluation(tmp_path / "other", Path("first"), perplexity=5)
    assert "is of another training than first" in sentence_of(
        promote("first", "refused", tmp_path / "other")
    )
    assert "No evaluation is in first" in sentence_of(promote("first", "refused", "first"))
    assert "nowhere is neither a folder nor a run at" in sentence_of(
        promote("first", "refused", "nowhere")
    )
    shutil.copytree("first", "old")  # no link among them
    card = Path("old/assets/model_card.md")
    text = card.read_text(encoding="utf-8")
    assert "SHA-256 of its training" in text
    card.write_text(text.replace("SHA-256 of its training", ""), encoding="utf-8")
    assert "The card of old does not say" in sentence_of(promote("old", "refused", "first-90"))
    assert find_version("models:/refused@champion") is None


def test_an_evaluation_that_cannot_be_kept_registers_nothing(tmp_path):
    shutil.copytree("first-90", tmp_path / "kept")
    (tmp_path / "kept/figures").rmdir()  # as MLflow downloads it, which keeps no empty folder
    (tmp_path / "kept/metrics.json").write_text("{")
    refused = sentence_of(promote("first", "kept", tmp_path / "kept"))
    assert "No evaluation is in" in refused
    assert state("kept")[:2] == (None, 0)
    shutil.copy("first-90/metrics.json", tmp_path / "kept")
    assert promote("first", "kept", tmp_path / "kept").exit_code == 0
    assert state("kept")[:2] == ("1", 1)


def test_a_model_of_any_name_is_logged(tmp_path):
    """The second of a cell is named after its folder."""
    write_evaluation(tmp_path / "odd", Path("first-made/training"), perplexity=90)
    path = tmp_path / "odd/metrics.json"
    path.write_text(json.dumps({"test": {r"gru C:\maçãs (2)/a": {"perplexity": 3}}}))
    assert promote("first", "odd", tmp_path / "odd").exit_code == 0
    run = mlflow.get_run(find_version("models:/odd@champion").evaluation)
    assert run.data.metrics == {"test_gru C__maçãs _2__a_perplexity": 3}


def test_models_that_cannot_be_compared_are_refused(tmp_path):
    promote("first", "apart", "first-90")
    before = state("apart")
    assert "not both measured on the text text" in sentence_of(
        promote("second", "apart", "second-85", "--on", "text")
    )
    shutil.copytree("second-85", tmp_path / "elsewhere")
    table = pd.read_csv(tmp_path / "elsewhere/documents.csv")
    table.assign(digest="0").to_csv(tmp_path / "elsewhere/documents.csv", index=False)
    sentence = sentence_of(promote("second", "apart", tmp_path / "elsewhere"))
    assert "elsewhere and models:/apart/1 were not measured on the same" in sentence
    assert state("apart") == before


def test_a_model_is_named_by_its_address():
    promote("first", "named", "first-90")
    said = nextword("predict", "o cachorro", "--model", "first").output
    assert said.count("%") == 5
    logged = mlflow.MlflowClient().get_model_version("named", "1").source
    assert logged.startswith("models:/m-")
    for address in ("models:/named/1", "models:/named@champion", logged):
        result = nextword("predict", "o cachorro", "--model", address)
        assert result.exit_code == 0, result.output
        assert result.stdout == said
    verified = nextword("verify", "models:/named@champion")
    assert verified.output == "models:/named@champion holds only what `nextword export` writes.\n"


@pytest.mark.parametrize(
    "address", ["models:/nobody@champion", "models:/nobody/1", "models:/m-0", "models:/"]
)
def test_what_mlflow_does_not_have_is_named(address):
    sentence = sentence_of(nextword("predict", "o", "--model", address))
    assert sentence.startswith(f"Error: {address} cannot be downloaded from sqlite:")
    assert sentence.endswith("`mlflow ui` shows the models that are there.")


def test_only_versions_are_promoted():
    sentence = sentence_of(nextword("promote", "models:/m-0"))
    assert "is no version of a registered model" in sentence
    assert "choose a name" in sentence_of(promote("first", "a/b", "first-90"))
    assert "holds 0 numbered models" in sentence_of(promote("first/1", "versions", "first-90"))


def test_a_model_of_the_registry_is_examined():
    promote("first", "changed", "first-90")
    logged = mlflow.MlflowClient().get_model_version("changed", "1").source
    model = mlflow.get_logged_model(logged.removeprefix("models:/"))
    (saved,) = Path(model.artifact_location).rglob("saved_model.pb")
    other = saved.with_suffix(".pbtxt")
    other.touch()
    try:
        for command in (("predict", "o", "--model"), ("verify",)):
            sentence = sentence_of(nextword(*command, "models:/changed/1"))
            assert "models:/changed/1/saved_model.pbtxt may be loaded in its place" in sentence
        trusted = nextword("predict", "o", "--model", "models:/changed/1", "--trust")
        assert trusted.exit_code == 0, trusted.output
    finally:
        other.unlink()

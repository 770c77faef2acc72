"""A registry whose champion changes only for a better model, and models by their addresses."""

import json
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from conftest import nextword, random_model, save_training, sentence_of, write_tokens

from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.tracking.champion import find_version

# Models from worst to best: the smaller the weights, the less sure is a model that knows nothing.
SCALES = {"bad": 1.0, "fair": 0.5, "good": 0.01}


@pytest.fixture(scope="module")
def place(tmp_path_factory, store):
    """A folder with the exports bad/, fair/ and good/, and their evaluations."""
    mlflow.set_tracking_uri(store)
    folder = tmp_path_factory.mktemp("promote")
    tokens = write_tokens(folder / "tokens")
    for name, scale in SCALES.items():
        training = folder / f"{name}-training"
        save_training(training, random_model("feedforward", scale=scale))
        shown = folder / f"{name}-evaluation"
        shown.mkdir()
        evaluate(training, tokens, shown, config=EvaluationConfig(ngram_order=0))
        export(training, folder / name, config=ExportConfig())
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def promote(model, name, *options, evaluation=None):
    chosen = ["--evaluation", evaluation or f"{model}-evaluation"]
    return nextword("promote", model, "--name", name, *chosen, *options)


def state(name):
    """The champion's number, and how many versions and runs there are."""
    champion = find_version(f"models:/{name}@champion")
    versions = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return champion and champion.number, len(versions), len(mlflow.search_runs())


def test_only_a_better_model_replaces_the_champion():
    first = promote("fair", "way")
    assert first.exit_code == 0, first.output
    assert "models:/way/1 is now models:/way@champion.\n" in first.output
    assert state("way")[:2] == ("1", 1)

    before = state("way")
    worse = promote("bad", "way")
    assert worse.exit_code == 1, worse.output
    assert "models:/way/1 is better than bad, and that is not noise" in worse.output
    assert "models:/way/1 stays the champion; nothing has changed." in worse.output
    assert state("way") == before

    better = promote("good", "way")
    assert better.exit_code == 0, better.output
    assert "good is better than models:/way/1, and that is not noise" in better.output
    assert (
        "models:/way/2 is now models:/way@champion; before, it was models:/way/1." in better.output
    )
    # The table is that of `compare`: perplexities of both on the test split alone.
    metrics = {
        name: json.loads(Path(f"{name}-evaluation/metrics.json").read_text())["test"]["feedforward"]
        for name in ("good", "fair")
    }
    row = next(line for line in better.output.splitlines() if "perplexity" in line and "×" in line)
    assert f"{metrics['good']['perplexity']:.1f}" in row
    assert f"{metrics['fair']['perplexity']:.1f}" in row
    assert "valid" not in better.output
    assert state("way")[:2] == ("2", 2)

    # The version that was the champion is compared again by what is known of it.
    before = state("way")
    again = nextword("promote", "models:/way/1")
    assert again.exit_code == 1, again.output
    assert "models:/way/2 is better than models:/way/1" in again.output
    assert state("way") == before


def test_the_champion_is_the_champion_already():
    promote("fair", "twice")
    before = state("twice")
    for model in ("models:/twice/1", "models:/twice@champion"):
        result = nextword("promote", model)
        assert result.exit_code == 0, result.output
        assert result.output == "models:/twice/1 is the champion already.\n"
    result = nextword("promote", "fair", "--name", "twice")
    assert result.output == "models:/twice/1 is the champion already.\n"
    assert state("twice") == before


def test_a_version_knows_the_run_of_its_evaluation():
    promote("fair", "known")
    version = find_version("models:/known@champion")
    run = mlflow.get_run(version.evaluation)
    assert run.info.run_name == "promote"
    metrics = json.loads(Path("fair-evaluation/metrics.json").read_text())["test"]["feedforward"]
    assert run.data.metrics["test_feedforward_perplexity"] == pytest.approx(metrics["perplexity"])
    result = nextword("compare", "good-evaluation", version.evaluation)
    assert "good-evaluation is better" in " ".join(result.output.split())
    # And a run may be named as the evaluation of a model.
    result = promote("fair", "other", evaluation=version.evaluation)
    assert result.exit_code == 0, result.output
    assert find_version("models:/other@champion").evaluation == version.evaluation


def test_a_champion_made_by_hand_needs_an_evaluation():
    promote("bad", "hand")
    client = mlflow.MlflowClient()
    client.delete_model_version_tag("hand", "1", "nextword_evaluation")
    sentence = sentence_of(promote("good", "hand"))
    assert "It is not known how good the champion is, models:/hand/1" in sentence
    client.set_model_version_tag("hand", "1", "nextword_evaluation", "deleted")
    assert sentence_of(promote("good", "hand")) == sentence
    assert "nextword promote models:/hand/1 --evaluation FOLDER" in sentence
    told = nextword("promote", "models:/hand/1", "--evaluation", "bad-evaluation")
    assert told.exit_code == 0, told.output
    assert promote("good", "hand").exit_code == 0
    assert state("hand")[:2] == ("2", 2)


def test_an_evaluation_of_another_model_is_refused():
    assert "is of another training than good" in sentence_of(
        promote("good", "refused", evaluation="bad-evaluation")
    )
    assert "No evaluation is in tokens" in sentence_of(
        promote("good", "refused", evaluation="tokens")
    )
    assert "nowhere is neither a folder nor an MLflow run" in sentence_of(
        promote("good", "refused", evaluation="nowhere")
    )
    shutil.copytree("good", "old", dirs_exist_ok=True)
    card = Path("old/assets/model_card.md")
    text = card.read_text(encoding="utf-8")
    card.unlink()  # a link of the other's
    card.write_text(text.replace("SHA-256 of its training", ""), encoding="utf-8")
    assert "The card of old does not say" in sentence_of(
        promote("old", "refused", evaluation="good-evaluation")
    )
    assert find_version("models:/refused@champion") is None


def test_models_that_cannot_be_compared_are_refused(tmp_path):
    promote("bad", "apart")
    before = state("apart")
    assert "not both measured on the text text" in sentence_of(
        promote("good", "apart", "--on", "text")
    )
    shutil.copytree("good-evaluation", tmp_path / "elsewhere")
    table = pd.read_csv(tmp_path / "elsewhere/documents.csv", dtype={"digest": str})
    table.assign(digest="0").to_csv(tmp_path / "elsewhere/documents.csv", index=False)
    sentence = sentence_of(promote("good", "apart", evaluation=tmp_path / "elsewhere"))
    assert "elsewhere and models:/apart/1 were not measured on the same" in sentence
    assert state("apart") == before


def test_a_model_is_named_by_its_address():
    promote("fair", "named")
    said = nextword("predict", "o cachorro", "--model", "fair").output
    assert said.count("%") == 5
    logged = f"models:/{mlflow.search_logged_models(output_format='list')[0].model_id}"
    for address in ("models:/named/1", "models:/named@champion", logged):
        result = nextword("predict", "o cachorro", "--model", address)
        assert result.exit_code == 0, result.output
        assert result.stdout == said or address == logged
        assert result.stdout.count("%") == 5
        assert f"{address} holds only what" in nextword("verify", address).stdout


@pytest.mark.parametrize(
    "address", ["models:/nobody@champion", "models:/nobody/1", "models:/m-0", "models:/"]
)
def test_what_mlflow_does_not_have_is_named(address):
    sentence = sentence_of(nextword("predict", "o", "--model", address))
    assert sentence.startswith(f"Error: {address} cannot be downloaded from sqlite:")
    assert sentence.endswith("`mlflow ui` shows the models that are there.")


def test_only_versions_are_promoted():
    promote("fair", "versions")
    logged = mlflow.search_logged_models(output_format="list")[0]
    sentence = sentence_of(nextword("promote", f"models:/{logged.model_id}"))
    assert "is no version of a registered model" in sentence
    assert "choose a name" in sentence_of(promote("fair", "a/b"))
    assert "holds 0 numbered models" in sentence_of(
        promote("fair/1", "versions", evaluation="fair-evaluation")
    )


def test_a_model_of_the_registry_is_examined(place):
    promote("fair", "changed")
    logged = mlflow.MlflowClient().get_model_version("changed", "1").source
    model = mlflow.get_logged_model(logged.removeprefix("models:/"))
    (assets,) = Path(model.artifact_location).rglob("assets")
    (assets / "more.sh").write_text("echo\n")
    try:
        for command in (("predict", "o", "--model"), ("verify",)):
            sentence = sentence_of(nextword(*command, "models:/changed/1"))
            assert (
                "models:/changed/1/saved_model.pb is not what `nextword export` writes" in sentence
            )
        trusted = nextword("predict", "o", "--model", "models:/changed/1", "--trust")
        assert trusted.exit_code == 0, trusted.output
    finally:
        (assets / "more.sh").unlink()

"""The main job as a user starts it, at its full size: minutes, so marked slow."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT

SENTENCE = "Matias tinha um cachorro e ele gostava de beber"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which `mlflow run .` has done the main job."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("pipeline", "data/sample"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("MLproject", "python_env.yaml", "constraints.txt", "setup.py", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    run(folder, "run", ".", "--env-manager", "local")
    return folder


def environment():
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return {**ours, "PATH": path}


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_sentence_of_the_lecture_is_completed(project):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "predict", SENTENCE],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "água" in [line.split()[-1] for line in done.stdout.splitlines()[:3]]


def test_the_lstm_beats_the_model_that_sees_only_the_last_words(project):
    metrics = json.loads((project / "models/evaluation/metrics.json").read_text())
    for models in metrics.values():
        perplexities = [models[name]["perplexity"] for name in ("lstm", "feedforward", "unigram")]
        assert perplexities == sorted(perplexities)
    assert metrics["test"]["lstm"]["perplexity"] < 110
    assert metrics["test"]["lstm"]["top_3"] > 0.31


def test_a_stage_runs_as_an_entry_point(project):
    options = {"window": 20, "epochs": 1, "embedding": 32, "units": 32, "output": "models/other"}
    given = [part for name, value in options.items() for part in ("-P", f"{name}={value}")]
    run(project, "run", ".", "-e", "train", *given, "--env-manager", "local")
    manifest = json.loads((project / "models/other/manifest.json").read_text())
    assert manifest["parameters"]["window"] == 20


def test_the_logged_model_is_served(project):
    output = run(project, "run", ".", "-e", "export", "--env-manager", "local")
    uri = next(word for word in output.split() if word.startswith("models:/")).rstrip(".")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "-p", str(port),
         "--env-manager", "local"],
        cwd=project, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip

    def post(body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        (answer,) = post({"dataframe_split": {"columns": ["text"], "data": [[SENTENCE]]}})[
            "predictions"
        ]
        assert "água" in answer["words"][:3]
        assert len(answer["probabilities"]) == 5
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post({"dataframe_split": {"columns": ["other"], "data": [[1]]}})
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)

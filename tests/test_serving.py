"""The model behind MLflow's server and behind TensorFlow Serving, asked as docs/serving.md says."""

import errno
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent import futures
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import uvicorn
from conftest import ROOT, ask, free_ports, write_export
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from tensorflow.core.protobuf import saved_model_pb2

from pipeline import InputError
from pipeline.tracking import registry, runs, served

PAGE = (ROOT / "docs/serving.md").read_text()
CODE = dict(zip(("mlflow", "grpc"), re.findall(r"```python\n(.*?)```", PAGE, re.S), strict=True))
BODIES, CSV = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)[0] for kind in ("json", "csv"))
CURL = re.compile(r"curl http://127\.0\.0\.1:(\d+)(\S+) .*?-d '(.*?)'", re.S)
TEXTS = ["o cachorro", "", "Ela bebeu água e o cachorro\nO"]
K = 5


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """models/nextword as `nextword export` leaves it."""
    return write_export(tmp_path_factory.mktemp("serving"), "feedforward", suggestions=K)


@pytest.fixture(scope="module")
def registered(exported, store):
    mlflow.set_tracking_uri(store)
    with runs.start_run("serving", {}):
        return registry.log_model(exported, register="um modelo")[0]


@pytest.fixture(scope="module")
def loaded(registered):
    return mlflow.pyfunc.load_model(registered)


@pytest.fixture(scope="module")
def saved(loaded):
    """The SavedModel itself, which is loaded once: that takes seconds."""
    return loaded._model_impl._model


@pytest.fixture(scope="module")
def address(loaded):
    """What `mlflow models serve` runs, without the process around it."""
    (port,) = free_ports(1)
    app = scoring_server.init(loaded)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = server.force_exit = True
    thread.join()


def post(url, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + "/invocations", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def split(*rows, columns=("text",), **params):
    return {"dataframe_split": {"columns": columns, "data": rows}, "params": params}


def words(array):
    return [[word.decode() for word in row if word] for row in array]


# mlflow.pyfunc


def test_a_model_is_registered_with_its_signature(registered, loaded):
    assert registered == "models:/um modelo/1"
    signature = loaded.metadata.signature
    assert signature.inputs.required_input_names() == ["text"]
    assert {p.name: p.default for p in signature.params.params} == served.DEFAULTS


def test_only_one_copy_of_the_model_is_kept(registered):
    folder = Path(mlflow.artifacts.download_artifacts(registered))
    assert len(list(folder.rglob("saved_model.pb"))) == 1


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", "..", "...", "/"])
def test_names_that_the_registry_rejects_are_rejected(name, store):
    with pytest.raises(InputError, match=r"MLflow cannot register a model as .* choose a name"):
        registry.check_model_name(name)
    mlflow.set_tracking_uri(store)
    with pytest.raises(MlflowException):
        mlflow.MlflowClient().create_registered_model(name)


def test_names_that_the_registry_accepts_are_accepted(store):
    mlflow.set_tracking_uri(store)
    for name in ["Próxima palavra", "a.b", ".a", "-"]:
        registry.check_model_name(name)
        assert mlflow.MlflowClient().create_registered_model(name).name == name


def outputs_of(name, folder, register=None):
    """What `export` does with what it has written, in a run of its own."""
    with runs.start_run(name, {}):
        logged = registry.log_model(folder, register=register)
        run = mlflow.active_run().info.run_id
    return logged, [model.model_id for model in mlflow.get_run(run).outputs.model_outputs]


def versions(name):
    return sorted(int(v.version) for v in mlflow.MlflowClient().search_model_versions()
                  if v.name == name)  # fmt: skip


@pytest.mark.slow
def test_the_same_bytes_are_logged_and_registered_once(registered, exported, tmp_path):
    name = "l'água"
    first, logged = outputs_of("first", exported, name)
    assert first == (f"models:/{name}/1", True)
    assert outputs_of("again", exported, name) == ((f"models:/{name}/1", False), logged)
    assert outputs_of("not registered", exported) == ((f"models:/{logged[0]}", False), logged)
    assert versions(name) == [1]
    # A move changes nothing, a byte does.
    shutil.copytree(exported, tmp_path / "moved")
    assert outputs_of("moved", tmp_path / "moved", name)[0] == (f"models:/{name}/1", False)
    with (tmp_path / "moved/1/assets/model_card.md").open("a") as card:
        card.write("\n")
    second, other = outputs_of("changed", tmp_path / "moved", name)
    assert second == (f"models:/{name}/2", True)
    assert other != logged
    assert outputs_of("first again", exported, name) == ((f"models:/{name}/1", False), logged)
    assert versions(name) == [1, 2]
    # A model whose files somebody has deleted is logged, and registered, anew.
    shutil.rmtree(mlflow.get_logged_model(other[0]).artifact_location)
    third, again = outputs_of("lost", tmp_path / "moved", name)
    assert third == (f"models:/{name}/3", True)
    assert again != other


@pytest.mark.slow
def test_a_model_that_was_logged_by_half_is_logged_again(exported, store, tmp_path, monkeypatch):
    """The file that says what the model is was there before the disk was full."""
    mlflow.set_tracking_uri(store)
    folder = tmp_path / "half"
    shutil.copytree(exported, folder)
    with (folder / "1/assets/model_card.md").open("a") as card:
        card.write("\nHalf.\n")

    def fail(repository, place, artifact_path=None):
        repository.log_artifact(str(Path(place, "MLmodel")))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactRepository, "log_artifacts", fail)
        with pytest.raises(OSError, match="No space left"):
            outputs_of("half", folder)
    (address, new), _ = outputs_of("whole", folder, "whole")
    assert new
    kept = Path(mlflow.artifacts.download_artifacts(address, dst_path=str(tmp_path)))
    assert list(kept.rglob("saved_model.pb"))


def test_suggestions_are_those_of_the_saved_model(loaded, saved):
    frame = pd.DataFrame({"text": TEXTS}, index=[7, 3, 9])
    answer = loaded.predict(frame)
    expected = ask(saved, "serving_default", text=TEXTS)
    assert list(answer.index) == [7, 3, 9]
    assert list(answer["words"]) == words(expected["words"])
    np.testing.assert_allclose(list(answer["probabilities"]), expected["probabilities"], rtol=1e-5)


@pytest.mark.parametrize("k", [1, 3, K, None])
def test_k_words_are_suggested(loaded, k):
    frame = pd.DataFrame({"text": TEXTS})
    all_of_them, some = loaded.predict(frame), loaded.predict(frame, params={"k": k})
    for name in ("words", "probabilities"):
        assert list(some[name]) == [row[:k] for row in all_of_them[name]]


def test_completions_are_only_words_that_fit(loaded, saved):
    frame = pd.DataFrame({"text": TEXTS, "prefix": ["b", "agua", "x"]})
    answer = loaded.predict(frame, params={"signature": "complete"})
    expected = ask(saved, "complete", text=TEXTS, prefix=["b", "agua", "x"])
    assert list(answer["words"]) == words(expected["words"])
    assert answer["words"][1] == ["Água"]
    assert answer["words"][2] == answer["probabilities"][2] == []
    assert [len(row) for row in answer["words"]] == [len(row) for row in answer["probabilities"]]


def test_corrections_are_those_of_the_saved_model(loaded, saved):
    frame = pd.DataFrame({"text": TEXTS, "word": ["cachoro", "agua", "x"]})
    answer = loaded.predict(frame, params={"signature": "correct"})
    expected = ask(saved, "correct", text=TEXTS, word=["cachoro", "agua", "x"])
    assert list(answer["words"]) == words(expected["words"])
    assert answer["sure"].tolist() == expected["sure"].tolist()


def test_scores_are_those_of_the_saved_model(loaded, saved):
    answer = loaded.predict(pd.DataFrame({"text": TEXTS}), params={"signature": "score"})
    expected = ask(saved, "score", text=TEXTS)
    assert list(answer["tokens"]) == list(expected["tokens"])
    np.testing.assert_allclose(answer["log_probability"], expected["log_probability"], rtol=1e-5)


def test_word_by_word_equals_the_whole_text(loaded):
    step = {"signature": "step"}
    answer = loaded.predict(pd.DataFrame({"text": ["o", "Ela"]}), params=step)
    frame = pd.DataFrame({"text": ["cachorro bebeu", "e o"], "state": answer["state"]})
    answer = loaded.predict(frame, params=step)
    whole = loaded.predict(pd.DataFrame({"text": ["o cachorro bebeu", "Ela e o"]}))
    assert list(answer["words"]) == list(whole["words"])
    np.testing.assert_allclose(
        list(answer["probabilities"]), list(whole["probabilities"]), rtol=1e-5
    )


def test_generated_text_is_that_of_the_saved_model(loaded, saved):
    numbers = {"length": 9, "temperature": 1.5, "top_p": 0.9, "seed": 4}
    answer = loaded.predict(
        pd.DataFrame({"text": TEXTS}), params={"signature": "generate", **numbers}
    )
    expected = ask(saved, "generate", text=TEXTS, **numbers)
    assert list(answer["text"]) == [text.decode() for text in expected["text"]]
    other = loaded.predict(
        pd.DataFrame({"text": TEXTS}), params={"signature": "generate", **numbers, "seed": 5}
    )
    assert list(other["text"]) != list(answer["text"])


def test_rows_are_read_in_batches_that_fit(loaded, monkeypatch):
    rng = np.random.default_rng(3)
    texts = ["o cachorro " * n for n in rng.integers(0, 9, 50)] + ["o " * 400, "e"]
    whole = loaded.predict(pd.DataFrame({"text": texts}))
    limits = sys.modules[type(loaded._model_impl).__module__]
    monkeypatch.setattr(limits, "_BATCH_ROWS", 7)
    monkeypatch.setattr(limits, "_BATCH_CHARACTERS", 200)
    parts = loaded.predict(pd.DataFrame({"text": texts}))
    assert list(parts["words"]) == list(whole["words"])
    np.testing.assert_allclose(
        list(parts["probabilities"]), list(whole["probabilities"]), rtol=1e-5
    )
    encoded = np.array([text.encode() for text in texts], object)
    batches = [encoded[rows] for rows in limits._batches(encoded)]
    assert np.concatenate(batches).tolist() == encoded.tolist()
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= 200
        assert 1 <= len(batch) <= 7


def test_a_dictionary_of_lists_is_a_row_for_each_text(loaded):
    columns = {"text": [*TEXTS, "NA"], "prefix": ["b", "", "x", "c"]}
    for params, names in (({}, ["text"]), ({"signature": "complete"}, ["text", "prefix"])):
        for count in (0, 1, 4):
            given = {name: columns[name][:count] for name in names}
            answer = loaded.predict(given, params=params)
            expected = loaded.predict(pd.DataFrame(given, dtype=object), params=params)
            assert len(answer) == count
            assert answer.to_dict("list") == expected.to_dict("list")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (pd.DataFrame({"text": ["o", None]}), "Row 1 of column 'text' holds no text: send JSON"),
        (pd.DataFrame({"text": ["o", ["a"]]}), "Row 1 of column 'text' holds no text: send a st"),
        ({"text": ["o", 3]}, "Row 1 of column 'text' holds no text: send a string"),
        ({"text": ["o", "a"], "prefix": ["b"]}, "The columns differ in length"),
    ],
)
def test_errors_in_python(loaded, given, sentence):
    with pytest.raises(MlflowException, match=sentence):
        loaded.predict(given)


# mlflow models serve

GENERATE = {"signature": "generate"}
WRONG = {
    "k is 9, but this model suggests 1 to 5 words": split(["o"], k=9),
    "k is 0, but": split(["o"], k=0),
    "Can not safely convert": split(["o"], k="3"),
    "no signature 'x': ask serving_default": split(["o"], signature="x"),
    "'complete' reads a column 'prefix': add it": split(["o"], signature="complete"),
    "'serving_default' reads no column 'prefix'": split(["o", "b"], columns=("text", "prefix")),
    "Row 0 of column 'text' holds no text": split([None]),
    "Row 1 of column 'text' holds no text": split(["o"], [3]),
    "column 'text' holds no text: send a string": {"inputs": [{"text": ["o", "a"]}]},
    "Model is missing inputs ['text']. Note": {"inputs": ["o"]},
    "is missing inputs ['text']. Note": {"instances": ["o"]},
    "Row 0 of column 'prefix' holds no text": split(
        ["o", None], columns=("text", "prefix"), signature="complete"
    ),
    "holds 100001 characters: send at most 100000": split(["o" * 100_001]),
    "surrogates not allowed": split(["o \ud800"]),
    "Row 0 of column 'state' is no state of this model": split(
        ["o", "AAAA"], columns=("text", "state"), signature="step"
    ),
    "is no state of this": split(
        ["o", "/" * 112], columns=("text", "state"), signature="step"
    ),
    "Failed to convert column state": split(
        ["o", 3], columns=("text", "state"), signature="step"
    ),
    "length must not be negative": split(["o"], **GENERATE, length=-1),
    "top_p must lie above 0": split(["o"], **GENERATE, top_p=0),
    "seed is 4294967296: give one that fits into 32 bits": split(["o"], **GENERATE, seed=2**32),
    "Model is missing inputs ['text']": split(["o"], columns=("other",)),
    "Parameters must be a dictionary": {**split(["o"]), "params": 3},
    "exactly one of the input fields": {},
    "Received a list": [],
    "valid JSON": b"{",
    "Invalid input": b"\xff",
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_a_malformed_request_gets_400_and_a_sentence(address, sentence):
    status, answer = post(address, WRONG[sentence])
    assert status == 400
    assert sentence in answer["message"]
    assert "stack_trace" not in answer


def test_no_texts_get_no_answers(address):
    assert post(address, split()) == (200, {"predictions": []})


# What pandas takes for a missing value, a number or a line that is not there.
LOST = ["NA", "null", "None", "nan", ""]
ODD = ["o cachorro", "Ela", *LOST, " ", "007", "1.50", "true", "a, b", "a\nb", "«o»"]


def formats(texts):
    """Texts in every format of the page."""
    rows = [{"text": text} for text in texts]
    return (
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}},
        {"dataframe_records": rows},
        {"inputs": {"text": texts}},
        {"inputs": rows},
        {"instances": rows},
    )


def test_every_format_of_mlflow_is_answered_alike(address, saved):
    expected = words(ask(saved, "serving_default", text=ODD)["words"])
    for body in formats(ODD):
        status, answer = post(address, body)
        assert status == 200
        assert [row["words"] for row in answer["predictions"]] == expected
    for text in ODD:
        assert post(address, {"inputs": {"text": text}})[0] == 200


def test_csv_is_answered_except_for_missing_values(address):
    taken = [text for text in ODD if text.strip() and text not in LOST]
    csv = pd.DataFrame({"text": taken}).to_csv(index=False).encode()
    assert post(address, csv, "text/csv") == post(address, formats(taken)[0])
    assert post(address, csv + b"\n  \n", "text/csv") == post(address, csv, "text/csv")
    for text in LOST:
        status, answer = post(address, f'text\no\n"{text}"\n'.encode(), "text/csv")
        assert status == 400
        sentence = (
            "Row 1 of column 'text' holds no text: send JSON, for CSV loses an empty text, NA"
        )
        assert sentence in answer["message"]


def test_mlflow_converts_values_to_text_in_some_formats(address):
    for value, text in ((3, "3"), (None, "None")):
        split, records, *others = formats([value])
        assert {post(address, body)[0] for body in (split, records)} == {400}
        expected = post(address, formats([text])[0])
        assert all(post(address, body) == expected for body in others)


def test_a_state_can_be_sent_back(address):
    _, answer = post(address, split(["o"], signature="step"))
    state = answer["predictions"][0]["state"]
    body = split(["cachorro", state], columns=("text", "state"), signature="step")
    _, stepped = post(address, body)
    _, whole = post(address, split(["o cachorro"]))
    assert stepped["predictions"][0]["words"] == whole["predictions"][0]["words"]


def test_ten_thousand_rows_are_answered(address):
    status, answer = post(address, split(*[[text] for text in TEXTS * 3334]))
    assert status == 200
    assert len(answer["predictions"]) == 10_002
    first, last = answer["predictions"][:3], answer["predictions"][-3:]
    assert [row["words"] for row in first] == [row["words"] for row in last]


def test_eight_clients_at_once_get_the_answers_of_one(address):
    siege(address, seconds=2)


def siege(url, *, seconds, unruly=0):
    spec = importlib.util.spec_from_file_location("siege", ROOT / "benchmarks/serving.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    server = benchmark.find_server(url, benchmark.WORDS)
    answers, _ = benchmark.besiege(server, clients=8, unruly=unruly, seconds=seconds)
    assert len(answers) >= 8
    assert not any(answer.error or answer.different for answer in answers)


@pytest.mark.slow
def test_mlflow_serves_a_registered_model_to_eight_clients(registered, store, tmp_path):
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", registered, "-p", str(port),
         "--env-manager", "local"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        for body in formats(["O menino", "NA"]):
            assert len(post(url, body)[1]["predictions"]) == 2
        assert post(url, CSV.encode(), "text/csv")[0] == 200
        siege(url, seconds=15, unruly=7)
        assert post(url, split(["o"], k=9))[0] == 400
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


# The page


def test_the_requests_to_mlflow_on_the_page_are_answered(address):
    bodies = [body for _, path, body in CURL.findall(PAGE) if path == "/invocations"]
    assert len(bodies) == 4
    for body in bodies:
        status, answer = post(address, json.loads(body))
        assert status == 200, answer


def test_the_formats_on_the_page_ask_the_same(address):
    bodies = [json.loads(line) for line in BODIES.splitlines()]
    assert bodies == list(formats(["O menino abriu a", "Bom"]))
    expected = post(address, CSV.encode(), "text/csv")
    assert expected[0] == 200
    assert all(post(address, body) == expected for body in bodies)


def test_the_python_on_the_page_runs(loaded, monkeypatch, capsys):
    monkeypatch.setattr(mlflow.pyfunc, "load_model", {"models:/nextword/1": loaded}.get)
    exec(CODE["mlflow"], {})
    assert "log_probability" in capsys.readouterr().out


# TensorFlow Serving


def meta_graph(folder):
    """The graph of the one version, as TensorFlow Serving finds it under a base path."""
    (version,) = (path for path in folder.iterdir() if path.name.isdecimal())
    graphs = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    (graph,) = graphs.meta_graphs
    return graph


def test_the_base_path_holds_a_version_with_all_signatures(exported):
    graph = meta_graph(exported)
    assert list(graph.meta_info_def.tags) == ["serve"]
    tables = {
        name: {
            side: {
                key: (tf.as_dtype(info.dtype).name, len(info.tensor_shape.dim))
                for key, info in getattr(signature, side).items()
            }
            for side in ("inputs", "outputs")
        }
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    text, suggested = ("string", 1), {"words": ("string", 2), "probabilities": ("float32", 2)}
    state = {"state": ("float32", 2)}
    numbers = dict.fromkeys(("length", "seed"), ("int32", 0))
    numbers |= dict.fromkeys(("temperature", "top_p"), ("float32", 0))
    assert tables == {
        "serving_default": {"inputs": {"text": text}, "outputs": suggested},
        "complete": {"inputs": {"text": text, "prefix": text}, "outputs": suggested},
        "correct": {
            "inputs": {"text": text, "word": text},
            "outputs": suggested | {"sure": ("bool", 1)},
        },
        "step": {"inputs": {"text": text} | state, "outputs": suggested | state},
        "score": {
            "inputs": {"text": text},
            "outputs": {"log_probability": ("float32", 1), "tokens": ("int32", 1)},
        },
        "generate": {"inputs": {"text": text} | numbers, "outputs": {"text": text}},
    }
    for name in tables:
        assert graph.signature_def[name].method_name == "tensorflow/serving/predict"


def rest_inputs(body, signature):
    """The tensors of a REST body, by the rules of tensorflow.org/tfx/serving/api_rest."""
    assert set(body) <= {"signature_name", "instances", "inputs"}
    assert ("instances" in body) != ("inputs" in body)
    if "instances" in body:
        rows = body["instances"]
        if not isinstance(rows[0], dict):  # one input, which need not be named
            (name,) = signature.inputs
            rows = [{name: row} for row in rows]
        assert all(set(row) == set(signature.inputs) for row in rows)
        columns = {name: [row[name] for row in rows] for name in signature.inputs}
    else:
        columns = body["inputs"]
    assert set(columns) == set(signature.inputs)
    tensors = {}
    for name, info in signature.inputs.items():
        tensors[name] = tf.constant(columns[name], tf.as_dtype(info.dtype))
        assert tensors[name].shape.is_compatible_with(tf.TensorShape(info.tensor_shape))
    return tensors


def test_the_rest_calls_on_the_page_fit_the_signatures(exported, saved):
    graph = meta_graph(exported)
    calls = [(path, json.loads(body)) for port, path, body in CURL.findall(PAGE) if port == "8501"]
    asked = [body.get("signature_name", "serving_default") for _, body in calls]
    assert asked == ["serving_default", "complete", "score", "generate"]
    for (path, body), name in zip(calls, asked, strict=True):
        assert re.fullmatch(r"/v1/models/nextword(/versions/1)?:predict", path)
        tensors = rest_inputs(body, graph.signature_def[name])
        answer = saved.signatures[name](**tensors)
        assert set(answer) == set(graph.signature_def[name].outputs)
        assert all(len(value) == len(tensors["text"]) for value in answer.values())


@pytest.fixture
def stand_in(exported, saved):
    """Answers as TensorFlow Serving's PredictionService does, and is as strict."""
    grpc = pytest.importorskip("grpc")
    predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    services = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    metadata_pb2 = pytest.importorskip("tensorflow_serving.apis.get_model_metadata_pb2")
    graph = meta_graph(exported)
    asked = []

    class Service(services.PredictionServiceServicer):
        def Predict(self, request, context):
            assert request.model_spec.name == exported.name
            name = request.model_spec.signature_name
            signature = graph.signature_def[name]
            asked.append(name)
            assert set(request.inputs) == set(signature.inputs)
            for key, info in signature.inputs.items():
                proto = request.inputs[key]
                assert proto.dtype == info.dtype
                shape = tf.TensorShape(proto.tensor_shape)
                assert shape.is_compatible_with(tf.TensorShape(info.tensor_shape))
            inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            for key, value in saved.signatures[name](**inputs).items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

        def GetModelMetadata(self, request, context):
            assert request.model_spec.name == exported.name
            assert list(request.metadata_field) == ["signature_def"]
            signatures = metadata_pb2.SignatureDefMap(signature_def=dict(graph.signature_def))
            response = metadata_pb2.GetModelMetadataResponse()
            response.metadata["signature_def"].Pack(signatures)
            return response

    server = grpc.server(futures.ThreadPoolExecutor(1))
    services.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port, asked
    server.stop(None)


def test_the_grpc_calls_on_the_page_fit_the_signatures(stand_in, capsys):
    port, asked = stand_in
    exec(CODE["grpc"].replace("127.0.0.1:8500", f"127.0.0.1:{port}"), {})
    assert asked == ["serving_default", "step", "step", "step", "generate"]
    assert len(capsys.readouterr().out.splitlines()) == 2

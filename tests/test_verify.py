"""Every form of export passes; hundreds of altered models are refused, and none of them runs."""

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from conftest import (
    CHOICES,
    ROOT,
    SUBWORDS,
    VOCABULARY,
    nextword,
    sentence_of,
    vocabulary_of,
    write_export,
    write_tokens,
    write_training,
)
from tensorflow.core.framework import attr_value_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from pipeline.export import verify as module
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.export.verify import verify
from pipeline.tracking.served import Served

# Every form of export

MANY = vocabulary_of(*(f"p{i}" for i in range(4_098)))  # two clusters
ADAPTIVE = {"softmax": "adaptive", "layers": 1, "vocabulary": MANY}
FORMS = {
    "feedforward": {"cell": "feedforward"},
    "lstm": {},
    "gru": {"cell": "gru"},
    "simple_rnn": {"cell": "simple_rnn"},
    "mogrifier": {"mogrifier": 3, "tied": True, "layers": 1},
    "adaptive": {"cell": "gru", **ADAPTIVE},
    "adaptive, tied": {"cell": "feedforward", "tied": True, **ADAPTIVE},
    "subword": {"cell": "gru", "vocabulary": SUBWORDS},
    "subword, kept": {
        "cell": "feedforward", "vocabulary": replace(SUBWORDS, case="keep", numbers="class")
    },
    "cache": {"of_export": {"cache": 5}},
    "never": {"cell": "feedforward", "of_export": {"never_suggest": "cachorr*\nágua\n"}},
    **{
        f"{choice['case']}, {choice['numbers']}, lexicon": {
            "cell": "feedforward", "vocabulary": replace(VOCABULARY, **choice),
            "of_export": {"lexicon": "gato\nlisboa\n"},
        }
        for choice in CHOICES
    },
}  # fmt: skip
QUICK = {"feedforward", "subword, kept", "never", "keep, class, lexicon"}


@pytest.mark.parametrize(
    "form",
    [form if form in QUICK else pytest.param(form, marks=pytest.mark.slow) for form in FORMS],
)
def test_every_form_of_export_passes(form, tmp_path):
    options = {"cell": "lstm", **FORMS[form]}
    of_export = options.pop("of_export", {})
    for name, wrap in (("lexicon", lambda path: (str(path),)), ("never_suggest", Path)):
        if name in of_export:
            (tmp_path / name).write_text(of_export[name], encoding="utf-8")
            of_export = {**of_export, name: wrap(tmp_path / name)}
    training = write_training(tmp_path / "training", **options)
    tokens = write_tokens(tmp_path / "tokens")
    export(training, tmp_path / "made", config=ExportConfig(3, **of_export), tokens=tokens)
    for folder in (tmp_path / "made", tmp_path / "made" / "1"):
        verify(folder)
    result = nextword("verify", tmp_path / "made")
    assert result.exit_code == 0, result.output
    assert result.output.count("holds only what `nextword export` writes.") == 2


# Altered models


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("verify"), "feedforward", suggestions=3)


@pytest.fixture(scope="module")
def original(exported):
    return saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of one version, without a folder for TensorFlow Serving."""
    folder = tmp_path / "model"
    shutil.copytree(exported / "1", folder)
    return folder


def refused(folder, model=None) -> str:
    """Why a model is refused, in one sentence without its full stop."""
    if model is not None:
        data = model if isinstance(model, bytes) else model.SerializeToString()
        (folder / "saved_model.pb").write_bytes(data)
    with pytest.raises(ValueError, match="is not what `nextword export` writes: ") as refusal:
        verify(folder)
    sentence = str(refusal.value)
    assert str(folder) in sentence
    assert "\n" not in sentence
    return sentence


def altered(original, change):
    model = saved_model_pb2.SavedModel()
    model.CopyFrom(original)
    change(model.meta_graphs[0])
    return model


def main_node(meta, signature):
    """The node of the main graph that answers a signature."""
    tensor = next(iter(meta.signature_def[signature].outputs.values())).name
    return next(n for n in meta.graph_def.node if n.name == tensor.partition(":")[0])


def function(meta, name):
    return next(f for f in meta.graph_def.library.function if f.signature.name == name)


def of_signature(meta):
    """The function behind serving_default, which the one of the signature calls."""
    wrapper = function(meta, main_node(meta, "serving_default").attr["f"].func.name)
    return function(
        meta, next(n.attr["f"].func.name for n in wrapper.node_def if n.attr["f"].func.name)
    )


def nested(meta):
    """A branch of a condition."""
    nodes = (n for f in meta.graph_def.library.function for n in f.node_def)
    return function(meta, next(n.attr["then_branch"].func.name for n in nodes if n.op == "If"))


def initialiser(meta):
    return holding(meta, "LookupTableImportV2")


def restoring(meta):
    return holding(meta, "RestoreV2")


def saving(meta):
    return holding(meta, "SaveV2")


def holding(meta, op):
    return next(f for f in meta.graph_def.library.function if any(n.op == op for n in f.node_def))


PLACES = {
    "signature": lambda meta: of_signature(meta).node_def,
    "branch": lambda meta: nested(meta).node_def,
    "initialiser": lambda meta: initialiser(meta).node_def,
    "restoring": lambda meta: restoring(meta).node_def,
    "saving": lambda meta: saving(meta).node_def,
    "graph": lambda meta: meta.graph_def.node,
}
# Operations that write, read, connect, call Python or compile, and some that TensorFlow lacks.
FOREIGN = """
WriteFile ReadFile MatchingFiles Save SaveSlices Restore WholeFileReaderV2 TextLineReaderV2
TFRecordReaderV2 ImmutableConst InitializeTableFromTextFileV2 LookupTableExportV2
LookupTableInsertV2 PrintV2 Print AudioSummaryV2 CreateSummaryFileWriter WriteSummary ImportEvent
DebugIdentityV3 SaveDatasetV2 LoadDataset TextLineDataset SqlDataset SnapshotDatasetV2
CacheDatasetV2 GeneratorDataset OneShotIterator DatasetToTFRecord DataServiceDatasetV4
DistributedSave PyFunc PyFuncStateless EagerPyFunc RemoteCall _Send _HostSend _Recv
CollectiveReduceV2 XlaLaunch XlaHostCompute ConfigureDistributedTPU RpcServerStart Abort
Custom>Evil evil::Op
""".split()
# These stand in every export, but only where they belong.
OWN = {
    "SaveV2": {"saving"},
    "MergeV2Checkpoints": {"saving"},
    "ShardedFilename": {"saving"},
    "RestoreV2": set(),  # a second one has no file's name
    "AssignVariableOp": {"restoring", "graph"},
    "HashTableV2": {"initialiser", "graph"},
    "LookupTableImportV2": {"initialiser"},
    "VarHandleOp": {"graph"},
    "While": {"signature", "branch"},
}
ALTERED = [
    (op, place) for op in [*FOREIGN, *OWN] for place in PLACES if place not in OWN.get(op, ())
]


def test_there_are_hundreds_of_altered_models():
    assert len({*ALTERED}) >= 300


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_an_operation_where_no_export_has_it_is_refused(place, copy, original):
    for op in (op for op, where in ALTERED if where == place):

        def add(meta, op=op):
            PLACES[place](meta).add(op=op, name="added")

        sentence = refused(copy, altered(original, add))
        assert f"the operation {op} stands in " in sentence or op == "RestoreV2"
        assert ("function" in sentence) == (place != "graph") or op == "RestoreV2"


def node(nodes, op, **attributes):
    added = nodes.add(op=op, name=f"added_{len(nodes)}")
    for name, value in attributes.items():
        if isinstance(value, str):
            added.attr[name].func.name = value
        else:
            added.attr[name].CopyFrom(value)
    return added


def call(nodes, name):
    return node(nodes, "StatefulPartitionedCall", f=name)


def saver(meta):
    return next(n for n in meta.graph_def.node
                if n.name == meta.saver_def.save_tensor_name.partition(":")[0])  # fmt: skip


def hook(meta, name):
    objects = meta.object_graph_def.nodes
    return objects[next(c.node_id for o in objects for c in o.children if c.local_name == name)]


def rename(meta, name):
    own = nested(meta)
    for nodes in [meta.graph_def.node, *(f.node_def for f in meta.graph_def.library.function)]:
        for one in nodes:
            for value in one.attr.values():
                if value.func.name == own.signature.name:
                    value.func.name = name
    own.signature.name = name


def bomb(meta):
    """Thirty functions that each call the next one twice."""
    for i in range(30):
        added = meta.graph_def.library.function.add()
        added.signature.name = f"bomb_{i}"
        for _ in range(2 if i < 29 else 0):
            call(added.node_def, f"bomb_{i + 1}")


def huge(nodes, *, kind=types_pb2.DT_FLOAT, size=2_500_000_000):
    """A constant of one value, repeated to 10 GB."""
    value = attr_value_pb2.AttrValue()
    value.tensor.dtype = kind
    value.tensor.tensor_shape.dim.add(size=size)
    value.tensor.float_val.append(0.0)
    node(nodes, "Const", value=value)


def variables(meta):
    return [o.variable for o in meta.object_graph_def.nodes if o.HasField("variable")]


def handle(meta):
    return next(n for n in meta.graph_def.node if n.op == "VarHandleOp").attr["shape"].shape


def initialise_with(meta, name):
    hook(meta, "_initialize").function.concrete_functions[:] = [name]


def depend(meta, name):
    objects = meta.object_graph_def.nodes
    objects.add().function.concrete_functions.append(name)
    objects[0].dependencies.add(node_id=len(objects) - 1, local_name="_initialize")


def collect(meta, name, key="saved_model_main_op"):
    meta.collection_def[key].node_list.value[:] = [name]


def read_own_file(meta):
    own = restoring(meta)
    one = next(n for n in own.node_def if n.op == "RestoreV2")
    one.input[0] = f"{next(n.name for n in own.node_def if n.op == 'Const')}:output:0"


def gradient(meta):
    meta.graph_def.library.gradient.add(
        function_name=nested(meta).signature.name, gradient_func="x"
    )


def set_(message, **values):
    for name, value in values.items():
        setattr(message, name, value)


# What else is altered, and a word of the sentence that says so.
STRUCTURES = {
    "a signature calls what saves": (
        lambda m: call(of_signature(m).node_def, saving(m).signature.name),
        "saves its variables",
    ),
    "a branch calls what restores": (
        lambda m: call(nested(m).node_def, restoring(m).signature.name),
        "saves its variables",
    ),
    "the graph calls what saves again": (
        lambda m: call(m.graph_def.node, saving(m).signature.name),
        "saves its variables",
    ),
    "an input waits for what saves": (
        lambda m: main_node(m, "score").input.append(f"^{saver(m).name}"),
        "saves its variables",
    ),
    "a signature is what saves": (
        lambda m: set_(m.signature_def["score"].outputs["tokens"], name=f"{saver(m).name}:0"),
        "saves",
    ),
    "what restores is what saves": (
        lambda m: set_(m.saver_def, restore_op_name=saver(m).name),
        "stands in function",
    ),
    "the start is what saves": (lambda m: collect(m, saver(m).name), "stands in function"),
    "an object calls what saves": (
        lambda m: initialise_with(m, saving(m).signature.name),
        "stands in function",
    ),
    "an object has what saves": (
        lambda m: m.object_graph_def.concrete_functions[saving(m).signature.name].SetInParent(),
        "saves",
    ),
    "the start computes": (
        lambda m: collect(m, main_node(m, "generate").name),
        "stands in function",
    ),
    "the start computes, as a signature": (
        lambda m: set_(
            m.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"],
            name=main_node(m, "generate").name,
        ),
        "stands in function",
    ),
    "a table is filled by a signature": (
        lambda m: initialise_with(m, of_signature(m).signature.name),
        "stands in function",
    ),
    "the initialiser calls": (
        lambda m: call(initialiser(m).node_def, nested(m).signature.name),
        "StatefulPartitionedCall",
    ),
    "the restored file is a constant": (read_own_file, "chooses what file it reads"),
    "a table is filled by an object that can be called": (
        lambda m: hook(m, "_initialize").user_object.SetInParent(),
        "is no function",
    ),
    "a table depends on a signature": (
        lambda m: depend(m, of_signature(m).signature.name),
        "stands in function",
    ),
    "a function that another may replace": (
        lambda m: saving(m).attr["api_implements"].SetInParent(),
        "api_implements",
    ),
    "a function is an operation": (lambda m: rename(m, "Identity"), "like an operation"),
    "a function calls itself": (
        lambda m: call(nested(m).node_def, nested(m).signature.name),
        "calls itself",
    ),
    "a function calls what calls it": (
        lambda m: call(
            of_signature(m).node_def, main_node(m, "serving_default").attr["f"].func.name
        ),
        "calls itself",
    ),
    "calls multiply": (bomb, "calls"),
    "a function is missing": (lambda m: call(nested(m).node_def, "nowhere"), "not there"),
    "a node is missing": (lambda m: collect(m, "nowhere"), "not there"),
    "an object is missing": (
        lambda m: m.object_graph_def.nodes[0].children.add(node_id=9999, local_name="_initialize"),
        "not there",
    ),
    "two functions of one name": (
        lambda m: m.graph_def.library.function.add().CopyFrom(nested(m)),
        "one name",
    ),
    "two nodes of one name": (
        lambda m: m.graph_def.node.add().CopyFrom(m.graph_def.node[0]),
        "one name",
    ),
    "a gradient": (gradient, "trained"),
    "another tag": (lambda m: m.meta_info_def.tags.append("train"), "to be served"),
    "no tag": (lambda m: m.meta_info_def.ClearField("tags"), "to be served"),
    "another collection": (
        lambda m: collect(m, "NoOp", "saved_model_train_op"),
        "saved_model_train_op",
    ),
    "no score": (lambda m: m.signature_def.pop("score"), "no signatures"),
    "no serving_default": (lambda m: m.signature_def.pop("serving_default"), "no signatures"),
    **{
        f"asset {path}": (lambda m, path=path: set_(m.asset_file_def[0], filename=path), repr(path))
        for path in (
            "../vocabulary.tsv",
            "../../etc/passwd",
            "/etc/passwd",
            "a/../../b",
            ".",
            "",
            "~/.ssh/id_rsa",
            "file:///etc/passwd",
            "gs://bucket/x",
            "other.tsv",
        )
    },
    "an unknown class": (
        lambda m: set_(m.object_graph_def.nodes[1].user_object, identifier="_tf_keras_layer"),
        "_tf_keras_layer",
    ),
    "metadata of a class": (
        lambda m: set_(m.object_graph_def.nodes[1].user_object, metadata="{}"),
        "{}",
    ),
    "a registered class": (
        lambda m: set_(m.object_graph_def.nodes[1], registered_name="Custom.Evil"),
        "Custom.Evil",
    ),
    "a registered saver": (
        lambda m: set_(m.object_graph_def.nodes[1], registered_saver="x"),
        "saver",
    ),
    "a function that restores an object": (
        lambda m: set_(m.object_graph_def.nodes[1].saveable_objects["x"], restore_function=3),
        "saveable",
    ),
    "a method of TensorFlow's": (
        lambda m: m.object_graph_def.nodes[1].children.add(
            node_id=2, local_name="_restore_from_tensors"
        ),
        "_restore_from_tensors",
    ),
    "10 GB in a signature": (lambda m: huge(of_signature(m).node_def), "1024 MiB"),
    "10 GB in the initialiser": (lambda m: huge(initialiser(m).node_def), "1024 MiB"),
    "10 GB in the graph": (lambda m: huge(m.graph_def.node), "1024 MiB"),
    "2 ** 80 bytes": (
        lambda m: [huge(nested(m).node_def, size=2**62) for _ in range(9)],
        "1024 MiB",
    ),
    "less than nothing": (
        lambda m: huge(nested(m).node_def, size=-(2**40)),
        "unknown type or shape",
    ),
    "a variant": (
        lambda m: huge(nested(m).node_def, kind=types_pb2.DT_VARIANT, size=1),
        "unknown type",
    ),
    "10 GB in a variable": (lambda m: set_(variables(m)[0].shape.dim[0], size=10**9), "variables/"),
    "10 GB in a variable of the graph": (
        lambda m: set_(handle(m).dim[0], size=10**9),
        "variables/",
    ),
    "a variable of any size": (
        lambda m: set_(variables(m)[0].shape, unknown_rank=True),
        "unknown type or shape",
    ),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_model_of_another_structure_is_refused(name, copy, original):
    change, word = STRUCTURES[name]
    assert word in refused(copy, altered(original, change))


def test_none_or_two_graphs_are_refused(copy, original):
    assert "several graphs, or none" in refused(copy, saved_model_pb2.SavedModel())
    twice = altered(original, lambda meta: None)
    twice.meta_graphs.add().CopyFrom(twice.meta_graphs[0])
    assert "several graphs" in refused(copy, twice)


def test_a_model_that_is_cut_off_is_refused(copy, original):
    data = original.SerializeToString()
    for size in {0, 1, 2, 3, 10, len(data) - 1, *range(7, len(data), len(data) // 40)}:
        refused(copy, data[:size])


def operations(model):
    """All that a model runs, without the code under test."""
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {n.op for n in nodes}


def test_flipped_bytes_are_refused_or_change_nothing_that_runs(copy, original):
    data, known = original.SerializeToString(), operations(original)
    files = [asset.filename for asset in original.meta_graphs[0].asset_file_def]
    draw, passed = random.Random(21), 0
    for _ in range(60):
        flipped = bytearray(data)
        for _ in range(draw.choice((1, 3, 30))):
            flipped[draw.randrange(len(flipped))] ^= draw.randrange(1, 256)
        (copy / "saved_model.pb").write_bytes(flipped)
        try:
            verify(copy)
        except ValueError:
            continue
        passed += 1
        model = saved_model_pb2.SavedModel.FromString(bytes(flipped))
        assert operations(model) <= known
        assert [asset.filename for asset in model.meta_graphs[0].asset_file_def] == files
    assert passed < 60


# Altered folders


def replace_with_link(path):
    moved = path.rename(path.parents[2] / f"moved {path.name}")
    path.symlink_to(moved)


def rewrite(path, change):
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


FOLDERS = {
    "a linked asset": (lambda f: replace_with_link(f / "assets/vocabulary.tsv"), "link"),
    "linked variables": (lambda f: replace_with_link(f / "variables/variables.index"), "link"),
    "a linked folder": (lambda f: (f / "more").symlink_to("/etc"), "link"),
    "a pipe": (lambda f: os.mkfifo(f / "assets/pipe"), "no file"),
    "a model as text": (lambda f: (f / "saved_model.pbtxt").touch(), "in its place"),
    "a model in parts": (lambda f: (f / "saved_model.cpb").touch(), "in its place"),
    "no vocabulary": (lambda f: (f / "assets/vocabulary.tsv").unlink(), "No such file"),
    "no choices": (lambda f: (f / "assets/tokenizer.json").unlink(), "No such file"),
    "no variables": (lambda f: shutil.rmtree(f / "variables"), "variables/"),
    "another word": (
        lambda f: rewrite(f / "assets/vocabulary.tsv", lambda t: t.replace("bebeu", "comeu")),
        "other words",
    ),
    "another display": (
        lambda f: rewrite(f / "assets/vocabulary.tsv", lambda t: t.replace("Brasil", "BRASIL")),
        "other words",
    ),
    "words in another order": (
        lambda f: rewrite(
            f / "assets/vocabulary.tsv", lambda t: "\n".join([*t.splitlines()[::-1], ""])
        ),
        "other words",
    ),
    "fewer words": (
        lambda f: rewrite(f / "assets/vocabulary.tsv", lambda t: t[: t.index("bebeu")]),
        "other words",
    ),
    "more words": (
        lambda f: rewrite(f / "assets/vocabulary.tsv", lambda t: t + "x\tx\t1\n"),
        "other words",
    ),
    "no columns": (lambda f: rewrite(f / "assets/vocabulary.tsv", lambda t: "x\n"), "other words"),
    "an empty vocabulary": (
        lambda f: rewrite(f / "assets/vocabulary.tsv", lambda t: ""),
        "vocabulary",
    ),
    **{
        f"{before} for {after}": (
            lambda f, before=before, after=after: rewrite(
                f / "assets/tokenizer.json", lambda t: t.replace(f'"{before}"', f'"{after}"')
            ),
            "tokenizer.json is not how it cuts a text",
        )
        for before, after in (("fold", "keep"), ("keep", "class"), ("word", "subword"))
    },
    "no JSON": (
        lambda f: rewrite(f / "assets/tokenizer.json", lambda t: "{"),
        "tokenizer.json is not",
    ),
    "nested JSON": (
        lambda f: rewrite(f / "assets/tokenizer.json", lambda t: "[" * 10**6),
        "tokenizer.json is not",
    ),
    "a huge graph": (lambda f: os.truncate(f / "saved_model.pb", 10**10), "larger than 128 MiB"),
    "a huge vocabulary": (
        lambda f: os.truncate(f / "assets/vocabulary.tsv", 10**10),
        "larger than",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_an_altered_folder_is_refused(name, copy):
    change, word = FOLDERS[name]
    change(copy)
    assert word in refused(copy)


# Nothing runs


@pytest.fixture
def writing(copy, original, tmp_path):
    """A model that writes a file while it is loaded, and the file."""
    target = tmp_path / "written"

    def write(meta):
        own = initialiser(meta)
        for name, text in (("target", str(target)), ("text", "x")):
            constant = own.node_def.add(op="Const", name=name)
            constant.attr["dtype"].type = types_pb2.DT_STRING
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(text))
        own.node_def.add(op="WriteFile", name="w", input=["target:output:0", "text:output:0"])
        next(n for n in own.node_def if n.op == "NoOp").input.append("^w")

    (copy / "saved_model.pb").write_bytes(altered(original, write).SerializeToString())
    return copy, target


@pytest.mark.parametrize("command", ["predict olá --model", "verify"])
def test_a_command_refuses_a_model_before_anything_of_it_runs(command, writing):
    folder, target = writing
    sentence = sentence_of(nextword(*command.split(), folder))
    assert "the operation WriteFile stands in function" in sentence
    assert ("--trust" in sentence) == (command != "verify")
    assert not target.exists()


def test_mlflow_refuses_it_too(writing, monkeypatch):
    folder, target = writing
    monkeypatch.syspath_prepend(Path(module.__file__).parent)  # as MLflow puts the file there
    with pytest.raises(ValueError, match="the operation WriteFile"):
        Served(str(folder))
    assert not target.exists()


def test_a_trusted_model_runs(writing):
    """So it would have written."""
    folder, target = writing
    assert nextword("predict", "olá", "--trust", "--model", folder).exit_code == 0
    assert target.read_text() == "x"


# System calls that write, connect, or run another program; openat is looked at below.
CALLS = (
    "openat,open,creat,connect,bind,sendto,unlink,unlinkat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,mkdir,mkdirat,truncate,execve,execveat"
)
READS = re.compile(r"^open(at)?\((?!.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC))")
FAILED = re.compile(r" = -1 E[A-Z]+ ")


def changes(folder, *options, place) -> list[str]:
    """What `nextword predict` writes, connects to and runs, a system call each, by strace.

    What Python and its libraries always do is left out: they use the places that the environment
    gives them, shared memory, the names of threads, `uname` and `fc-list`; and they try an address
    of their own machine to see whether it has IPv6.
    """
    for name in ("home", "tmp", "work"):
        (place / name).mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    predict = [sys.executable, "-m", "pipeline.cli", "predict", "olá", "--model", folder, *options]
    strace = ["strace", "-f", "-qq", "-s", "4096", "-o", place / "calls", "-e", f"trace={CALLS}"]
    subprocess.run(
        [*strace, *predict],
        cwd=place / "work", env=environment, capture_output=True, timeout=1000, check=False,
    )  # fmt: skip
    calls = [line.split(maxsplit=1)[1] for line in (place / "calls").read_text().splitlines()]
    assert len(calls) > 1000  # it has run
    known = (
        str(place / "home"), str(place / "tmp"), '"/dev/shm/sem.', '"/dev/null"', '"/proc/self/',
        f'execve("{sys.executable}"', "uname", "fc-list", '"::1"',
    )  # fmt: skip
    return [
        call
        for call in calls
        if "(" in call
        and not READS.match(call)
        and not FAILED.search(call)
        and not call.startswith(("<...", "---", "+++"))
        and not any(place in call for place in known)
    ]


def opening(original, target):
    """Models that write a file in three ways, or connect, while they are loaded."""

    def add(op, *inputs, **attributes):
        def change(meta):
            own = initialiser(meta)
            for name, text in (("target", str(target)), ("text", "x")):
                constant = own.node_def.add(op="Const", name=name)
                constant.attr["dtype"].type = types_pb2.DT_STRING
                constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(text))
            added = own.node_def.add(op=op, name="w", input=[f"{i}:output:0" for i in inputs])
            for name, value in attributes.items():
                added.attr[name].CopyFrom(value)
            next(n for n in own.node_def if n.op == "NoOp").input.append("^w")

        return altered(original, change)

    def text(*values):
        value = attr_value_pb2.AttrValue()
        value.list.s.extend(v.encode() for v in values)
        return value

    kind = attr_value_pb2.AttrValue(type=types_pb2.DT_STRING)
    stream = attr_value_pb2.AttrValue(s=f"file://{target}".encode())
    return {
        "write": add("WriteFile", "target", "text"),
        "print": add("PrintV2", "text", output_stream=stream),
        "connect": add(
            "DebugIdentityV3",
            "text",
            T=kind,
            debug_urls=text("grpc://127.0.0.1:9", f"file://{target}"),
        ),
    }


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("strace"), reason="strace, which sees system calls, is missing"
)
def test_nothing_of_an_altered_model_is_run(copy, original, tmp_path):
    """Neither is a file written, nor a connection made, nor another program run."""
    target = tmp_path / "written"
    assert changes(copy, place=tmp_path) == []  # as for a good model
    for name, model in opening(original, target).items():
        (copy / "saved_model.pb").write_bytes(model.SerializeToString())
        assert changes(copy, place=tmp_path) == [], name
        assert not target.exists()
        if name == "write":  # what would have been seen
            (call,) = changes(copy, "--trust", place=tmp_path)
            assert str(target) in call
            target.unlink()


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="holds no SavedModel"):
        verify(tmp_path)
    assert "nextword export" in sentence_of(nextword("verify", tmp_path))

"""Examine a SavedModel before it runs, without loading it.

A SavedModel is a program: its graph can write files, read others or call Python, as soon as it is
loaded. What `nextword export` writes only computes. So whatever no export has is refused, above all
any other operation, wherever it stands.

MLflow copies this file beside the SavedModel, so it imports nothing of pipeline.
"""

import dataclasses
import graphlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

# What the signatures compute with.
_COMPUTE = frozenset(
    # arithmetic and logic
    "Abs AddV2 BitwiseAnd BitwiseOr BitwiseXor Cast Equal Exp FloorDiv FloorMod Greater "
    "GreaterEqual IsFinite LeftShift Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr "
    "Maximum Minimum Mul Neg NotEqual PopulationCount RealDiv Sub "
    # reductions and order
    "All Any Cumsum DenseBincount LowerBound Max Min Prod Sum TopKV2 Unique UnsortedSegmentMax "
    "UnsortedSegmentSum "
    # networks
    "BatchMatMulV2 BiasAdd LogSoftmax MatMul ReadVariableOp ResourceGather Sigmoid Softmax Tanh "
    # shapes and places
    "BroadcastTo ConcatV2 Const EnsureShape ExpandDims Fill GatherNd GatherV2 Identity "
    "InvertPermutation OneHot OnesLike Pack Pad PadV2 RaggedGather RaggedRange "
    "RaggedTensorToTensor Range Reshape ScatterNd SelectV2 Shape Size Split SplitV Squeeze "
    "StopGradient StridedSlice TensorScatterMax TensorScatterUpdate Tile Transpose Unpack Where "
    "ZerosLike "
    # text, and the table of the vocabulary
    "LookupTableFindV2 ReduceJoin StaticRegexFullMatch StaticRegexReplace StringJoin StringLength "
    "StringLower StringSplitV2 StringStrip StringUpper Substr UnicodeDecode UnicodeEncode "
    "UnicodeTranscode UnsortedSegmentJoin "
    # branches, loops, calls and random numbers
    "Assert If NoOp PartitionedCall StatefulPartitionedCall StatelessIf "
    "StatelessRandomGetKeyCounter StatelessRandomUniformV2 StatelessWhile TensorListConcatV2 "
    "TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListSetItem "
    "TensorListStack While"
    .split()
)  # fmt: skip
# What runs while a model is loaded: it fills that table. There is no loop and no call.
_START = frozenset("Const HashTableV2 Identity LookupTableImportV2 NoOp".split())
# What restores the variables. The file is what its argument says.
_RESTORE = frozenset("AssignVariableOp Const Identity NoOp RestoreV2".split())
# What saves them, which deletes files as well: it has to be there, and nothing may call it.
_SAVE = frozenset(
    "Const DisableCopyOnRead Identity MergeV2Checkpoints NoOp Pack ReadVariableOp SaveV2 Select "
    "ShardedFilename StaticRegexFullMatch StringJoin".split()
)
# What stands around the functions, and what of it may run while a model is loaded.
_MAIN_START = frozenset(
    "AssignVariableOp Const HashTableV2 NoOp Placeholder StatefulPartitionedCall VarHandleOp"
    .split()
)  # fmt: skip
_MAIN = _MAIN_START | {"ReadVariableOp", "VarIsInitializedOp"}
# Bytes of an element in memory, of the types of constants and variables.
_BYTES = {
    types_pb2.DT_BOOL: 1, types_pb2.DT_INT8: 1, types_pb2.DT_UINT8: 1, types_pb2.DT_INT16: 2,
    types_pb2.DT_INT32: 4, types_pb2.DT_INT64: 8, types_pb2.DT_FLOAT: 4, types_pb2.DT_STRING: 24,
}  # fmt: skip
# What TensorFlow makes Python objects of, and the functions of these that it calls on loading.
_OBJECTS = {
    "", "tf.StaticHashTable", "tf.TrackableConstant", "_generic_user_object", "signature_map",
    "trackable_dict_wrapper", "trackable_list_wrapper",
}  # fmt: skip
_FIELDS = {
    "asset", "bare_concrete_function", "children", "constant", "dependencies", "function",
    "registered_name", "resource", "user_object", "variable",
}  # fmt: skip
_HOOKS = {"_create_resource", "_destroy_resource", "_initialize"}
# Names that TensorFlow itself calls on any object.
_TAKEN = frozenset[str]().union(*map(vars, tf.Module.__mro__))
_ATTRIBUTES = {"_construction_context", "_input_shapes", "_noinline"}
_ASSETS = {"lexicon.tsv", "tokenizer.json", "vocabulary.tsv"}

# Bytes of saved_model.pb and of an asset, and of all constants in memory.
_MAX_FILE = 2**27
_MAX_CONSTANTS = 2**30
# Calls of a function and of all that it calls, which TensorFlow may replace by their operations: of
# thirty functions that each call the next one twice, there would be a thousand million.
_MAX_CALLS = 2**16


@dataclasses.dataclass(frozen=True)
class _Body:
    """What the nodes of a function name: operations, functions, and constants."""

    operations: set[str]
    calls: list[str]
    constants: list[Any]

    @classmethod
    def of(cls, nodes: Iterable[Any]) -> Self:
        kinds: dict[str, list[Any]] = {"func": [], "tensor": [], "list": []}
        for node in nodes:
            for value in node.attr.values():
                if (kind := value.WhichOneof("value")) in kinds:
                    kinds[kind].append(getattr(value, kind))
        calls = [*kinds["func"], *(call for values in kinds["list"] for call in values.func)]
        tensors = [*kinds["tensor"], *(t for values in kinds["list"] for t in values.tensor)]
        return cls({node.op for node in nodes}, [call.name for call in calls], tensors)


@dataclasses.dataclass(frozen=True)
class _Graph:
    """A metagraph, its nodes by name, and its functions by name."""

    meta: Any
    nodes: dict[str, Any]
    functions: dict[str, _Body]
    constants: list[Any]  # of all of them

    @classmethod
    def parse(cls, data: bytes) -> Self:
        try:
            model = saved_model_pb2.SavedModel.FromString(data)
        except DecodeError as error:
            raise ValueError("it is damaged, or no SavedModel") from error
        if len(model.meta_graphs) != 1:
            raise ValueError("it holds several graphs, or none")
        meta = model.meta_graphs[0]
        library = meta.graph_def.library
        functions = {f.signature.name: _Body.of(f.node_def) for f in library.function}
        nodes = {node.name: node for node in meta.graph_def.node}
        if len(functions) < len(library.function) or len(nodes) < len(meta.graph_def.node):
            raise ValueError("two functions or operations have one name")
        # A function with the name of an operation would be called in its place.
        if taken := functions.keys() & (_COMPUTE | _START | _RESTORE | _SAVE | _MAIN):
            raise ValueError(f"a function is called {min(taken)}, like an operation")
        bodies = [_Body.of(nodes.values()), *functions.values()]
        return cls(meta, nodes, functions, [value for body in bodies for value in body.constants])

    def calls(self, node: str) -> list[str]:
        """Return the functions that a node of the main graph calls."""
        return _Body.of([self.nodes[node]]).calls

    def run_by(self, signature: str) -> set[str]:
        """Return the functions that a signature runs."""
        outputs = self.meta.signature_def[signature].outputs.values()
        first = [call for tensor in outputs for call in self.calls(_node_of(tensor.name))]
        return _closure(first, lambda name: self.functions[name].calls)

    def run_on_loading(self) -> tuple[set[str], set[str]]:
        """Return the nodes of the main graph, and the functions, that run on loading."""
        meta, objects = self.meta, self.meta.object_graph_def.nodes
        begin = [name for c in meta.collection_def.values() for name in c.node_list.value]
        begin += [t.name for t in meta.signature_def["__saved_model_init_op"].outputs.values()]
        begin += self.nodes[_node_of(meta.saver_def.restore_op_name)].input
        nodes = _closure(map(_node_of, begin), lambda name: map(_node_of, self.nodes[name].input))
        parts = [part for o in objects for part in (*o.children, *o.dependencies)]
        hooks = [_functions_of(objects[p.node_id]) for p in parts if p.local_name in _HOOKS]
        if not all(hooks):  # an object can be called, too
            raise ValueError("what fills a table is no function")
        return nodes, set[str]().union(*hooks, *map(self.calls, nodes))


def _node_of(tensor: str) -> str:
    """Return the name of the node that "^name", "name:0" or "name" means."""
    return tensor.removeprefix("^").partition(":")[0]


def _functions_of(node: Any) -> list[str]:
    """Return the functions that a node of the object graph names."""
    bare = node.bare_concrete_function.concrete_function_name
    return [*node.function.concrete_functions, *([bare] if bare else [])]


def _closure(names: Iterable[str], follow: Callable[[str], Iterable[str]]) -> set[str]:
    """Return names and all that `follow` reaches from them."""
    reached, waiting = set[str](), [*names]
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached.add(name)
            waiting += follow(name)
    return reached


def verify(folder: str | Path) -> None:
    """Check that a SavedModel is made as `nextword export` makes them; nothing of it runs.

    How long it computes, and how much memory that takes, is not known before it runs.

    Args:
        folder: the one that holds saved_model.pb.

    Raises:
        ValueError: it is not: a sentence, without its full stop, that says what is wrong and where.
    """
    folder = Path(folder)
    path = folder / "saved_model.pb"
    if not path.is_file():
        raise ValueError(f"{folder} holds no SavedModel")
    wrong = f"{path} is not what `nextword export` writes"
    try:
        _check_files(folder)
        graph = _Graph.parse(_read(path))
        _check_operations(graph)
        _check_saver(graph)
        _check_nesting(graph.functions)
        _check_interface(graph)
        stored = sum(file.stat().st_size for file in (folder / "variables").glob("*"))
        _check_sizes(graph, stored=stored)
        _check_vocabulary(folder / "assets", graph)
    except (KeyError, IndexError) as error:
        raise ValueError(f"{wrong}: something that it names is not there") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{wrong}: {error}") from error


def _check_files(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path} is a link, or no file")
        if path.name.startswith("saved_model") and path.name != "saved_model.pb":
            raise ValueError(f"{path} may be loaded in its place")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise ValueError(f"{path} is larger than {_MAX_FILE >> 20} MiB")
    return data


def _check_operations(graph: _Graph) -> None:
    saver = graph.meta.saver_def
    nodes, starting = graph.run_on_loading()
    roles = [
        (_START, starting),
        (_SAVE, graph.calls(_node_of(saver.save_tensor_name))),
        (_RESTORE, graph.calls(_node_of(saver.restore_op_name))),
    ]
    listed = {name: [ops for ops, names in roles if name in names] for name in graph.functions}
    parts = [
        ("the graph", {node.op for node in graph.nodes.values()}, [_MAIN]),
        ("what runs on loading", {graph.nodes[name].op for name in nodes}, [_MAIN_START]),
    ]
    for name, body in graph.functions.items():
        parts.append((f"function {name}", body.operations, listed[name] or [_COMPUTE]))
    for where, operations, lists in parts:
        if strange := operations.difference(frozenset.intersection(*lists)):
            raise ValueError(f"the operation {min(strange)} stands in {where}")


def _check_saver(graph: _Graph) -> None:
    """Check that only the two nodes of the saver run its functions, and nothing runs these."""
    meta = graph.meta
    saver = {_node_of(meta.saver_def.save_tensor_name), _node_of(meta.saver_def.restore_op_name)}
    functions = {call for node in saver for call in graph.calls(node)}
    calls = {call for body in graph.functions.values() for call in body.calls}
    calls.update(*(graph.calls(name) for name in graph.nodes if name not in saver))
    calls.update(*map(_functions_of, meta.object_graph_def.nodes))
    calls.update(meta.object_graph_def.concrete_functions)
    used = {_node_of(tensor) for node in graph.nodes.values() for tensor in node.input}
    for signature in meta.signature_def.values():
        tensors = (*signature.inputs.values(), *signature.outputs.values())
        used.update(_node_of(tensor.name) for tensor in tensors)
    used.update(name for c in meta.collection_def.values() for name in c.node_list.value)
    if len(saver) < 2 or calls & functions or used & saver:
        raise ValueError("something else runs what saves its variables")
    for function in meta.graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2" and node.input[0] != function.signature.input_arg[0].name:
                raise ValueError(f"function {function.signature.name} chooses what file it reads")


def _check_nesting(functions: Mapping[str, _Body]) -> None:
    """Check that no function calls itself, and that calls do not multiply."""
    graph = {name: body.calls for name, body in functions.items()}
    try:
        order = [*graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        raise ValueError(f"function {error.args[1][0]} calls itself") from error
    calls: dict[str, int] = {}
    for name in order:  # what is called comes first
        calls[name] = 1 + sum(calls[call] for call in functions[name].calls)
        if calls[name] > _MAX_CALLS:
            raise ValueError(f"function {name} makes more than {_MAX_CALLS} calls")


def _check_interface(graph: _Graph) -> None:
    """Check what TensorFlow makes Python objects of, and what it is told to read."""
    meta, library = graph.meta, graph.meta.graph_def.library
    if not {"serving_default", "score"} <= set(meta.signature_def):
        raise ValueError("it has no signatures serving_default and score")
    if [*meta.meta_info_def.tags] != ["serve"] or library.gradient or library.registered_gradients:
        raise ValueError("it is not to be served, or is to be trained")
    if strange := {asset.filename for asset in meta.asset_file_def} - _ASSETS:
        raise ValueError(f"{min(strange)!r} is no asset of such a model")
    if strange := set(meta.collection_def) - {"saved_model_main_op"}:
        raise ValueError(f"{min(strange)!r} is no collection of such a model")
    for node in meta.object_graph_def.nodes:
        names = {node.registered_name, node.user_object.identifier, node.user_object.metadata}
        fields = {field.name for field, _ in node.ListFields()}
        taken = {child.local_name for child in node.children} & _TAKEN
        if strange := (names - _OBJECTS) | (fields - _FIELDS) | taken:
            raise ValueError(f"an object has {min(strange)!r}")
    for function in library.function:
        # By others, TensorFlow may replace a function with another one.
        if strange := set(function.attr) - _ATTRIBUTES:
            raise ValueError(f"function {function.signature.name} has {min(strange)!r}")


def _size(shape: Any, kind: int) -> int:
    """Return the bytes of a tensor in memory."""
    sizes = [dim.size for dim in shape.dim]
    if kind not in _BYTES or shape.unknown_rank or any(size < 0 for size in sizes):
        raise ValueError("a constant or a variable has an unknown type or shape")
    return math.prod(sizes) * _BYTES[kind]


def _check_sizes(graph: _Graph, *, stored: int) -> None:
    """Check that constants have a size that fits, and variables the size that is stored."""
    if sum(_size(value.tensor_shape, value.dtype) for value in graph.constants) > _MAX_CONSTANTS:
        raise ValueError(f"its constants take more than {_MAX_CONSTANTS >> 20} MiB")
    handles = [node.attr for node in graph.nodes.values() if node.op == "VarHandleOp"]
    objects = [o.variable for o in graph.meta.object_graph_def.nodes if o.HasField("variable")]
    paths = len(graph.meta.asset_file_def) * _BYTES[types_pb2.DT_STRING]  # these are variables, too
    for declared in (
        sum(_size(attr["shape"].shape, attr["dtype"].type) for attr in handles) - paths,
        sum(_size(variable.shape, variable.dtype) for variable in objects),
    ):
        if declared > stored:
            raise ValueError("its variables take more bytes than the files in variables/")


def _check_vocabulary(assets: Path, graph: _Graph) -> None:
    """Check the files of the vocabulary against what `score` does with a text."""
    lines = _read(assets / "vocabulary.tsv").removesuffix(b"\n").split(b"\n")
    rows = [(*line.split(b"\t"), b"") for line in lines]  # so that each has two columns
    tokens, displays = (tuple(row[column] for row in rows) for column in (0, 1))
    score = [graph.functions[name] for name in graph.run_by("score")]
    operations = {operation for body in score for operation in body.operations}
    strings = {tuple(tensor.string_val) for body in score for tensor in body.constants}
    choices = {
        "case": "fold" if "StringLower" in operations else "keep",
        "numbers": "class" if (b"<num>",) in strings else "keep",
        "unit": "word" if "LookupTableFindV2" in operations else "subword",
    }
    try:
        said = json.loads(_read(assets / "tokenizer.json"))
    except (ValueError, RecursionError):
        said = None
    if said != choices:
        raise ValueError(f"{assets / 'tokenizer.json'} is not how it cuts a text")
    constants = [value.string_val for value in graph.constants]
    known = {tuple(strings) for strings in constants if len(strings) == len(tokens)}
    # A paragraph begins with a control character there, since a person can type "<s>".
    keys = (*tokens[:1], b"\x02", *tokens[2:])
    if displays not in known or (choices["unit"] == "word" and keys not in known):
        raise ValueError(f"{assets / 'vocabulary.tsv'} has other words")

"""The page's engine, run outside of the page by Node, or else by headless Chromium."""

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from pages import chromium

from pipeline.model.language_model import LanguageModel
from pipeline.page.build import bundle
from pipeline.page.weights import round_rows

NODE = shutil.which("node")


def round_weights(model: LanguageModel) -> LanguageModel:
    """Give a model the weights that int8 leaves of its own."""
    for variable in model.trainable_variables:
        if "bias" in variable.name:
            continue
        by_word = variable.shape[0] == model.config.vocabulary_size  # else rows are columns here
        value = variable.numpy() if by_word else variable.numpy().T
        values, scales = round_rows(value)
        value = values * scales[:, None]
        variable.assign(value if by_word else value.T)
    return model


class Engine:
    """Calls functions of the modules behind the worker.

    Args:
        packed: what `weights.pack` returned.
        before: JavaScript to run before the model is read.
    """

    def __init__(self, packed: bytes, *, before: str = ""):
        self._packed = base64.b64encode(packed).decode()
        self._before = before

    def __call__(self, function: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Call a function, given as an expression, with the model and each list of arguments."""
        source = (
            bundle("model.js", "answers.js", "likely.js")
            + f"\n{self._before}\nconst model = load(await unpack(packed));"
            + f"\nconst called = {function};"
            + "\nreturn calls.map((arguments_) => called(model, ...arguments_));"
        )
        return (_in_node if NODE else _in_chromium)(source, [self._packed, list(map(list, calls))])


def _in_node(source: str, arguments: list[Any]) -> list[Any]:
    script = (
        "const {source, arguments: given} = JSON.parse(require('fs').readFileSync(0));"
        "const Async = Object.getPrototypeOf(async () => {}).constructor;"
        "new Async('packed', 'calls', source)(...given)"
        ".then((answer) => process.stdout.write(JSON.stringify(answer)));"
    )
    done = subprocess.run(
        [str(NODE), "-e", script],
        input=json.dumps({"source": source, "arguments": arguments}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr[-2000:]
    return json.loads(done.stdout)


def _in_chromium(source: str, arguments: list[Any]) -> list[Any]:
    with chromium() as browser:
        page = browser.new_page()
        page.goto("about:blank")
        return page.evaluate(f"async ([packed, calls]) => {{{source}}}", arguments)

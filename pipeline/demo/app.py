"""The page and its three questions, over the signatures of an exported SavedModel.

    GET  /          page.html
    POST /suggest   text before the caret, letters of the word there  →  words, probabilities
    POST /score     text, pieces that follow it                       →  nats, tokens of each piece
    POST /generate  text                                              →  how it may go on

What people write comes in the bodies of requests, is answered, and is kept nowhere.
"""

import base64
import hashlib
import importlib.resources
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import tensorflow as tf
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from pipeline import InputError
from pipeline.demo.guard import Guard, refuse
from pipeline.predict import load

# Words that are read before what is asked: a recurrent network has forgotten what stands further
# back. `score` reads them again for every piece.
_CONTEXT = 200
_SCORE_CONTEXT = 60
# Letters of them, should they be no words.
_LETTERS = 6_000
# The nucleus that `generate` draws from (Holtzman et al. 2020, arXiv:1904.09751, section 3.1).
_TOP_P = 0.95

_SIGNATURES = {"serving_default", "complete", "score", "generate"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Suggest(_Body):
    text: str
    prefix: Annotated[str, Field(max_length=100)]


class _Score(_Body):
    text: str
    pieces: Annotated[
        list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=24)
    ]


class _Generate(_Body):
    text: str
    length: Annotated[int, Field(ge=1, le=40)]
    temperature: Annotated[float, Field(ge=0.1, le=2, allow_inf_nan=False)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]


def application(model_folder: Path, *, hosts: Collection[str] = ()) -> FastAPI:
    """The page, and what answers it.

    Args:
        model_folder: of the SavedModel.
        hosts: names by which the machine may be addressed, beside localhost and its addresses.

    Raises:
        InputError: the folder holds no SavedModel, or one that cannot do all that the page needs.
    """
    try:
        model = load(model_folder)
    except ValueError as error:
        raise InputError(str(error)) from error
    missing = sorted(_SIGNATURES - set(model.signatures))
    if missing:
        raise InputError(
            f"The SavedModel in {model_folder} has no signature {', '.join(missing)}: make it anew "
            "with `nextword export`."
        )
    asked = model.signatures
    page = importlib.resources.files("pipeline.demo").joinpath("page.html").read_text("utf-8")
    # No pages of documentation, whose scripts come from elsewhere.
    app = FastAPI(openapi_url=None)
    app.add_middleware(Guard, hosts=frozenset(hosts), policy=_policy(page))

    @app.get("/")
    def show() -> HTMLResponse:
        return HTMLResponse(page)

    @app.post("/suggest")
    def suggest(body: _Suggest) -> dict[str, Any]:
        text = _strings([_last_words(body.text, _CONTEXT)])
        if body.prefix:
            answer = asked["complete"](text=text, prefix=_strings([body.prefix]))
        else:
            answer = asked["serving_default"](text=text)
        words, shares = answer["words"][0].numpy(), answer["probabilities"][0].numpy()
        # Where fewer words than k begin with the prefix, the rest is empty.
        found = [(word.decode(), float(p)) for word, p in zip(words, shares, strict=True) if word]
        return {"words": [word for word, _ in found], "probabilities": [p for _, p in found]}

    @app.post("/score")
    def score(body: _Score) -> dict[str, Any]:
        texts = [_last_words(body.text, _SCORE_CONTEXT)]
        for piece in body.pieces:
            texts.append(texts[-1] + piece)
        answer = asked["score"](text=_strings(texts))
        log_p, tokens = answer["log_probability"].numpy(), answer["tokens"].numpy()
        # ln p(piece | text) = ln p(text + piece) − ln p(text)
        return {
            "nats": (log_p[:-1] - log_p[1:]).tolist(),
            "tokens": (tokens[1:] - tokens[:-1]).tolist(),
        }

    @app.post("/generate")
    def generate(body: _Generate) -> dict[str, Any]:
        answer = asked["generate"](
            text=_strings([_last_words(body.text, _CONTEXT)]),
            length=tf.constant(body.length, tf.int32),
            temperature=tf.constant(body.temperature, tf.float32),
            top_p=tf.constant(_TOP_P, tf.float32),
            seed=tf.constant(body.seed, tf.int32),
        )
        return {"text": answer["text"][0].numpy().decode(errors="replace")}

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]  # its "input" is what people wrote
        if first["type"] == "json_invalid":
            return refuse(400, "The body is no JSON.")
        where = ".".join(str(place) for place in first["loc"][1:]) or "the body"
        return refuse(422, f"{where}: {first['msg']}.")

    @app.exception_handler(tf.errors.OpError)
    def failed(_: Request, error: tf.errors.OpError) -> JSONResponse:
        # Its message may quote what people wrote.
        return refuse(500, f"The model failed on this text ({type(error).__name__}).")

    # First calls take longest.
    suggest(_Suggest(text="", prefix=""))
    suggest(_Suggest(text="", prefix="a"))
    score(_Score(text="", pieces=["a"]))
    return app


def _strings(texts: list[str]) -> tf.Tensor:
    # JSON can carry lone surrogates, which are no UTF-8.
    return tf.constant([text.encode(errors="replace") for text in texts])


def _last_words(text: str, count: int) -> str:
    """The end of a text, with the space after it."""
    text = text[-_LETTERS:]
    starts = [word.start() for word in re.finditer(r"\S+", text)]
    return text[starts[-count] :] if len(starts) > count else text


def _policy(page: str) -> str:
    """A Content-Security-Policy that allows the page's own style and script, and no other."""

    def digest(tag: str) -> str:
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest('style')}; script-src {digest('script')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )

"""The web application of the demo, over the signatures of an exported SavedModel.

    GET  /          page.html
    POST /suggest   text before the caret, letters of the word there  →  words, probabilities, kinds
    POST /correct   text before a word, the word                      →  what may have been meant
    POST /score     text, pieces that follow it                       →  nats, tokens of each piece
    POST /generate  text                                              →  how it may go on

Texts come in the bodies of requests, and are not stored or logged.
"""

import base64
import dataclasses
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
from starlette.exceptions import HTTPException

from pipeline import InputError
from pipeline.demo.guard import Guard, refuse
from pipeline.export.prefixes import read_prefix
from pipeline.predict import encode_texts, load
from pipeline.text.suggestible import strip_accent

# Words of context: a recurrent network forgets earlier ones. `score` reads them for every piece.
_CONTEXT = 200
_SCORE_CONTEXT = 60
# Limits the context of a text without spaces.
_MAX_CHARACTERS = 6_000
# The nucleus that `generate` samples from (Holtzman et al. 2020, §3.1).
_TOP_P = 0.95

_Short = Annotated[str, Field(max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


class _Suggest(_Body):
    prefix: _Short


class _Correct(_Body):
    word: _Short


class _Score(_Body):
    pieces: Annotated[list[_Short], Field(min_length=1, max_length=24)]


class _Generate(_Body):
    length: Annotated[int, Field(ge=1, le=40)]
    temperature: Annotated[float, Field(ge=0.1, le=2, allow_inf_nan=False)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]


@dataclasses.dataclass(frozen=True)
class _Endpoints:
    """The requests of the page, answered by the signatures of a SavedModel."""

    signatures: Any

    def suggest(self, body: _Suggest) -> dict[str, Any]:
        text = _last_words(body.text, _CONTEXT)
        if not body.prefix:
            answer = self._words("serving_default", text=text)
            return {**answer, "kinds": ["completion"] * len(answer["words"])}
        answer = self._words("complete", text=text, prefix=body.prefix)
        typed = read_prefix(encode_texts([body.prefix]))[0].text[0].numpy().decode(errors="replace")
        kinds = [_kind(word, typed) for word in answer["words"]]
        return {**answer, "words": [word.strip() for word in answer["words"]], "kinds": kinds}

    def correct(self, body: _Correct) -> dict[str, Any]:
        text = _last_words(body.text, _CONTEXT)
        answer = self.signatures["correct"](
            text=encode_texts([text]), word=encode_texts([body.word])
        )
        return {**_filled(answer), "sure": bool(answer["sure"][0])}

    def score(self, body: _Score) -> dict[str, Any]:
        texts = [_last_words(body.text, _SCORE_CONTEXT)]
        for piece in body.pieces:
            texts.append(texts[-1] + piece)
        answer = self.signatures["score"](text=encode_texts(texts))
        log_p, tokens = answer["log_probability"].numpy(), answer["tokens"].numpy()
        # ln p(piece | text) = ln p(text + piece) − ln p(text)
        return {
            "nats": (log_p[:-1] - log_p[1:]).tolist(),
            "tokens": (tokens[1:] - tokens[:-1]).tolist(),
        }

    def generate(self, body: _Generate) -> dict[str, Any]:
        answer = self.signatures["generate"](
            text=encode_texts([_last_words(body.text, _CONTEXT)]),
            length=tf.constant(body.length, tf.int32),
            temperature=tf.constant(body.temperature, tf.float32),
            top_p=tf.constant(_TOP_P, tf.float32),
            seed=tf.constant(body.seed, tf.int32),
        )
        return {"text": answer["text"][0].numpy().decode(errors="replace")}

    def _words(self, signature: str, **inputs: str) -> dict[str, list]:
        return _filled(
            self.signatures[signature](**{k: encode_texts([v]) for k, v in inputs.items()})
        )

    def warm_up(self) -> None:
        """Call the signatures that a keystroke calls, because the first call is slow."""
        self.suggest(_Suggest(text="", prefix=""))
        self.suggest(_Suggest(text="", prefix="a"))
        self.score(_Score(text="", pieces=["a"]))
        if "correct" in self.signatures:
            self.correct(_Correct(text="", word="a"))


def application(model_folder: Path, *, hosts: Collection[str] = ()) -> FastAPI:
    """Make the application for a SavedModel.

    Args:
        model_folder: of the SavedModel.
        hosts: names of this machine in URLs, besides localhost and its host name.

    Raises:
        InputError: the folder holds no SavedModel, or one without all signatures of the page.
    """
    model = load(model_folder)
    missing = sorted({"complete", "score", "generate"} - set(model.signatures))
    if missing:
        raise InputError(
            f"The SavedModel in {model_folder} has no signature {', '.join(missing)}: "
            "export it again with `nextword export`."
        )
    page = importlib.resources.files("pipeline.demo").joinpath("page.html").read_text("utf-8")
    corrects = "correct" in model.signatures
    if corrects:
        page = page.replace(" data-corrects hidden", " data-corrects")
    endpoints = _Endpoints(model.signatures)
    endpoints.warm_up()
    # No pages of documentation: they load scripts from elsewhere.
    app = FastAPI(openapi_url=None)
    app.add_middleware(Guard, hosts=frozenset(hosts), policy=_policy(page))
    app.get("/", response_class=HTMLResponse)(lambda: page)
    app.post("/suggest")(endpoints.suggest)
    if corrects:
        app.post("/correct")(endpoints.correct)
    app.post("/score")(endpoints.score)
    app.post("/generate")(endpoints.generate)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(tf.errors.OpError)(_failed)
    return app


def _filled(answer: Any) -> dict[str, list]:
    """Return the words of the answer to one text, fewer than k perhaps, and their probabilities."""
    words = [word.decode() for word in answer["words"][0].numpy() if word]
    return {
        "words": words,
        "probabilities": answer["probabilities"][0].numpy()[: len(words)].tolist(),
    }


def _kind(word: str, typed: str) -> str:
    """Tell whether `complete` returns the word after what is typed, or one that begins with it.

    Args:
        word: the next word has a space before it.
        typed: in lower case, perhaps without accents.
    """
    if word.startswith(" "):
        return "next"
    pairs = zip(typed, word.lower()[: len(typed)].ljust(len(typed)), strict=True)
    begins = all(t in {letter, strip_accent(letter)} for t, letter in pairs)
    return "completion" if begins else "similar"


def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]  # its "input" is text of the user
    if first["type"] == "json_invalid":
        return refuse(400, "The body is not valid JSON.")
    where = ".".join(str(place) for place in first["loc"][1:]) or "the body"
    return refuse(422, f"{where}: {first['msg']}.")


def _refused(_: Request, error: HTTPException) -> JSONResponse:
    return refuse(error.status_code, error.detail)


def _failed(_: Request, error: tf.errors.OpError) -> JSONResponse:
    # The message may quote text of the user.
    return refuse(500, f"The model failed on this text ({type(error).__name__}).")


def _last_words(text: str, count: int) -> str:
    """Return the end of a text, with the space after it."""
    return "".join(re.findall(r"\S+\s*", text[-_MAX_CHARACTERS:])[-count:])


def _policy(page: str) -> str:
    """Return a Content-Security-Policy that allows only the page's own style and script."""

    def digest(tag: str) -> str:
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest('style')}; script-src {digest('script')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )

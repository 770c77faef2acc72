"""A page in the browser: type, see suggestions, and see how surprising each word is."""

from pipeline.demo.app import application
from pipeline.demo.server import serve

__all__ = ["application", "serve"]

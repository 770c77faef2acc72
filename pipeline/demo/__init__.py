"""The page in a browser: type, see what the model suggests, and what surprises it."""

from pipeline.demo.app import application
from pipeline.demo.server import serve

__all__ = ["application", "serve"]

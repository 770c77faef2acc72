"""The SavedModel: text in, words out, the tokenizer inside."""

from pipeline.export.export import export
from pipeline.export.saved_model import NextWord

__all__ = ["NextWord", "export"]

"""The SavedModel: text in, words out, the tokenizer inside."""

from pipeline.export.saved_model import NextWord
from pipeline.export.stage import export

__all__ = ["NextWord", "export"]

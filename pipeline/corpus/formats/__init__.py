"""Readers of one family of formats each; `pipeline.corpus.detect` says which reads a file."""

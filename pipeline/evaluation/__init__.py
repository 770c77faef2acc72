"""How good a model is, on text that it has not seen."""

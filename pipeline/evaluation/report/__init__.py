"""The page that shows how training went and how good the model is, and the terminal's table."""

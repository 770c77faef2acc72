"""The page: a model, its vocabulary and an engine in JavaScript in one HTML file."""

"""A page in the browser: type, see suggestions, and see how surprising each word is."""

"""The model as one page: what a browser needs to suggest words, and how the page is built."""

"""`python -m pipeline.cli`, as MLproject calls it."""

from pipeline.cli import main

main()

# The first of these that can create a virtual environment.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13; do \
	$$python -c "import ensurepip, venv" 2> /dev/null && echo $$python && break; done)
BIN := .venv/bin

.PHONY: run test test-slow lint torture audit lesson clean

# The main job: data/sample → models/nextword, a SavedModel. wordfreq has the words that it lacks.
run: .venv/installed
	$(BIN)/nextword run --lexicon wordfreq

test: .venv/tested
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

test-slow: .venv/tested
	$(BIN)/python -m pytest -m slow -n auto --maxprocesses 2 --dist loadfile

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy pipeline

# Faults at the system calls of each stage that change files, half an hour; it needs strace (Linux).
torture: .venv/tested
	$(BIN)/python tests/torture.py --minutes 30 --seed 1

# The holes that PyPI knows of in what constraints.txt pins. Where there is no network it fails.
audit: .venv/tested
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

# docs/aula.ipynb: the cells of docs/aula.md, and what they show.
lesson: .venv/tested
	$(BIN)/jupytext --quiet --to ipynb docs/aula.md
	$(BIN)/jupyter-execute --inplace docs/aula.ipynb

.venv/installed: setup.py constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "There is no Python 3.11, 3.12 or 3.13 here that can make a virtual" \
		"environment: install one (Debian: python3 and python3-venv), or name it: make PYTHON=…"; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt setuptools wheel
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e .[lexicon]
	touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e .[dev]
	touch $@

clean:
	rm -rf .venv build *.egg-info mlruns mlflow.db
	rm -rf data/documents* data/tokens* data/inspection* models/training* models/personal* models/simple_rnn*
	rm -rf models/feedforward* models/explanation* models/evaluation* models/nextword* models/page* models/litert* models/aosp*
	rm -rf models/sweep*

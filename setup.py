from pathlib import Path

from setuptools import find_packages, setup

HUB = ["datasets>=5,<6"]
SUBWORD = ["sentencepiece>=0.2.3"]
SPARK = ["pyspark>=4,<5"]
LEXICON = ["wordfreq>=3.1"]
LITERT = ["ai-edge-litert>=2.1"]
# trafilatura's own dependency on lxml_html_clean is not understood by old pips.
DOCUMENTS = ["openpyxl>=3.1", "pypdfium2>=5", "trafilatura>=2", "lxml_html_clean>=0.4"]
# The lesson is kept as text, and run in the tests.
LESSON = ["jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6.29"]

setup(
    name="nextword-pt",
    version="0.1.0",
    description="Portuguese text in, a next-word model out: Keras RNNs exported as a SavedModel",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["pipeline", "pipeline.*"]),
    package_data={
        "pipeline.corpus.catalog": ["*.toml"],
        "pipeline.evaluation.report": ["*.html", "*.css", "*.po"],
        "pipeline.page": ["*.html", "*.js"],
    },
    python_requires=">=3.11",
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.15,<3.16",
        "mlflow>=3.17,<3.18",
        "click>=8.1",
        "pandas>=2.2",
        "pyarrow>=15",
        "numpy>=2.0",
        "rich>=13.7",
        "matplotlib>=3.9",
        "jinja2>=3.1",
        "babel>=2.14",
        "pooch>=1.8",
        "requests>=2.32",
        "urllib3>=2",
        "psutil>=5.9",
        "filelock>=4.2",
        "optuna>=5,<6",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        "ftfy>=6.3",
        "markdown-it-py>=3",
        "ijson>=3.3",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "hub": HUB,
        "subword": SUBWORD,
        "lexicon": LEXICON,
        "spark": SPARK,
        "litert": LITERT,
        "documents": DOCUMENTS,
        "lesson": [*LESSON, "jupyterlab>=4.2"],
        "bench": [
            *LEXICON,
            *["tokenizers>=0.20", "charset-normalizer>=3.4", "torch>=2.6", "kenlm>=0.2"],
            *["pyspellchecker>=0.8", "symspellpy>=6.7"],
        ],
        "dev": [
            *[*HUB, *SUBWORD, *LEXICON, *SPARK, *LITERT, *DOCUMENTS, *LESSON],
            *["pytest>=8", "pytest-xdist>=3.6", "pytest-timeout>=2.3", "hypothesis>=6"],
            *["ruff>=0.8", "mypy>=1.13"],
            *["pandas-stubs", "types-requests", "uv", "kubernetes-validate>=1.31"],
            *["playwright>=1.50", "wasmtime>=25", "tensorflow-serving-api>=2.21,<2.22"],
        ],
    },
    entry_points={"console_scripts": ["nextword=pipeline.cli:main"]},
)

"""The stages `ingest` and `tokenize` on Spark: the functions of one machine, run by many.

What they write is what one machine writes, cut into parts: documents.parquet is a folder of
sorted parts, and a stream of ids is train-00000.npy, train-00001.npy, … Every worker reads and
writes the same paths as the machine that starts the stage (docs/cluster.md).
"""

from pipeline import InputError

try:
    import pyspark  # noqa: F401
except ImportError as error:
    raise InputError(
        "The Spark engine needs PySpark: install it with `pip install nextword-pt[spark]`."
    ) from error

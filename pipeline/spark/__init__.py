"""The stages `ingest` and `tokenize` on Spark, with the functions of the local stages.

They write what the local stages write, in parts: documents.parquet is a folder of sorted parts,
and a stream of ids is train-00000.npy, train-00001.npy, … Every worker must see the same paths as
the driver (docs/cluster.md).
"""

from pipeline import InputError

try:
    import pyspark  # noqa: F401
except ImportError as error:
    raise InputError(
        "The Spark engine needs PySpark: install it with `pip install 'nextword-pt[spark]'`."
    ) from error

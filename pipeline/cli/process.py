"""How a command fails, in one sentence, and how it imports TensorFlow, without its log lines."""

import contextlib
import ctypes
import logging
import os
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Iterator
from typing import Any

import click

from pipeline import InputError, Interrupted

# Modules whose OSErrors, and classes derived from them, mean that the network failed.
_OF_NETWORK = {"requests", "socket", "ssl", "urllib"}


class _Stop(click.ClickException):
    def __init__(self, message: str, *, exit_code: int = 2):
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


class Command(click.Command):
    """Accept --batch_size for --batch-size, as `mlflow run -P batch_size=32` passes it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [opt for p in self.params for opt in p.opts if opt.startswith("--")]
        names = {"--" + opt[2:].replace("-", "_"): opt for opt in options}
        return super().parse_args(ctx, [names.get(arg, arg) for arg in args])


class Group(click.Group):
    """Turn errors that the user can fix into one sentence and exit code 2."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _in_one_sentence():
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params["debug"]:
                traceback.print_exc()
            if ctx.invoked_subcommand == "train":
                _abort_other_workers(error)
            raise


@contextlib.contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise _Stop(str(error)) from error
    except Interrupted as error:
        raise _Stop(str(error), exit_code=128 + error.signal) from error
    except BrokenPipeError:
        raise  # the reader of a pipe has closed it; click handles this
    except OSError as error:
        reason = textwrap.shorten(str(error.strerror or error), 400).rstrip(".")
        if isinstance(error, ConnectionError | TimeoutError) or any(
            kind.__module__.partition(".")[0] in _OF_NETWORK for kind in type(error).__mro__
        ):
            raise _Stop(
                f"The network failed ({reason}): check the connection, then run the same command "
                "again."
            ) from error
        raise _Stop(f"{error.filename or 'A file'} cannot be used: {reason}.") from error


def _abort_other_workers(error: Exception) -> None:
    """Stop the other workers, so that none waits for one that has failed."""
    from pipeline.training import strategies

    with contextlib.suppress(InputError):  # of a TF_CONFIG that cannot be read
        if strategies.workers() == 1 or isinstance(error.__cause__, strategies.WorkerFailed):
            return
        if not isinstance(error, click.ClickException):
            strategies.abort_workers(f"Another worker failed ({type(error).__name__}: {error}).")
            return
        error.show()  # now, since to reach all workers may take a minute
        strategies.abort_workers(error.format_message())
        sys.exit(error.exit_code)


# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that TensorFlow frees: the next window needs as much again.

    Memory that returns to the kernel comes back page by page, each zeroed.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 2**25)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def import_tensorflow() -> None:
    """Import TensorFlow without the lines it logs at start, which no setting of its own silences."""
    _keep_freed_memory()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Take GPU memory as it is needed. `set_memory_growth` would do the same, but raises an error
    # once an operation has run in the process.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    # TensorFlow turns oneDNN's products of matrices on by itself only where there is AVX-512; with
    # AVX2 they are faster as well (benchmarks/README.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as log_lines:
        os.dup2(log_lines.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            # Ignore warnings of retracing: models of several shapes must be traced for each.
            tf.get_logger().setLevel(logging.ERROR)
        except BaseException:
            log_lines.seek(0)
            os.write(terminal, log_lines.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)

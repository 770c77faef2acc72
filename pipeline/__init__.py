"""nextword-pt: Portuguese text in, a next-word model out.

Each folder is one room of the pipeline; `pipeline.cli` is the way in.
"""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that says what is wrong, where, and what to do; the
    command line prints it without a traceback and exits with status 2.
    """


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, for an `InputError` to quote."""
    return str(error).splitlines()[0].rstrip(".")


class Interrupted(Exception):
    """A signal ended long work after all of it had been saved.

    The message is one sentence that says how to go on.

    Attributes:
        signal: the number of the signal; the command line exits with status 128 + signal.
    """

    def __init__(self, message: str, *, signal: int):
        super().__init__(message)
        self.signal = signal

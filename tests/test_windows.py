import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.streams import StreamWriter
from pipeline.windows import (
    NO_TARGET,
    count_windows,
    distribute,
    lanes_of,
    open_stream,
    windows,
)


def test_the_drawing_of_the_lecture():
    stream = np.arange(13, dtype=np.int32)
    (x1, y1), (x2, y2) = windows(stream, batch_size=2, window=3)
    np.testing.assert_array_equal(x1, [[0, 1, 2], [6, 7, 8]])
    np.testing.assert_array_equal(y1, [[1, 2, 3], [7, 8, 9]])
    np.testing.assert_array_equal(x2, [[3, 4, 5], [9, 10, 11]])
    np.testing.assert_array_equal(y2, [[4, 5, 6], [10, 11, 12]])


def test_a_stream_that_does_not_divide_is_padded_without_targets():
    stream = np.arange(8, dtype=np.int32)  # seven targets in two lanes of four
    batches = list(windows(stream, batch_size=2, window=3))
    assert [x.shape for x, _ in batches] == [(2, 3), (2, 1)]
    np.testing.assert_array_equal(batches[1][1], [[4], [NO_TARGET]])


@given(tokens=st.integers(2, 200), batch_size=st.integers(1, 9), window=st.integers(1, 40))
def test_every_token_but_the_first_is_a_target_once(tokens, batch_size, window):
    stream = np.arange(tokens, dtype=np.int32)
    batches = list(windows(stream, batch_size=batch_size, window=window))
    assert len(batches) == count_windows(stream, batch_size=batch_size, window=window)
    x, y = (np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True))
    counted = y != NO_TARGET
    assert sorted(y[counted]) == list(range(1, tokens))
    np.testing.assert_array_equal(x[counted] + 1, y[counted])
    # A lane reads on without a gap.
    np.testing.assert_array_equal(np.diff(y, axis=1)[counted[:, 1:]], 1)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_share_the_lanes(replicas):
    for ids in next(windows(np.arange(101, dtype=np.int32), batch_size=8, window=6)):
        shares = [lanes_of(ids, replica=r, replicas=replicas) for r in range(replicas)]
        assert {len(share) for share in shares} == {8 // replicas}
        np.testing.assert_array_equal(np.concatenate(shares), ids)


@pytest.mark.parametrize(
    "strategy", [tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0"])]
)
def test_a_strategy_is_given_the_windows(strategy):
    stream = np.arange(101, dtype=np.int32)
    given = distribute(stream, batch_size=8, window=6, strategy=strategy)
    expected = windows(stream, batch_size=8, window=6)
    for pair, arrays in zip(given, expected, strict=True):
        for values, array in zip(pair, arrays, strict=True):
            (local,) = strategy.experimental_local_results(values)
            np.testing.assert_array_equal(local, array)


def test_streams_are_written_in_pieces_and_opened_as_memory_maps(tmp_path):
    path = tmp_path / "train.npy"
    with StreamWriter(path) as stream:
        stream.append(np.array([1, 2], np.int32))
        stream.append(np.array([], np.int32))
        stream.append(np.array([3], np.int64))
    opened = open_stream(path)
    assert isinstance(opened, np.memmap)
    assert opened.dtype == np.int32
    assert opened.tolist() == [1, 2, 3]


def test_what_is_no_stream_is_refused(tmp_path):
    with pytest.raises(InputError, match="nextword tokenize"):
        open_stream(tmp_path / "missing.npy")
    np.save(tmp_path / "floats.npy", np.zeros(3))
    with pytest.raises(InputError, match="int32"):
        open_stream(tmp_path / "floats.npy")
    (tmp_path / "text.npy").write_text("água")
    with pytest.raises(InputError, match="nextword tokenize"):
        open_stream(tmp_path / "text.npy")

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.streams import StreamWriter
from pipeline.vocabulary import BEGIN_ID
from pipeline.windows import (
    NO_TARGET,
    count_windows,
    distribute,
    document_lanes,
    documents,
    even_lanes,
    lanes_of,
    open_stream,
    paragraph_lanes,
    paragraphs,
    sequences,
    windows,
)


def cut(stream, *, batch_size, window, stride=None):
    lanes = even_lanes(len(stream), batch_size=batch_size)
    return list(windows(stream, lanes, window=window, stride=stride or window))


def targets(batches):
    """The targets of windows, in no order."""
    return sorted(np.concatenate([batch.y[batch.y != NO_TARGET] for batch in batches]).tolist())


def test_the_drawing_of_the_lecture():
    first, second = cut(np.arange(13, dtype=np.int32), batch_size=2, window=3)
    np.testing.assert_array_equal(first.x, [[0, 1, 2], [6, 7, 8]])
    np.testing.assert_array_equal(first.y, [[1, 2, 3], [7, 8, 9]])
    np.testing.assert_array_equal(first.begins, [True, True])
    np.testing.assert_array_equal(second.x, [[3, 4, 5], [9, 10, 11]])
    np.testing.assert_array_equal(second.y, [[4, 5, 6], [10, 11, 12]])
    np.testing.assert_array_equal(second.begins, [False, False])


def test_a_stream_that_does_not_divide_is_padded_without_targets():
    stream = np.arange(8, dtype=np.int32)  # seven targets in two lanes of four
    _, last = cut(stream, batch_size=2, window=3)
    np.testing.assert_array_equal(last.y, [[4, *2 * [NO_TARGET]], 3 * [NO_TARGET]])


@given(
    ids=st.lists(st.sampled_from([BEGIN_ID, 2, 3, 4]), min_size=2, max_size=60),
    batch_size=st.integers(1, 9),
)
def test_lanes_that_begin_with_a_paragraph_read_the_same_stream(ids, batch_size):
    stream = np.array([BEGIN_ID, *ids], np.int32)
    lanes = paragraph_lanes(stream, batch_size=batch_size)
    assert len(lanes) == batch_size
    read = [stream[first + 1 : end] for lane in lanes for first, end in lane]
    np.testing.assert_array_equal(np.concatenate(read), stream[1:])
    even = even_lanes(len(stream), batch_size=batch_size)
    for lane, as_even in zip(lanes, even, strict=True):
        assert len(lane) == len(as_even)
        if lane:
            (first, _), (start, end) = lane[0], as_even[0]
            share = stream[start : end - 1]
            assert stream[first] == BEGIN_ID or BEGIN_ID not in share
            assert start <= first < end


def test_with_a_stride_windows_overlap_and_predict_what_none_has_before():
    batches = cut(np.arange(9, dtype=np.int32), batch_size=1, window=4, stride=2)
    assert [batch.x.tolist() for batch in batches] == [
        [[0, 1, 2, 3]],
        [[2, 3, 4, 5]],
        [[4, 5, 6, 7]],
    ]
    assert [batch.y.tolist() for batch in batches] == [[[1, 2, 3, 4]], [[5, 6]], [[7, 8]]]


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted)


@given(tokens=st.integers(2, 200), batch_size=st.integers(1, 9), size=sizes)
def test_every_token_but_the_first_is_a_target_once(tokens, batch_size, size):
    stride, window = size
    stream = np.arange(tokens, dtype=np.int32)
    batches = cut(stream, batch_size=batch_size, window=window, stride=stride)
    lanes = even_lanes(tokens, batch_size=batch_size)
    assert len(batches) == count_windows(lanes, window=window, stride=stride)
    assert targets(batches) == list(range(1, tokens))
    for batch in batches:
        assert batch.x.shape == (batch_size, window)
        x = batch.x[:, window - batch.y.shape[1] :]
        counted = batch.y != NO_TARGET
        np.testing.assert_array_equal(x[counted] + 1, batch.y[counted])
    for before, after in itertools.pairwise(batches):  # a lane reads on, `stride` later
        shared = min(window - stride, window)
        goes_on = after.y[:, -1] != NO_TARGET
        np.testing.assert_array_equal(before.x[goes_on, stride:], after.x[goes_on, :shared])
        assert not after.begins.any()


@given(
    lengths=st.lists(st.integers(1, 30), min_size=2, max_size=20),
    batch_size=st.integers(1, 5),
    size=sizes,
)
def test_documents_begin_in_windows_of_their_own(lengths, batch_size, size):
    stride, window = size
    stream = np.arange(5, 5 + sum(lengths), dtype=np.int32)
    begins = np.cumsum([0, *lengths[:-1]])
    ids = stream.copy()
    ids[begins] = BEGIN_ID
    half = len(lengths) // 2  # one document of so many paragraphs, others of one
    spans = list(documents(ids, [half] * (half > 0) + [1] * (len(lengths) - half)))
    lanes = document_lanes(spans, batch_size=batch_size, window=window, stride=stride)
    batches = list(windows(stream, lanes, window=window, stride=stride))
    assert targets(batches) == stream[1:].tolist()
    starts = stream[begins[[0, *range(half, len(lengths))] if half else slice(None)]]
    begun = [int(first) for batch in batches for first in batch.x[batch.begins, 0]]
    # A last paragraph without a token has nothing to predict.
    assert sorted(begun) == sorted(set(starts) - ({stream[-1]} if lengths[-1] == 1 else set()))


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 5))
def test_paragraphs_are_whole_sequences(begins, batch_size):
    """Ids 1 begin paragraphs, also where nothing follows or the stream begins without one."""
    stream = np.where(begins, BEGIN_ID, 5).astype(np.int32)
    spans = list(paragraphs(stream))
    predicted = sorted(at for first, end in spans for at in range(first + 1, end))
    assert predicted == list(range(1, len(stream)))
    assert all(stream[first] == BEGIN_ID for first, _ in spans[1:])
    batches = list(sequences(stream, spans, batch_size=batch_size))
    assert len(batches) == -(-len(spans) // batch_size)
    assert sum(int((batch.y != NO_TARGET).sum()) for batch in batches) == len(stream) - 1


def test_sequences_have_few_lengths():
    ends = np.cumsum(range(2, 400)).tolist()
    stream = np.arange(ends[-1], dtype=np.int32)
    spans = zip([0, *ends], [end + 1 for end in ends[:-1]] + ends[-1:], strict=False)
    batches = list(sequences(stream, spans, batch_size=4))
    assert targets(batches) == list(range(1, len(stream)))
    widths = [batch.x.shape[1] for batch in batches]
    assert set(widths) == {8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512}
    padding = sum(int((batch.y == NO_TARGET).sum()) for batch in batches)
    assert padding < len(stream) / 3


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_share_the_lanes(replicas):
    window = cut(np.arange(101, dtype=np.int32), batch_size=8, window=6)[0]
    for ids in (window.x, window.y, window.begins):
        shares = [lanes_of(ids, replica=r, replicas=replicas) for r in range(replicas)]
        assert {len(share) for share in shares} == {8 // replicas}
        np.testing.assert_array_equal(np.concatenate(shares), ids)


@pytest.mark.parametrize(
    "strategy", [tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0"])]
)
def test_a_strategy_is_given_the_windows(strategy):
    batches = cut(np.arange(101, dtype=np.int32), batch_size=8, window=6)
    for spread, window in zip(distribute(batches, strategy), batches, strict=True):
        for values, array in zip(spread, (window.x, window.y, window.begins), strict=True):
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

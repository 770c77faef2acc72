import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipeline import InputError
from pipeline.text.vocabulary import BEGIN_ID
from pipeline.tokens.tokenize import StreamWriter
from pipeline.tokens.windows import (
    NO_TARGET,
    count_windows,
    distribute,
    document_lanes,
    document_spans,
    even_lanes,
    open_stream,
    paragraph_lanes,
    paragraph_spans,
    sequences,
    windows,
)


def batches_of(stream, *, batch_size, window, stride=None):
    lanes = even_lanes(len(stream), batch_size=batch_size)
    return list(windows(stream, lanes, window=window, stride=stride or window))


def targets(batches):
    """The targets of windows, in no order."""
    return sorted(np.concatenate([batch.y[batch.y != NO_TARGET] for batch in batches]).tolist())


def test_the_drawing_of_the_lecture():
    first, second = batches_of(np.arange(13, dtype=np.int32), batch_size=2, window=3)
    np.testing.assert_array_equal(first.x, [[0, 1, 2], [6, 7, 8]])
    np.testing.assert_array_equal(first.y, [[1, 2, 3], [7, 8, 9]])
    np.testing.assert_array_equal(first.begins, [True, True])
    np.testing.assert_array_equal(second.x, [[3, 4, 5], [9, 10, 11]])
    np.testing.assert_array_equal(second.y, [[4, 5, 6], [10, 11, 12]])
    np.testing.assert_array_equal(second.begins, [False, False])


def test_a_stream_that_does_not_divide_is_padded_without_targets():
    stream = np.arange(8, dtype=np.int32)  # seven targets in two lanes of four
    _, last = batches_of(stream, batch_size=2, window=3)
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
    batches = batches_of(np.arange(9, dtype=np.int32), batch_size=1, window=4, stride=2)
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
    batches = batches_of(stream, batch_size=batch_size, window=window, stride=stride)
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
    spans = list(document_spans(ids, [half] * (half > 0) + [1] * (len(lengths) - half)))
    lanes = document_lanes(spans, batch_size=batch_size, window=window, stride=stride)
    batches = list(windows(stream, lanes, window=window, stride=stride))
    assert targets(batches) == stream[1:].tolist()
    starts = stream[begins[[0, *range(half, len(lengths))] if half else slice(None)]]
    begun = [int(first) for batch in batches for first in batch.x[batch.begins, 0]]
    # A last paragraph without a token has nothing to predict.
    assert sorted(begun) == sorted(set(starts) - ({stream[-1]} if lengths[-1] == 1 else set()))


def read_whole(stream, spans, *, batch_size, seed=(1, 1)):
    spans = np.array(list(spans), np.int64).reshape(-1, 2)
    return list(sequences(stream, spans, batch_size=batch_size, seed=seed))


@given(
    st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 5), st.integers(0, 2**32 - 1)
)
def test_paragraphs_are_whole_sequences(begins, batch_size, seed):
    """Ids 1 begin paragraphs, also where nothing follows or the stream begins without one."""
    stream = np.where(begins, BEGIN_ID, 5).astype(np.int32)
    spans = list(paragraph_spans(stream))
    predicted = sorted(at for first, end in spans for at in range(first + 1, end))
    assert predicted == list(range(1, len(stream)))
    assert all(stream[first] == BEGIN_ID for first, _ in spans[1:])
    batches = read_whole(stream, spans, batch_size=batch_size, seed=(seed, 1))
    assert len(batches) == -(-len(spans) // batch_size)
    assert sum(int((batch.y != NO_TARGET).sum()) for batch in batches) == len(stream) - 1


def spans_of(lengths):
    """A stream of different ids, and spans of so many targets."""
    ends = np.cumsum(lengths).tolist()
    stream = np.arange(ends[-1] + 1, dtype=np.int32)
    return stream, list(zip([0, *ends[:-1]], [end + 1 for end in ends], strict=True))


def test_sequences_have_few_lengths():
    lengths = range(1, 400)
    stream, spans = spans_of(lengths)
    batches = read_whole(stream, spans, batch_size=4)
    assert targets(batches) == list(range(1, len(stream)))
    widths = [batch.x.shape[1] for batch in batches]
    sizes = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
    assert set(widths) == set(sizes)
    # No more than if each had just the next larger size, but for one batch of each size.
    least = sum(min(size for size in sizes if size >= length) for length in lengths)
    assert sum(batch.x.size for batch in batches) <= least + 4 * sum(sizes)
    padding = sum(int((batch.y == NO_TARGET).sum()) for batch in batches)
    assert padding < len(stream) / 3


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 99))
def test_each_sequence_is_read_once_whatever_the_order(lengths, batch_size, epoch):
    stream, spans = spans_of(lengths)
    batches = read_whole(stream, spans, batch_size=batch_size, seed=(1, epoch))
    read = [y[y != NO_TARGET].tolist() for batch in batches for y in batch.y]
    assert sorted(filter(None, read)) == [list(range(a + 1, b)) for a, b in spans]
    shares = [int((batch.y != NO_TARGET).any(axis=1).sum()) for batch in batches]
    assert sum(share < batch_size for share in shares) <= 1
    again = read_whole(stream, spans, batch_size=batch_size, seed=(1, epoch))
    for one, other in zip(batches, again, strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.y, other.y)


def test_epochs_differ_in_order_and_in_what_is_side_by_side():
    stream, spans = spans_of([5, 10, 20, 40] * 32)
    orders, together = set(), set()
    for seed in [(1, 1), (1, 2), (2, 1)]:
        batches = read_whole(stream, spans, batch_size=4, seed=seed)
        orders.add(tuple(batch.x.shape[1] for batch in batches))
        together.add(frozenset(frozenset(batch.x[:, 0].tolist()) for batch in batches))
    assert len(orders) == len(together) == 3


def test_lengths_come_in_no_order():
    """The correlation between N batches' lengths and the next ones' has the deviation 1 / √N."""
    stream, spans = spans_of(np.random.default_rng(3).geometric(0.02, 4000))
    widths = [batch.x.shape[1] for batch in read_whole(stream, spans, batch_size=4)]
    correlation = np.corrcoef(widths[:-1], widths[1:])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(widths))


@pytest.mark.parametrize(
    "strategy", [tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0"])]
)
def test_a_strategy_is_given_the_windows(strategy):
    batches = batches_of(np.arange(101, dtype=np.int32), batch_size=8, window=6)
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

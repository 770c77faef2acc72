"""The lecture's sums, drawn and in words."""

import numpy as np
import pytest
from conftest import TOKENS

from pipeline.evaluation.report import lecture
from pipeline.evaluation.report.drawing import looks
from pipeline.evaluation.report.language import ENGLISH, PORTUGUESE
from pipeline.tokens.windows import even_lanes, windows

CONTEXT = {"words": ["ela", "bebeu", "água", "."], "place": 2}
GRADIENTS = {
    "lstm": {"shares": [0.5, 0.3, 0.2], "left_out": [0.7, 0.6, 0]},
    "gru": {"shares": [-0.1, 0.1, 1.0], "left_out": [0.25, 0.125, 0]},
}
LOOK = looks(["gru", "lstm"])


def test_each_step_has_a_bar_beside_its_word():
    figure = lecture.unrolled(GRADIENTS, CONTEXT, LOOK, ENGLISH)
    assert "«água»" in figure.get_suptitle()
    assert [axes.get_title("left") for axes in figure.axes] == ["lstm", "gru"]
    for axes, gradient in zip(figure.axes, GRADIENTS.values(), strict=True):
        widths = [bar.get_width() for bar in axes.patches]
        assert widths == pytest.approx([100 * share for share in gradient["shares"]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "<s>", "ela", "bebeu",
    ]  # fmt: skip
    # A truncation with T = 1 cuts between the second and the third of the three steps.
    cuts = [line.get_ydata() for line in figure.axes[1].lines if line.get_linestyle() == ":"]
    assert cuts == [[1.5, 1.5]]
    assert [text.get_text().strip() for text in figure.axes[1].texts] == ["T = 1"]


def test_what_is_left_out_is_drawn_by_window():
    axes = lecture.left_out(GRADIENTS, LOOK, PORTUGUESE).axes[0]
    for line, gradient in zip(axes.lines, GRADIENTS.values(), strict=True):
        np.testing.assert_allclose(line.get_xdata(), [1, 2, 3])
        np.testing.assert_allclose(line.get_ydata(), 100 * np.array(gradient["left_out"]))
        assert line.get_markevery() == [0]  # T = 5 and 35 are beyond the sentence
    assert axes.get_ylabel() == "parte do gradiente que fica de fora"


def test_what_is_left_out_in_words():
    assert lecture.of_unrolled(GRADIENTS, CONTEXT, ENGLISH) == [
        "In lstm 20.0% of the gradient of «água» is the term of the last step, which reads "
        "«bebeu». Truncation leaves out 70.0% with T = 1.",
        "In gru 100.0% of the gradient of «água» is the term of the last step, which reads "
        "«bebeu». Truncation leaves out 25.0% with T = 1.",
        "T = 5 and 35 leaves out nothing of the 3 steps there are.",
    ]
    portuguese = lecture.of_unrolled(GRADIENTS, CONTEXT, PORTUGUESE)
    assert "20,0% do gradiente de «água» vem do termo do último passo" in portuguese[0]
    assert portuguese[2] == "T = 5 e 35 não deixa nada de fora: são ao todo 3 passos."
    one = {"lstm": {"shares": [1.0], "left_out": [0]}}
    first = {"words": ["ela"], "place": 0}
    assert lecture.of_unrolled(one, first, ENGLISH)[1].endswith("nothing of the 1 step there are.")


def test_windows_are_drawn_with_what_they_predict():
    stream = np.arange(
        8, dtype=np.int32
    )  # seven targets in two lanes of four steps, windows of two
    batches = list(windows(stream, even_lanes(8, batch_size=2), window=2, stride=2))
    axes = lecture.lanes_and_windows(batches, TOKENS, PORTUGUESE).axes[0]
    drawn = [text.get_text() for text in axes.texts if text.get_text() not in ("", "h")]
    drawn.remove("o gradiente para")
    first, second = drawn[: drawn.index("janela 2")], drawn[drawn.index("janela 2") :]
    assert first == ["janela 1", *(TOKENS[i] for i in (0, 1, 1, 2, 4, 5, 5, 6))]
    assert second == ["janela 2", *(TOKENS[i] for i in (2, 3, 3, 4, 6, 7))]
    assert len(axes.patches) == 4

"""One worker of a training on several machines: python worker.py TOKENS OUTPUT OPTIONS…

It saves every few windows, and prints the weights it ends with as a digest.
"""

import hashlib
import sys

from pipeline import cli
from pipeline.training import loop, train

loop._SAVE_EVERY, distribute = 7, loop.distribute


def telling(*arguments):
    for window in distribute(*arguments):
        print("window", flush=True)
        yield window


models = []
build_model = train.build_model


def remembering(*arguments, **options):
    models.append(build_model(*arguments, **options))
    return models[-1]


loop.distribute, train.build_model = telling, remembering
tokens, output, *options = sys.argv[1:]
sizes = "--embedding 8 --units 8 --layers 2 --dropout 0 --batch-size 12 --window 5"
schedule = "--epochs 3 --learning-rate 0.02 --patience 9"
cli.main(
    ["train", "--tokens", tokens, "--output", output, *f"{sizes} {schedule}".split(), *options],
    standalone_mode=False,
)
data = b"".join(variable.numpy().tobytes() for variable in models[0].trainable_variables)
print("weights", hashlib.sha256(data).hexdigest())

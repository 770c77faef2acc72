"""A training in a process of its own: python worker.py OPTIONS…, those of `nextword train`.

It saves every seven windows, and after each it prints a line and rests, so that a signal meets it.
At the end it prints a digest of its weights. With FULL_AFTER=n in the environment the disk is full
after n windows.
"""

import hashlib
import os
import resource
import sys
import time

from pipeline.cli import main
from pipeline.training import loop, train

SIZES = "--embedding 8 --units 8 --layers 2 --dropout 0.3 --batch-size 4 --window 5"
SCHEDULE = "--epochs 3 --learning-rate 0.02 --patience 9"
FULL_AFTER = int(os.environ.get("FULL_AFTER", -1))
# Bytes of a file: more than a page of text, less than a checkpoint of weights.
FULL = 4_000

# A limit cuts what Python compiles as well, and Python would keep the stump.
sys.dont_write_bytecode = True
loop._SAVE_EVERY, distribute = 7, loop.distribute
build_model, models = train.build_model, []


def telling(*arguments):
    for number, window in enumerate(distribute(*arguments), start=1):
        time.sleep(0.02)
        print("window", flush=True)
        if number == FULL_AFTER:
            resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, FULL))
        yield window


def remembering(*arguments, **options):
    models.append(build_model(*arguments, **options))
    return models[-1]


loop.distribute, train.build_model = telling, remembering
try:
    main(["train", *f"{SIZES} {SCHEDULE}".split(), *sys.argv[1:]])
except SystemExit as end:
    if end.code:
        raise
data = b"".join(variable.numpy().tobytes() for variable in models[0].trainable_variables)
print("weights", hashlib.sha256(data).hexdigest())

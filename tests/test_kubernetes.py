"""docs/kubernetes.yaml is what Kubernetes' schemas say, and starts what it names."""

import json
import re
import shlex

import kubernetes_validate
import yaml
from conftest import ROOT

from pipeline.cli import main

OBJECTS = list(yaml.safe_load_all((ROOT / "docs/kubernetes.yaml").read_text()))


def test_every_object_is_valid():
    assert [thing["kind"] for thing in OBJECTS] == ["Service", "Job"]
    for thing in OBJECTS:
        kubernetes_validate.validate(thing, "1.31", strict=True)


def test_it_starts_workers_that_find_each_other():
    job = OBJECTS[1]["spec"]
    (script,) = job["template"]["spec"]["containers"][0]["args"]
    config = re.search(r"TF_CONFIG='(.*)'\n", script, re.DOTALL)[1]
    config = json.loads(config.replace("'$JOB_COMPLETION_INDEX'", "2"))
    assert len(config["cluster"]["worker"]) == job["completions"] == job["parallelism"]
    for index, address in enumerate(config["cluster"]["worker"]):
        assert address == f"nextword-{index}.{job['template']['spec']['subdomain']}:2222"
    words = shlex.split(script.splitlines()[-1])
    assert words[:3] == ["exec", "nextword", "train"]
    context = main.commands["train"].make_context("train", words[3:])
    assert context.params["resume"]
    assert context.params["strategy"] == "multiworker"
    assert context.params["batch_size"] % job["completions"] == 0

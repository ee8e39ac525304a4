#!/usr/bin/env python3
"""Reads the event files of a run with TensorBoard's own reader and prints all that is in them as JSON.

    python tests/read_events.py RUN_FOLDER

Needs tensorboard. Prints {"train": …, "validation": …, "": …} with "scalars" {tag: [[step, value], …]},
"histograms" {tag: [[step, min, max, count, sum, sum of squares, upper ends, counts], …]}, "images" {tag: [width, height]},
"pr_curves" {tag: six rows}, "hparams" {name: value}, "status".
"""

import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.util import tensor_util

EVERYTHING = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}


def value_of(message):
    """What a google.protobuf.Value holds."""
    return getattr(message, message.WhichOneof("kind"))


def read(folder):
    events = EventAccumulator(str(folder), size_guidance=EVERYTHING)
    events.Reload()
    tags = events.Tags()
    found = {"pr_curves": {}}
    found["scalars"] = {
        tag: [[at.step, at.value] for at in events.Scalars(tag)] for tag in tags["scalars"]
    }

    def histogram(at):
        h = at.histogram_value
        sums = [h.min, h.max, h.num, h.sum, h.sum_squares]
        return [at.step, *sums, list(h.bucket_limit), list(h.bucket)]

    found["histograms"] = {
        tag: [histogram(at) for at in events.Histograms(tag)] for tag in tags["histograms"]
    }
    found["images"] = {
        tag: [events.Images(tag)[-1].width, events.Images(tag)[-1].height]
        for tag in tags["images"]
    }
    for tag in tags["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data
        if plugin.plugin_name == "pr_curves":
            tensor = tensor_util.make_ndarray(events.Tensors(tag)[-1].tensor_proto)
            found["pr_curves"][tag] = tensor.tolist()
        elif tag == hparams.SESSION_START_INFO_TAG:
            start = hparams.parse_session_start_info_plugin_data(plugin.content)
            found["hparams"] = {name: value_of(value) for name, value in start.hparams.items()}
        elif tag == hparams.SESSION_END_INFO_TAG:
            found["status"] = hparams.parse_session_end_info_plugin_data(plugin.content).status
        else:
            raise AssertionError(f"nobody knows {tag} of the plug-in {plugin.plugin_name}")
    return found


run = Path(sys.argv[1])
print(json.dumps({side: read(run / side) for side in ["train", "validation", ""]}))

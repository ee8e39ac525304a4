#!/usr/bin/env python3
"""Runs the shards of `salamander shards`, or the trainings of `salamander sweep --out`, on a Ray cluster and merges their parts.

    python salamander_ray.py shards.jsonl --out /nfs/parts --project Pets
    python salamander_ray.py trainings.jsonl --out /nfs/runs --project /nfs/Pets
    python salamander_ray.py shards.jsonl --out s3://bucket/parts --media /films=s3://bucket/films --no-merge

A shard is one Ray task, which runs `salamander work` on its node. A task that fails or is lost is repeated, on
another node where there is one. What is there already is left, so the same command continues after anything. See docs/cluster.md.

Only tasks of Ray's core are used. Ray Data streams rows between stages; here a shard is a path that goes in and a
folder that comes out, and Ray Data has neither an order of tasks nor a choice of node for a repeated one.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import ray
import shard_tasks
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from shard_tasks import Failure, Job, Outcome, ProgramFailure, Shards, Store, clean_node, run_program, work_on_shard

# A node on which so many tasks in a row failed gets no more of them while there are others.
NODE_FAILURES = 3
# So many failures before the first part: the reason is the same everywhere.
FAILURES_AT_START = 20
# A shard that failed rests before it is repeated, for twice as long each time.
FIRST_REST_SECS, LONGEST_REST_SECS = 2.0, 60.0


# --- What is shown ----------------------------------------------------------------------------------


@dataclass
class Console:
    """Lines for people or, with `json`, for programs; on a terminal a line of progress below them."""

    json: bool
    out: TextIO
    progress: str = ""
    shown_at: float = 0.0

    def line(self, text: str, **event: Any) -> None:
        if self.json:
            print(json.dumps(event), file=self.out, flush=True)
            return
        self.erase()
        print(visible(text), file=self.out, flush=True)
        self.paint()

    def show(self, progress: str) -> None:
        now = time.monotonic()
        if self.json or progress == self.progress:
            return
        if sys.stderr.isatty():
            self.erase()
            self.progress = progress
            self.paint()
        elif now - self.shown_at > 30:
            self.progress, self.shown_at = progress, now
            print(progress, file=sys.stderr, flush=True)

    def erase(self) -> None:
        if self.progress and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def paint(self) -> None:
        if self.progress and sys.stderr.isatty():
            print(self.progress, end="", file=sys.stderr, flush=True)

    def end_progress(self) -> None:
        self.erase()
        self.progress = ""


def visible(text: str) -> str:
    """Names come from anybody: what would act on a terminal is written out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


# --- The cluster ------------------------------------------------------------------------------------


@dataclass
class Schedule:
    """Which shards are made, where, and what became of them."""

    job: Job
    shards: Shards
    content: Any
    cpus: int
    retries: int
    console: Console
    waiting: deque[int]
    resting: dict[int, float] = field(default_factory=dict)
    """Shards to be repeated, with the moment from which on."""
    running: dict[Any, tuple[int, str | None]] = field(default_factory=dict)
    """Shards given to the cluster, with the node if it was chosen here."""
    slots: dict[str, int] = field(default_factory=dict)
    failed_on: dict[int, set[str]] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    node_failures: Counter[str] = field(default_factory=Counter)
    given_up: dict[int, str] = field(default_factory=dict)
    damaged: list[dict[str, str]] = field(default_factory=list)
    done: int = 0
    done_before: int = 0
    minutes_done: float = 0.0
    frames: int = 0
    failures: int = 0
    began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Makes all shards that can be made."""
        # Ray repeats nothing by itself: whatever the reason, a shard has one count of attempts.
        spread = ray.remote(num_cpus=self.cpus, max_retries=0, scheduling_strategy="SPREAD")
        task = spread(work_on_shard)
        try:
            while self.waiting or self.resting or self.running:
                for shard in [shard for shard, rested_at in self.resting.items() if rested_at <= time.monotonic()]:
                    del self.resting[shard]
                    self.waiting.appendleft(shard)
                self.slots = self.slots_of_nodes()
                # Twice as many as run at once: enough for an autoscaler to see, few enough to choose nodes late.
                while self.waiting and len(self.running) < max(2 * sum(self.slots.values()), 8):
                    self.submit(task, self.waiting.popleft())
                if not self.running:
                    time.sleep(0.2)
                    continue
                ready, _ = ray.wait(list(self.running), timeout=1)
                for reference in ready:
                    self.settle(reference)
                self.console.show(self.progress())
        finally:
            self.console.end_progress()
            for reference in self.running:
                ray.cancel(reference, force=True)

    def slots_of_nodes(self) -> dict[str, int]:
        """How many shards each node takes at once, without nodes that take none."""
        alive = [node for node in ray.nodes() if node["Alive"]]
        slots = {node["NodeID"]: int(node["Resources"].get("CPU", 0) // self.cpus) for node in alive}
        return {node: count for node, count in slots.items() if count > 0}

    def submit(self, task: Any, shard: int) -> None:
        """Gives a shard to the cluster; away from nodes where it failed or where everything fails, while there are others."""
        bad = {node for node, count in self.node_failures.items() if count >= NODE_FAILURES}
        bad |= self.failed_on.get(shard, set())
        good = [node for node in self.slots if node not in bad]
        node = None
        if good and len(good) < len(self.slots):
            given = Counter(node for _, node in self.running.values())
            node = min(good, key=lambda node: given[node] / self.slots[node])
            # Soft: if the node is gone by then, anywhere.
            task = task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=True))
        self.running[task.remote(self.job, self.content, shard)] = (shard, node)

    def settle(self, reference: Any) -> None:
        shard, _ = self.running.pop(reference)
        try:
            outcome = ray.get(reference)
        except RayError as error:
            outcome = Outcome(shard, "", "a node", None, lost(error))
        if outcome.result is None:
            self.fail(outcome)
            return
        result = outcome.result
        self.node_failures[outcome.node] = 0
        self.done += 1
        self.minutes_done += self.shards.minutes(shard)
        self.frames += result.get("frames", 0)
        self.note_damaged(result.get("failed", []))
        training = result.get("training")
        made = trained(training) if training else f"{result.get('frames', 0)} frames"
        self.console.line(
            f"shard {shard}: {made} on {outcome.host}",
            **{**result, "event": "shard", "shard": shard, "host": outcome.host},
        )

    def note_damaged(self, failed: list[dict[str, str]]) -> None:
        for file in failed:
            self.damaged.append(file)
            self.console.line(f"damaged: {file['error']}", event="damaged", **file)

    def fail(self, outcome: Outcome) -> None:
        shard, sentence = outcome.shard, outcome.error or ""
        self.failures += 1
        self.attempts[shard] += 1
        if outcome.node:
            self.node_failures[outcome.node] += 1
            self.failed_on.setdefault(shard, set()).add(outcome.node)
        if self.done == 0 and self.failures >= FAILURES_AT_START:
            raise Failure(f"{self.failures} attempts have failed and none has succeeded; the last one, on {outcome.host}: {sentence}")
        if self.attempts[shard] > self.retries:
            self.give_up(shard, f"on {outcome.host}: {sentence}")
            return
        rest_secs = min(FIRST_REST_SECS * 2 ** (self.attempts[shard] - 1), LONGEST_REST_SECS)
        self.resting[shard] = time.monotonic() + rest_secs
        self.console.line(
            f"shard {shard} failed on {outcome.host} and is repeated: {sentence}",
            event="retry", shard=shard, host=outcome.host, attempt=self.attempts[shard], message=sentence,
        )

    def give_up(self, shard: int, sentence: str) -> None:
        self.given_up[shard] = sentence
        self.console.line(f"shard {shard} is given up: {sentence}", event="given_up", shard=shard, message=sentence)

    def progress(self) -> str:
        seconds = max(time.monotonic() - self.began, 1e-9)
        text = f"shards {self.done_before + self.done} of {len(self.shards.shards)}"
        if self.done:
            left = sum(map(self.shards.minutes, [*self.waiting, *self.resting, *(shard for shard, _ in self.running.values())]))
            if self.frames:
                text += f", {self.frames / seconds:.0f} frames/s"
            if self.minutes_done:
                text += f", about {duration(left * seconds / self.minutes_done)} left"
        if not self.slots:
            text += f", waiting for a node with {counted(self.cpus, 'core')}"
        if self.failures:
            text += f", {self.failures} attempts failed"
        if self.given_up:
            text += f", {len(self.given_up)} given up"
        return text


def trained(training: dict[str, Any]) -> str:
    """What came of a training."""
    if training.get("error"):
        return f"not trained ({training['error']})"
    accuracy = training.get("validation_accuracy")
    return "trained" if accuracy is None else f"trained, validation accuracy {100 * accuracy:.1f} %"


def merged(result: dict[str, Any], project: str) -> str:
    """What was merged."""
    if "sweep" in result:
        runs = counted(len(result.get("runs", [])), "new run")
        return f"merged {result['parts']} of {result['of']} trainings into {project}, {runs}"
    return f"merged {result['parts']} of {result['of']} parts into {project}, {result['frames']} frames that were not there"


def lost(error: RayError) -> str:
    """Why a task did not come back."""
    if isinstance(error, OutOfMemoryError):
        return "the node had no memory left; give a shard more cores with --cpus, so that fewer run at once"
    if isinstance(error, NodeDiedError):
        return "the node is gone"
    if isinstance(error, WorkerCrashedError):
        return "the worker was killed, or its node is gone"
    return f"{type(error).__name__}: {error}"


def clean_nodes(job: Job) -> None:
    task = ray.remote(clean_node)
    tasks = []
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            tasks.append(task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(job))
    # A node that has just gone takes its files along.
    ray.wait(tasks, num_returns=len(tasks), timeout=60)


# --- The command ------------------------------------------------------------------------------------


def merge(options: argparse.Namespace, job: Job, shards: Shards, console: Console) -> dict[str, Any]:
    """Merges the parts into the project and returns what `merge` says; `ProgramFailure` where some are missing."""
    parts = job.store.place
    if not job.store.is_path:
        fetched = job.folder() / "fetched"
        console.line(f"fetching the parts from {parts}", event="fetch", place=parts)
        job.store.fetch_parts(fetched, shards)
        parts = str(fetched)
    console.line(f"merging into {options.project}", event="merge", project=options.project)
    result = run_program([options.program, "merge", options.project, parts])
    if not job.store.is_path:
        shutil.rmtree(parts, ignore_errors=True)
    return result


def pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise argparse.ArgumentTypeError(f"{text} is not OLD=NEW")
    return old, new


def at_least(least: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make the parts of a list of shards on a Ray cluster, and merge them.",
        epilog="The same command continues where an earlier one was stopped.",
    )
    parser.add_argument("shards", type=Path, metavar="LIST", help="the file that `salamander shards` or `salamander sweep --out` wrote")
    parser.add_argument(
        "--out", required=True, metavar="PLACE",
        help="where the parts are put: a folder that all nodes share, or a URL that fsspec knows (s3://bucket/parts)",
    )
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument("--project", metavar="PROJECT", help="merge the parts into this project at the end")
    end.add_argument("--no-merge", action="store_true", help="leave the parts; merge them with `salamander merge`")
    parser.add_argument(
        "--address", default=None,
        help="the cluster: `local` for this machine, or as ray.init takes it (default: the cluster this runs in or "
        "RAY_ADDRESS names, else this machine)",
    )
    parser.add_argument(
        "--program", default="salamander", metavar="PATH", help="the program on each node (default: salamander in PATH)"
    )
    parser.add_argument(
        "--cpus", type=at_least(1), default=1, metavar="N", help="cores for each shard (default: 1)"
    )
    parser.add_argument("--retries", type=at_least(0), default=3, metavar="N", help="how often a shard is repeated (default: 3)")
    parser.add_argument(
        "--moved", action="append", default=[], metavar="OLD=NEW", help="films, or the project of trainings, below the folder OLD are below NEW on the nodes"
    )
    parser.add_argument(
        "--media", action="append", default=[], type=pair, metavar="OLD=URL",
        help="films below the folder OLD are fetched from URL by the node that works on them",
    )
    parser.add_argument(
        "--scratch", metavar="DIR", help="a folder on each node for films and parts on their way (default: its temporary folder)"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object a line")
    return parser.parse_args(arguments)


def connect(address: str | None) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    # Ray would send figures of the cluster to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Nodes need no copy of the module.
    ray.cloudpickle.register_pickle_by_value(shard_tasks)
    # Of what Ray keeps in memory only the list of shards is large.
    here: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 256 * 2**20} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise Failure(f"there is no Ray cluster at {address or 'the address of RAY_ADDRESS'}: {error}") from error
    # `ray job stop` ends it so. Ray has set a handler of its own by now.
    signal.signal(signal.SIGTERM, stop)


def run(options: argparse.Namespace, console: Console) -> int:
    shards = Shards.read(options.shards)
    place = options.out if "://" in options.out else str(Path(options.out).absolute())
    store = Store(place)
    store.claim(shards)
    there = {shard: manifest for shard, manifest in store.part_manifests().items() if shard in shards.shards}
    waiting = sorted(shards.shards.keys() - there.keys(), key=shards.minutes, reverse=True)

    scratch = str(Path(options.scratch).absolute()) if options.scratch else None
    connect(options.address)
    job = Job(options.program, options.cpus, store, shards.name, scratch, tuple(options.moved), tuple(options.media))
    schedule = Schedule(
        job, shards, ray.put(shards.bytes), options.cpus, options.retries, console, deque(waiting), done_before=len(there)
    )
    console.line(
        f"{len(waiting)} of {len(shards.shards)} shards to make, {counted(options.cpus, 'core')} each, "
        f"{counted(int(ray.cluster_resources().get('CPU', 0)), 'core')} in the cluster",
        event="start", shards=len(shards.shards), waiting=len(waiting), cpus=options.cpus,
    )
    for manifest in there.values():
        schedule.note_damaged(shards.damaged(manifest))
    schedule.run()
    seconds = time.monotonic() - schedule.began
    rate = f", {schedule.frames / seconds:.0f} frames/s" if schedule.frames else ""
    console.line(
        f"{schedule.done} parts made in {duration(seconds)}{rate}, {len(there)} were there; "
        f"{len(schedule.given_up)} shards given up, {len(schedule.damaged)} files damaged",
        event="made", parts=schedule.done, there=len(there), seconds=seconds, frames=schedule.frames,
        failures=schedule.failures, given_up=sorted(schedule.given_up), damaged=schedule.damaged,
    )
    result: dict[str, Any] = {}
    if not options.no_merge:
        try:
            result = merge(options, job, shards, console)
        except ProgramFailure as failure:
            if store.is_path and not schedule.given_up and failure.result.get("missing"):
                raise Failure(f"{failure}; if all nodes have finished, {place} is not one folder that they share") from failure
            raise
    clean_nodes(job)
    if schedule.given_up:
        numbers = ", ".join(map(str, sorted(schedule.given_up)))
        raise Failure(f"these shards could not be made: {numbers}; mend what is said above and give the same command again")
    text = "all parts are there" if options.no_merge else merged(result, options.project)
    console.line(text, **{**result, "event": "result"})
    return 0


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    console = Console(options.json, sys.stdout)
    # Ray's own messages do not belong among the lines.
    sys.stdout = sys.stderr

    try:
        return run(options, console)
    except KeyboardInterrupt:
        message, code = "stopped; the same command continues", 130
    except (Failure, OSError) as failure:
        message, code = str(failure), 1
    except Exception as error:  # noqa: BLE001  stores raise errors of their own kinds
        message, code = f"{type(error).__name__}: {error}", 1
    finally:
        ray.shutdown()
    if options.json:
        console.line("", event="error", message=message)
    print(f"error: {visible(message)}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

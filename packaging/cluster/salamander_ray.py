#!/usr/bin/env python3
"""Runs the shards of `salamander shards` on a Ray cluster and merges their parts.

    python salamander_ray.py shards.jsonl --out /nfs/parts --project Pets
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
from typing import Any

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
    progress: str = ""
    shown_at: float = 0.0

    def line(self, text: str, **event: Any) -> None:
        if self.json:
            print(json.dumps(event), flush=True)
            return
        self.erase()
        print(visible(text), flush=True)
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


# --- The cluster ------------------------------------------------------------------------------------


@dataclass
class Schedule:
    """Which shards are made, where, and what became of them."""

    job: Job
    shards: Shards
    content: Any
    cpus: float
    retries: int
    console: Console
    waiting: deque[int]
    resting: dict[int, float] = field(default_factory=dict)
    """Shards to be repeated, with the moment from which on."""
    running: dict[Any, int] = field(default_factory=dict)
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
                # Twice as many as run at once: enough for an autoscaler to see, few enough to choose nodes late.
                slots = int(ray.cluster_resources().get("CPU", 0) // self.cpus)
                while self.waiting and len(self.running) < max(2 * slots, 8):
                    shard = self.waiting.popleft()
                    options = self.away_from(self.failed_on.get(shard, set()))
                    self.running[task.options(**options).remote(self.job, self.content, shard)] = shard
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

    def away_from(self, failed: set[str]) -> dict[str, Any]:
        """Options that keep a task from nodes where it failed, and from those where everything fails, while there are others."""
        bad = failed | {node for node, count in self.node_failures.items() if count >= NODE_FAILURES}
        if not bad:
            return {}
        return {
            "label_selector": {"ray.io/node-id": f"!in({','.join(sorted(bad))})"},
            "fallback_strategy": [{"label_selector": {}}],
        }

    def settle(self, reference: Any) -> None:
        shard = self.running.pop(reference)
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
        self.console.line(
            f"shard {shard}: {result.get('frames', 0)} frames on {outcome.host}",
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
            left = sum(map(self.shards.minutes, [*self.waiting, *self.resting, *self.running.values()]))
            text += f", {self.frames / seconds:.0f} frames/s"
            if self.minutes_done:
                text += f", about {duration(left * seconds / self.minutes_done)} left"
        if self.failures:
            text += f", {self.failures} attempts failed"
        if self.given_up:
            text += f", {len(self.given_up)} given up"
        return text


def lost(error: RayError) -> str:
    """Why a task did not come back."""
    if isinstance(error, OutOfMemoryError):
        return "the node had no memory left; give a shard more cores with --cpus, so that fewer run at once"
    if isinstance(error, NodeDiedError):
        return "the node is gone"
    if isinstance(error, WorkerCrashedError):
        return "the worker was killed, or its node is gone"
    return f"{type(error).__name__}: {error}"


def cpus_of_a_shard(asked: int | None) -> int:
    """At most four cores a shard and at most those of the smallest node, so that no core stays without a shard."""
    if asked:
        return asked
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return min([4, *(count for count in cores if count > 0)])


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
    parser.add_argument("shards", type=Path, metavar="SHARDS", help="the file that `salamander shards` wrote")
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
        "--cpus", type=at_least(1), metavar="N",
        help="cores for each shard (default: 4, or those of the smallest node if that has fewer)",
    )
    parser.add_argument("--retries", type=at_least(0), default=3, metavar="N", help="how often a shard is repeated (default: 3)")
    parser.add_argument(
        "--moved", action="append", default=[], metavar="OLD=NEW", help="films below the folder OLD are below NEW on the nodes"
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
    try:
        ray.init(address=address, include_dashboard=False if address == "local" else None, log_to_driver=False, logging_level=logging.ERROR)
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

    connect(options.address)
    cpus = cpus_of_a_shard(options.cpus)
    job = Job(options.program, cpus, store, shards.name, options.scratch, tuple(options.moved), tuple(options.media))
    schedule = Schedule(
        job, shards, ray.put(shards.bytes), cpus, options.retries, console, deque(waiting), done_before=len(there)
    )
    console.line(
        f"{len(waiting)} of {len(shards.shards)} shards to make, {cpus} cores each, "
        f"{ray.cluster_resources().get('CPU', 0):.0f} cores in the cluster",
        event="start", shards=len(shards.shards), waiting=len(waiting), cpus=cpus,
    )
    for manifest in there.values():
        schedule.note_damaged(shards.damaged(manifest))
    schedule.run()
    seconds = time.monotonic() - schedule.began
    rate = f", {schedule.frames / seconds:.0f} frames/s" if schedule.done else ""
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
    text = "all parts are there" if options.no_merge else f"merged {result['parts']} of {result['of']} parts into {options.project}, {result['frames']} frames that were not there"
    console.line(text, **{**result, "event": "result"})
    return 0


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    console = Console(options.json)

    try:
        return run(options, console)
    except KeyboardInterrupt:
        message, code = "stopped; the same command continues", 130
    except (Failure, OSError) as failure:
        message, code = str(failure), 1
    finally:
        ray.shutdown()
    if options.json:
        console.line("", event="error", message=message)
    print(f"error: {visible(message)}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

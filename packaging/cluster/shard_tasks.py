"""What a node of the cluster does: makes the part of one shard, and puts it where the parts are.

Imported by `salamander_ray.py`, which sends this module to the nodes along with each task.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ray


class Failure(Exception):
    """A sentence for the user."""


# --- The list of shards -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Shards:
    """The file that `salamander shards` or `salamander sweep --out` wrote."""

    path: Path
    bytes: bytes
    shards: dict[int, dict[str, Any]]
    """By number, as they are listed."""

    def minutes(self, shard: int) -> float:
        """How much work a shard is: minutes of film, and of photos what takes about as long."""
        return float(self.shards[shard]["minutes"])

    def damaged(self, manifest: dict[str, Any]) -> list[dict[str, str]]:
        """The files of a part that cannot be used, each with a sentence."""
        made = [*manifest.get("films", []), *manifest.get("photos", [])]
        return [
            {"path": file["path"], "error": f"“{file['path']}” {of['failed']}"}
            for file, of in zip(files_of(self.shards[manifest["shard"]]), made, strict=False)
            if of.get("failed")
        ]

    @property
    def name(self) -> str:
        """A name for what is kept of this list on the nodes."""
        return "salamander-" + hashlib.sha256(self.bytes).hexdigest()[:16]

    @classmethod
    def read(cls, path: Path) -> Shards:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}") from error
        try:
            header, *lines = [json.loads(line) for line in content.splitlines()]
            version = header["salamander_trainings"] if "salamander_trainings" in header else header["salamander_shards"]
            if version != 1:
                raise Failure(f"{path} is of another version; use the salamander_ray.py that came with the program")
            shards = {shard["shard"]: shard for shard in lines if float(shard["minutes"]) >= 0}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{path} is no list of shards or trainings; make one with `salamander shards` or `salamander sweep --out`") from error
        if len(lines) != header["shards"] or set(shards) != set(range(1, len(lines) + 1)):
            raise Failure(f"{path} is cut off or was changed; make it again")
        return cls(path, content, shards)


def files_of(shard: dict[str, Any]) -> list[dict[str, Any]]:
    """Films, then photos, as the part has them."""
    return [*shard.get("films", []), *shard.get("photos", [])]


def part_name(shard: int) -> str:
    return f"part-{shard:06}"


# --- Where the parts are ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """The folder of the parts: a path that all nodes share, or the URL of a store that fsspec knows."""

    place: str

    @property
    def is_path(self) -> bool:
        return "://" not in self.place

    def open(self) -> tuple[Any, str]:
        """The file system and the folder in it."""
        return open_url(self.place)

    def part_manifests(self) -> dict[int, dict[str, Any]]:
        """The manifests of the parts that are there, by shard. One that is no JSON belongs to a part that is not whole."""
        fs, root = self.open()
        paths = [path for path in fs.glob(f"{root}/part-*/manifest.json") if ".partial/" not in path]

        def read(path: str) -> dict[str, Any] | None:
            try:
                manifest = json.loads(fs.cat_file(path))
            except (ValueError, OSError):
                return None
            return manifest if isinstance(manifest, dict) else None

        with ThreadPoolExecutor(16) as threads:
            manifests = threads.map(read, paths)
            return {m["shard"]: m for m in manifests if m is not None and isinstance(m.get("shard"), int)}

    def claim(self, shards: Shards) -> None:
        """Puts the list of shards beside the parts; parts of another list are not mixed with these."""
        fs, root = self.open()
        beside = f"{root}/shards.jsonl"
        if fs.exists(beside):
            if fs.cat_file(beside) != shards.bytes:
                raise Failure(f"{self.place} has parts of another list of shards than {shards.path}; choose an empty folder")
            return
        # A folder that cannot be made is better said before anything runs.
        fs.makedirs(root, exist_ok=True)
        if not self.is_path:
            fs.pipe_file(beside, shards.bytes)

    def fetch_parts(self, into: Path, shards: Shards) -> None:
        """Copies all whole parts below `into`; what an interrupted call has copied stays."""
        into.mkdir(parents=True, exist_ok=True)
        (into / "shards.jsonl").write_bytes(shards.bytes)
        fs, root = self.open()

        def fetch(shard: int) -> None:
            name = part_name(shard)
            part = into / name
            if part.exists():
                return
            partial = into / f"{name}.fetched"
            shutil.rmtree(partial, ignore_errors=True)
            for path in fs.find(f"{root}/{name}"):
                inside = PurePosixPath(path[path.rindex(f"/{name}/") + len(name) + 2 :])
                if ".." in inside.parts or inside.is_absolute():
                    raise Failure(f"{self.place}/{name} has a file called {inside}, which would lie outside of the part")
                (partial / inside).parent.mkdir(parents=True, exist_ok=True)
                fs.get_file(path, str(partial / inside))
            partial.rename(part)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(fetch, self.part_manifests()))


def open_url(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise Failure(f"{url} cannot be opened: {error}") from error
    return fs, path.rstrip("/")


# --- On a node --------------------------------------------------------------------------------------

# Linux ends the program when the process that started it ends, however that ends. It is set in the program itself, after
# the fork and before the exec, by a Python of its own: the Ray worker has threads, in which a fork may run little.
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]} cannot be started: {error.strerror}; say where the program is on each node with --program")
"""


def run_program(command: list[str]) -> dict[str, Any]:
    """Runs the program with `--json` and returns its `result`; what it says when it fails is the `Failure`."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid()), *command, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    events = []
    for line in ran.stdout.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    last = events[-1] if events else {}
    if ran.returncode == 0 and last.get("event") == "result":
        return last
    if last.get("event") == "error":
        sentence = last["message"]
    elif ran.returncode < 0:
        sentence = f"the program was ended by {signal.Signals(-ran.returncode).name}"
    else:
        lines = ran.stderr.decode(errors="replace").strip().splitlines()
        sentence = lines[-1] if lines else f"the program ended with exit code {ran.returncode}"
    results = [event for event in events if event.get("event") == "result"]
    raise ProgramFailure(sentence, results[-1] if results else {})


class ProgramFailure(Failure):
    """The program's own sentence, and its `result` where it gave one before it failed."""

    def __init__(self, sentence: str, result: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.result = result


@dataclass(frozen=True)
class Job:
    """What all tasks have in common."""

    program: str
    threads: int
    store: Store
    name: str
    scratch: str | None
    moved: tuple[str, ...]
    media: tuple[tuple[str, str], ...]

    def folder(self) -> Path:
        """What this job keeps on the node it runs on."""
        return Path(self.scratch or tempfile.gettempdir()) / self.name


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt at a shard."""

    shard: int
    node: str
    host: str
    result: dict[str, Any] | None
    error: str | None


def work_on_shard(job: Job, content: bytes, shard: int) -> Outcome:
    """The task: makes the part of one shard on this node."""
    node, host = ray.get_runtime_context().get_node_id(), socket.gethostname()
    try:
        return Outcome(shard, node, host, make_part(job, content, shard), None)
    except Failure as failure:
        return Outcome(shard, node, host, None, str(failure))
    except Exception as error:  # noqa: BLE001  stores raise errors of their own kinds
        return Outcome(shard, node, host, None, f"{type(error).__name__}: {error}")


def make_part(job: Job, content: bytes, shard: int) -> dict[str, Any]:
    folder = job.folder()
    folder.mkdir(parents=True, exist_ok=True)
    shards = folder / "shards.jsonl"
    if not shards.exists() or shards.read_bytes() != content:
        write_whole(shards, content)
    out = Path(job.store.place) if job.store.is_path else folder / "parts"
    staged = folder / "media" / str(shard)
    command = [job.program, "work", "--shard", f"{shards}:{shard}", "--out", str(out), "--threads", str(job.threads)]
    try:
        moved = [*job.moved, *stage_media(job.media, content, shard, staged)]
        for pair in moved:
            command += ["--moved", pair]
        result = run_program(command)
    except Failure:
        if not job.store.is_path:
            # It is made again elsewhere, and this disk may be full of it.
            shutil.rmtree(out / f"{part_name(shard)}.partial", ignore_errors=True)
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    if not job.store.is_path:
        upload_part(job.store, out / part_name(shard))
        shutil.rmtree(out / part_name(shard), ignore_errors=True)
    return result


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that other tasks of the node may write at the same moment."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def stage_media(media: tuple[tuple[str, str], ...], content: bytes, shard: int, staged: Path) -> Iterator[str]:
    """Copies the films and photos of a shard that lie below a folder of `media` to `staged`. Yields OLD=NEW of each folder."""
    if not media:
        return
    paths = {file["path"] for file in files_of(json.loads(content.splitlines()[shard]))}
    for index, (old, url) in enumerate(media):
        fs, root = open_url(url)
        below = old.rstrip("/") + "/"
        names = [path.removeprefix(below) for path in sorted(paths) if path.startswith(below)]
        for name in names:
            here = staged / str(index) / name
            here.parent.mkdir(parents=True, exist_ok=True)
            try:
                fs.get_file(f"{root}/{name}", str(here))
            except FileNotFoundError as error:
                raise Failure(f"{below}{name} is not at {url.rstrip('/')}/{name}") from error
        if names:
            yield f"{old}={staged / str(index)}"


def upload_part(store: Store, part: Path) -> None:
    """Copies a part to the store, the manifest last: a part without one is not there."""
    fs, root = store.open()
    files = sorted(path for path in part.rglob("*") if path.is_file())
    files.sort(key=lambda path: path.name == "manifest.json" and path.parent == part)
    for path in files:
        there = f"{root}/{part.name}/{path.relative_to(part).as_posix()}"
        fs.makedirs(there.rpartition("/")[0], exist_ok=True)
        fs.put_file(str(path), there)


def clean_node(job: Job) -> None:
    """The task that removes what this job kept on a node."""
    shutil.rmtree(job.folder(), ignore_errors=True)

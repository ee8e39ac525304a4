#!/usr/bin/env bash
# Prints name, version and licence of every Rust crate in the program, each with its licence files.
# The texts have to go with a binary; they are taken from the sources that cargo built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
cargo metadata --format-version 1 --locked --filter-platform "$host" |
    python3 -c '
import json, pathlib, sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
# Only what is built into the program: no tests, no build scripts.
wanted, queue = set(), [metadata["resolve"]["root"]]
while queue:
    for dependency in nodes[queue.pop()]["deps"]:
        built_in = any(kind["kind"] is None for kind in dependency["dep_kinds"])
        if built_in and dependency["pkg"] not in wanted:
            wanted.add(dependency["pkg"])
            queue.append(dependency["pkg"])
for package in sorted((packages[key] for key in wanted), key=lambda p: (p["name"], p["version"])):
    name, version = package["name"], package["version"]
    print("=" * 80, f"{name} {version}: {package['"'license'"']}", sep="\n")
    folder = pathlib.Path(package["manifest_path"]).parent
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")):
            print("-" * 80, file.name, "", file.read_text(encoding="utf-8", errors="replace"), sep="\n")
'

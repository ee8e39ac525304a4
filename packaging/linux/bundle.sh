#!/usr/bin/env bash
# Packs the program into target/salamander-<version>-linux-<machine>.tar.gz.
#
#   packaging/linux/bundle.sh [PROGRAM]      without PROGRAM it is built first
#
# In the archive: what stage.sh lays out, and install.sh, which copies it all to a prefix.
# FFmpeg's libraries come from the system that it is installed on: build on the oldest one you mean to serve.
set -euo pipefail
program=${1:+$(realpath "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name="salamander-$version-linux-$(uname -m)"
stage="target/bundle/$name"
rm -rf "$stage"
packaging/linux/stage.sh "$stage" ${program:+"$program"}
install -m 644 README.md CHANGELOG.md "$stage/share/doc/salamander/"
install -m 755 packaging/linux/install.sh "$stage/"

# Same content, same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
    -C target/bundle -c "$name" | gzip -n -9 >"target/$name.tar.gz"
echo "target/$name.tar.gz, $(du -m "target/$name.tar.gz" | cut -f1) MB"

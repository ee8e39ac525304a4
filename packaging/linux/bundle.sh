#!/usr/bin/env bash
# Packs the release build into target/salamander-<version>-linux-<machine>.tar.gz.
#
#   packaging/linux/bundle.sh
#
# In the archive: bin/salamander, lib/salamander/libonnxruntime.so, share/salamander/{models,sample},
# share/doc/salamander (licences), the desktop entry and install.sh, which copies it all to a prefix.
# FFmpeg's libraries come from the system that it is installed on: build on the oldest one you mean to serve.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
packaging/setup.sh
PATH="$PATH:$HOME/.cargo/bin"
cargo build --release --locked

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name="salamander-$version-linux-$(uname -m)"
stage="target/bundle/$name"
rm -rf "$stage"
mkdir -p "$stage"/{bin,lib/salamander,share/salamander/models,share/doc/salamander}
mkdir -p "$stage"/share/{applications,metainfo} "$stage"/share/icons/hicolor/{scalable,256x256,512x512}/apps

install -m 755 "${CARGO_TARGET_DIR:-target}/release/salamander" "$stage/bin/"
install -m 644 target/onnxruntime/lib/libonnxruntime.so "$stage/lib/salamander/"
install -m 644 models/*.onnx models/catalogue.json models/LICENSE models/README.md "$stage/share/salamander/models/"
cp -r assets/sample "$stage/share/salamander/sample"
install -m 644 assets/icon.svg "$stage/share/icons/hicolor/scalable/apps/salamander.svg"
install -m 644 assets/icon-256.png "$stage/share/icons/hicolor/256x256/apps/salamander.png"
install -m 644 assets/icon.png "$stage/share/icons/hicolor/512x512/apps/salamander.png"
install -m 644 packaging/linux/salamander.desktop "$stage/share/applications/"
install -m 644 packaging/linux/*.metainfo.xml "$stage/share/metainfo/"
install -m 755 packaging/linux/install.sh "$stage/"

doc="$stage/share/doc/salamander"
install -m 644 LICENSE-MIT LICENSE-APACHE "$doc/"
install -m 644 assets/fonts/OFL.txt "$doc/Inter-OFL.txt"
install -m 644 target/onnxruntime/LICENSE "$doc/onnxruntime-LICENSE"
install -m 644 target/onnxruntime/ThirdPartyNotices.txt "$doc/onnxruntime-ThirdPartyNotices.txt"
for file in README.md CHANGELOG.md; do
    if [ -f "$file" ]; then install -m 644 "$file" "$doc/"; fi
done
# The texts of the Rust libraries' licences, from the sources that were built.
packaging/crate_licences.sh >"$doc/rust-crates-licences.txt"

# Same content, same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
    -C target/bundle -c "$name" | gzip -n -9 >"target/$name.tar.gz"
echo "target/$name.tar.gz, $(du -m "target/$name.tar.gz" | cut -f1) MB"

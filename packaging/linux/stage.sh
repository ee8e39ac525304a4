#!/usr/bin/env bash
# Lays the program out below a prefix, as bundle.sh and deb.sh pack it:
# bin/salamander, lib/salamander/libonnxruntime.so, share/salamander/{models,onnxruntime-web,sample}, share/doc/salamander
# (licences), icons, the desktop entry and the metainfo.
#
#   packaging/linux/stage.sh PREFIX [PROGRAM]
#
# Without PROGRAM it is built first, with the profile for packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
prefix=${1:?usage: packaging/linux/stage.sh PREFIX [PROGRAM]}
program=${2:-}
PATH="$PATH:$HOME/.cargo/bin"
packaging/setup.sh >&2
if [ -z "$program" ]; then
    echo "building with the profile for packages: a good while longer than ./run.sh takes" >&2
    cargo build --profile packaging --locked --bin salamander >&2
    program="${CARGO_TARGET_DIR:-target}/packaging/salamander"
fi

mkdir -p "$prefix"/{bin,lib/salamander,share/salamander/models,share/doc/salamander}
mkdir -p "$prefix"/share/{applications,metainfo,man/man1} "$prefix"/share/icons/hicolor/{scalable,256x256,512x512}/apps

install -m 755 "$program" "$prefix/bin/salamander"
install -m 644 target/onnxruntime/lib/libonnxruntime.so "$prefix/lib/salamander/"
install -m 644 models/*.onnx models/catalogue.json models/LICENSE* models/README.md "$prefix/share/salamander/models/"
install -D -m 644 -t "$prefix/share/salamander/onnxruntime-web" target/onnxruntime-web/{*.mjs,*.wasm,ThirdPartyNotices.txt}
cp -R assets/sample "$prefix/share/salamander/sample"
install -m 644 assets/icon.svg "$prefix/share/icons/hicolor/scalable/apps/salamander.svg"
install -m 644 assets/icon-256.png "$prefix/share/icons/hicolor/256x256/apps/salamander.png"
install -m 644 assets/icon.png "$prefix/share/icons/hicolor/512x512/apps/salamander.png"
install -m 644 packaging/linux/salamander.desktop "$prefix/share/applications/"
install -m 644 packaging/linux/*.metainfo.xml "$prefix/share/metainfo/"
gzip -n -9 <packaging/linux/salamander.1 >"$prefix/share/man/man1/salamander.1.gz"

doc="$prefix/share/doc/salamander"
install -m 644 LICENSE-MIT LICENSE-APACHE "$doc/"
install -m 644 assets/fonts/OFL.txt "$doc/Inter-OFL.txt"
install -m 644 assets/fonts/Phosphor-LICENSE.txt "$doc/"
install -m 644 target/onnxruntime/LICENSE "$doc/onnxruntime-LICENSE"
install -m 644 target/onnxruntime/ThirdPartyNotices.txt "$doc/onnxruntime-ThirdPartyNotices.txt"
# The texts of the Rust libraries' licences, from the sources that were built.
packaging/crate_licences.sh >"$doc/rust-crates-licences.txt"
find "$prefix" -type d -exec chmod 755 {} +
find "$prefix/share" -type f -exec chmod 644 {} +

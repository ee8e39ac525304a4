#!/usr/bin/env bash
# Makes target/Salamander.app, built with the profile for packages (Apple silicon).
# Written with care, but never run on macOS by its authors.
#
#   packaging/macos/bundle.sh
#
# The app holds the program, ONNX Runtime, the models and the sample. FFmpeg's libraries stay
# Homebrew's: the app runs on machines that have `brew install ffmpeg`. To give the app to others, bundle
# the libraries too (for example with dylibbundler), then sign and notarise with an identity of your own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(uname -s)" = Darwin ] || { echo "this makes a macOS app and must run on macOS" >&2; exit 1; }
packaging/setup.sh
PATH="$PATH:$HOME/.cargo/bin"
cargo build --profile packaging --locked --bin salamander

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
app=target/Salamander.app
contents="$app/Contents"
rm -rf "$app"
# The program looks in ../Resources and ../lib/salamander. (Models in MacOS/, beside the program,
# would be taken for code when the app is signed.)
mkdir -p "$contents"/{MacOS,lib/salamander,Resources/models,Resources/onnxruntime-web,Resources/doc}

install -m 755 "${CARGO_TARGET_DIR:-target}/packaging/salamander" "$contents/MacOS/salamander"
install -m 644 target/onnxruntime/lib/libonnxruntime.dylib "$contents/lib/salamander/"
install -m 644 models/*.onnx models/catalogue.json models/LICENSE* "$contents/Resources/models/"
install -m 644 target/onnxruntime-web/{*.mjs,*.wasm,ThirdPartyNotices.txt} "$contents/Resources/onnxruntime-web/"
cp -R assets/sample "$contents/Resources/sample"
install -m 644 LICENSE-MIT LICENSE-APACHE assets/fonts/OFL.txt assets/fonts/Phosphor-LICENSE.txt "$contents/Resources/doc/"
install -m 644 target/onnxruntime/LICENSE "$contents/Resources/doc/onnxruntime-LICENSE"
install -m 644 target/onnxruntime/ThirdPartyNotices.txt "$contents/Resources/doc/onnxruntime-ThirdPartyNotices.txt"
packaging/crate_licences.sh >"$contents/Resources/doc/rust-crates-licences.txt"

iconset=$(mktemp -d)/salamander.iconset
mkdir -p "$iconset"
for size in 16 32 128 256 512; do
    sips -z "$size" "$size" assets/icon.png --out "$iconset/icon_${size}x${size}.png" >/dev/null
done
iconutil -c icns "$iconset" -o "$contents/Resources/salamander.icns"

cat >"$contents/Info.plist" <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>CFBundleName</key><string>Salamander</string>
    <key>CFBundleIdentifier</key><string>io.github.salamander.Salamander</string>
    <key>CFBundleVersion</key><string>$version</string>
    <key>CFBundleShortVersionString</key><string>$version</string>
    <key>CFBundleExecutable</key><string>salamander</string>
    <key>CFBundleIconFile</key><string>salamander</string>
    <key>CFBundlePackageType</key><string>APPL</string>
    <key>LSMinimumSystemVersion</key><string>14.0</string>
    <key>NSHighResolutionCapable</key><true/>
</dict>
</plist>
PLIST
# Apple silicon runs nothing unsigned; an ad-hoc signature is enough on this machine.
codesign --force --sign - "$contents/lib/salamander/libonnxruntime.dylib"
codesign --force --sign - "$app"
echo "$app"

# Builds with the profile for packages and packs target\salamander-<version>-windows-amd64.zip, one folder that runs where it lies.
# Written with care, but never run on Windows by its authors.
#
#   powershell -ExecutionPolicy Bypass -File packaging\windows\bundle.ps1
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'setup.ps1') # sets $root and FFMPEG_DIR
& cargo build --profile packaging --locked --bin salamander --manifest-path (Join-Path $root 'Cargo.toml')
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }

$version = (Select-String -Path (Join-Path $root 'Cargo.toml') -Pattern '^version = "(.*)"' | Select-Object -First 1).Matches[0].Groups[1].Value
$name = "salamander-$version-windows-amd64"
$stage = Join-Path $root "target\bundle\$name"
if (Test-Path $stage) { Remove-Item -Recurse -Force $stage }
foreach ($folder in 'models', 'onnxruntime-web', 'assets', 'licences') { New-Item -ItemType Directory -Force -Path (Join-Path $stage $folder) | Out-Null }

Copy-Item (Join-Path $root 'target\packaging\salamander.exe') $stage
Copy-Item (Join-Path $root 'target\onnxruntime\lib\onnxruntime.dll') $stage
# Only the libraries that the program is linked to, with swresample and postproc, which libavfilter needs.
foreach ($library in 'avcodec', 'avformat', 'avfilter', 'avutil', 'swscale', 'swresample', 'postproc') {
    Copy-Item (Join-Path $env:FFMPEG_DIR "bin\$library-*.dll") $stage
}
Copy-Item (Join-Path $root 'models\*.onnx'), (Join-Path $root 'models\catalogue.json'), (Join-Path $root 'models\LICENSE*') (Join-Path $stage 'models')
foreach ($name in '*.mjs', '*.wasm', 'ThirdPartyNotices.txt') { Copy-Item (Join-Path $root "target\onnxruntime-web\$name") (Join-Path $stage 'onnxruntime-web') }
Copy-Item -Recurse (Join-Path $root 'assets\sample') (Join-Path $stage 'assets')

$licences = Join-Path $stage 'licences'
Copy-Item (Join-Path $root 'LICENSE-MIT'), (Join-Path $root 'LICENSE-APACHE') $licences
Copy-Item (Join-Path $root 'assets\fonts\OFL.txt') (Join-Path $licences 'Inter-OFL.txt')
Copy-Item (Join-Path $root 'assets\fonts\Phosphor-LICENSE.txt') $licences
Copy-Item (Join-Path $root 'target\onnxruntime\LICENSE') (Join-Path $licences 'onnxruntime-LICENSE')
Copy-Item (Join-Path $root 'target\onnxruntime\ThirdPartyNotices.txt') (Join-Path $licences 'onnxruntime-ThirdPartyNotices.txt')
# A shared build of FFmpeg may be GPL; its own licence file goes along.
Get-ChildItem -Path $env:FFMPEG_DIR -File -Filter 'LICENSE*' | ForEach-Object { Copy-Item $_.FullName (Join-Path $licences "FFmpeg-$($_.Name)") }
Write-Host "not in the archive: the licence texts of the Rust crates; packaging/crate_licences.sh prints them (Git Bash or WSL)"

$archive = Join-Path $root "target\$name.zip"
Compress-Archive -Force -Path $stage -DestinationPath $archive
Write-Host $archive

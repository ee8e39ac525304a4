# Prepares a Windows machine (x64) for building Salamander. Called by run.ps1; safe to run again.
# Written with care, but never run on Windows by its authors.
#
# It downloads ONNX Runtime into target\onnxruntime and ONNX Runtime Web into target\onnxruntime-web and checks their hashes. What has an installer of
# its own it asks for: Rust, the C++ build tools, LLVM (libclang) and FFmpeg's shared build.
# In the session it sets FFMPEG_DIR, LIBCLANG_PATH and PATH where they are not set.
$ErrorActionPreference = 'Stop'
$root = Split-Path -Parent (Split-Path -Parent $PSScriptRoot)

# On standard error, so that what the program prints can be read by a script.
function Say($text) { [Console]::Error.WriteLine("setup: $text") }
function Stop-WithHint($text) { Say $text; exit 1 }

# --- Tools with an installer of their own -------------------------------------------------------

if (-not (Get-Command cargo -ErrorAction SilentlyContinue)) {
    Stop-WithHint 'Rust is missing. Get it with:  winget install Rustlang.Rustup   (it also asks for the C++ build tools)'
}

if (-not $env:LIBCLANG_PATH) {
    $llvm = Join-Path $env:ProgramFiles 'LLVM\bin'
    if (Test-Path (Join-Path $llvm 'libclang.dll')) {
        $env:LIBCLANG_PATH = $llvm
    } else {
        Stop-WithHint 'libclang is missing. Get it with:  winget install LLVM.LLVM   or set LIBCLANG_PATH'
    }
}

# FFmpeg: a "shared" build, which has include, lib and bin in one folder.
if (-not $env:FFMPEG_DIR) {
    $program = Get-Command ffmpeg -ErrorAction SilentlyContinue
    $candidates = @()
    if ($program) { $candidates += Split-Path -Parent (Split-Path -Parent $program.Source) }
    $packages = Join-Path $env:LOCALAPPDATA 'Microsoft\WinGet\Packages'
    if (Test-Path $packages) {
        $candidates += Get-ChildItem -Path $packages -Directory -Filter 'Gyan.FFmpeg.Shared*' |
            ForEach-Object { Get-ChildItem -Path $_.FullName -Directory } |
            ForEach-Object { $_.FullName }
    }
    foreach ($folder in $candidates) {
        if ((Test-Path (Join-Path $folder 'include\libavcodec\avcodec.h')) -and (Test-Path (Join-Path $folder 'lib\avcodec.lib'))) {
            $env:FFMPEG_DIR = $folder
            break
        }
    }
    if (-not $env:FFMPEG_DIR) {
        Stop-WithHint "FFmpeg's libraries are missing. Get them with:  winget install Gyan.FFmpeg.Shared   or set FFMPEG_DIR to the folder of a shared build"
    }
}
# The program finds FFmpeg's DLLs through PATH.
$env:PATH = (Join-Path $env:FFMPEG_DIR 'bin') + ';' + $env:PATH

# --- ONNX Runtime -------------------------------------------------------------------------------

$pin = Get-Content (Join-Path $root 'packaging\onnxruntime.pins') | Where-Object { $_ -like 'windows-amd64 *' }
$system, $hash, $member, $name, $address = $pin -split ' '
$place = Join-Path $root 'target\onnxruntime'
$library = Join-Path $place "lib\$name"
$stamp = Join-Path $place 'wheel.sha256'

$current = ''
if ((Test-Path $library) -and (Test-Path $stamp)) { $current = (Get-Content $stamp -Raw).Trim() }
if ($current -ne $hash) {
    Say "fetching ONNX Runtime 1.32.0 from PyPI into $place"
    New-Item -ItemType Directory -Force -Path (Join-Path $place 'lib') | Out-Null
    $wheel = Join-Path $place 'fetch.zip'
    try {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        $ProgressPreference = 'SilentlyContinue' # the progress bar makes Windows PowerShell many times slower
        Invoke-WebRequest -UseBasicParsing -Uri $address -OutFile $wheel
        $found = (Get-FileHash -Algorithm SHA256 $wheel).Hash.ToLowerInvariant()
        if ($found -ne $hash) { Stop-WithHint "the wheel has the sha256 $found instead of $hash; nothing was installed" }
        Add-Type -AssemblyName System.IO.Compression.FileSystem
        $archive = [IO.Compression.ZipFile]::OpenRead($wheel)
        try {
            $wanted = @{
                $member                                = $library
                'onnxruntime/LICENSE'                  = (Join-Path $place 'LICENSE')
                'onnxruntime/ThirdPartyNotices.txt'    = (Join-Path $place 'ThirdPartyNotices.txt')
            }
            foreach ($entry in $wanted.GetEnumerator()) {
                $file = $archive.GetEntry($entry.Key)
                if (-not $file) { Stop-WithHint "the wheel has no $($entry.Key)" }
                [IO.Compression.ZipFileExtensions]::ExtractToFile($file, $entry.Value, $true)
            }
        } finally {
            $archive.Dispose()
        }
        Set-Content -Path $stamp -Value $hash
    } finally {
        Remove-Item -Force -ErrorAction SilentlyContinue $wheel
    }
}

# --- ONNX Runtime Web, for web exports ------------------------------------------------------------

$version, $hash, $address = (Get-Content (Join-Path $root 'packaging\onnxruntime-web.pins') | Where-Object { $_ -notlike '#*' }) -split ' '
$place = Join-Path $root 'target\onnxruntime-web'
# The stamp is written last.
$stamp = Join-Path $place 'package.sha256'
$current = ''
if (Test-Path $stamp) { $current = (Get-Content $stamp -Raw).Trim() }
if ($current -ne $hash) {
    Say "fetching ONNX Runtime Web $version from npm into $place"
    New-Item -ItemType Directory -Force -Path $place | Out-Null
    $package = Join-Path $place 'fetch.tgz'
    try {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        $ProgressPreference = 'SilentlyContinue'
        Invoke-WebRequest -UseBasicParsing -Uri $address -OutFile $package
        $found = (Get-FileHash -Algorithm SHA256 $package).Hash.ToLowerInvariant()
        if ($found -ne $hash) { Stop-WithHint "the package has the sha256 $found instead of $hash; nothing was installed" }
        # Windows 10 and later have tar.
        & tar -xzf $package -C $place --strip-components 2 package/dist/ort.wasm.min.mjs package/dist/ort-wasm-simd-threaded.mjs package/dist/ort-wasm-simd-threaded.wasm
        if ($LASTEXITCODE -ne 0) { Stop-WithHint 'the package could not be unpacked' }
        Copy-Item (Join-Path $root 'target\onnxruntime\ThirdPartyNotices.txt') $place
        Set-Content -Path $stamp -Value $hash
    } finally {
        Remove-Item -Force -ErrorAction SilentlyContinue $package
    }
}

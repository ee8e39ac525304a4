#!/usr/bin/env python3
"""Films three photographs, so that Salamander has short real-image videos to be tried with.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy==2.4.6 pillow==13.0.0
    /tmp/venv/bin/pip download --no-deps --dest /tmp scikit-image==0.26.0
    /tmp/venv/bin/python assets/make_sample.py /tmp/scikit_image-0.26.0-*.whl

Needs the ffmpeg program with libx264. Writes sample/<class>/<class>-<n>.mp4 beside this file.
Each video is one take with a camera of its own: a start and an end pose (centre, width of the
view, tilt), an unsteady hand, its own light, focus and sensor noise, some of them mirrored or
upright. The same wheel and the same ffmpeg give the same files.
"""

import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

HERE = Path(__file__).resolve().parent
PHOTOS = {"cat": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}
BORDER = 200  # mirrored around the photo for views that reach over its edge, in pixels
SUPERSAMPLING = 2


@dataclass
class Pose:
    """Where the camera looks: centre and width of the view as parts of the photo's width and height."""

    x: float
    y: float
    width: float
    tilt_deg: float = 0.0


@dataclass
class Take:
    """One video."""

    start: Pose
    end: Pose
    secs: float
    fps: int
    size: tuple[int, int] = (320, 240)
    mirrored: bool = False
    # Brightness at the start and at the end, and how warm the light is (red over blue).
    light: tuple[float, float] = (1.0, 1.0)
    warmth: float = 1.0
    flicker: float = 0.0
    gamma: float = 1.0
    # Blur radius at the start and at the end, in pixels of the video.
    blur_px: tuple[float, float] = (0.0, 0.0)
    shake_px: float = 1.5
    noise: float = 2.0


TAKES = {
    "cat": [
        # Slowly closer to the face.
        Take(Pose(0.50, 0.50, 0.86), Pose(0.40, 0.42, 0.52), 3.0, 25),
        # Along the eyes, mirrored, in evening light that fades.
        Take(Pose(0.34, 0.40, 0.50, -4), Pose(0.62, 0.46, 0.50, 3), 2.6, 30, mirrored=True, light=(0.95, 0.62), warmth=1.22),
        # Upright telephone, from the nose up, cool and bright.
        Take(Pose(0.48, 0.62, 0.42, 6), Pose(0.40, 0.45, 0.48, -3), 2.8, 30, size=(240, 320), light=(1.12, 1.22), warmth=0.86, shake_px=2.5),
        # Finds its focus while it turns.
        Take(Pose(0.56, 0.50, 0.70, 14), Pose(0.46, 0.48, 0.62, -8), 3.2, 24, blur_px=(4.5, 0.0), gamma=1.15),
        # A dark room, a lamp that flickers, much noise; back from one eye.
        Take(Pose(0.40, 0.40, 0.40), Pose(0.52, 0.52, 0.80, -5), 2.4, 25, mirrored=True, light=(0.45, 0.6), flicker=0.10, noise=5.0),
    ],
    "coffee": [
        # From the whole table to the cup.
        Take(Pose(0.50, 0.50, 0.84), Pose(0.52, 0.42, 0.46), 3.0, 25),
        # Across the saucer to the spoon, cool morning light that comes up.
        Take(Pose(0.34, 0.66, 0.46, 5), Pose(0.62, 0.52, 0.50, -5), 2.6, 30, light=(0.7, 1.1), warmth=0.82),
        # Upright telephone, mirrored, over the rim.
        Take(Pose(0.52, 0.30, 0.36, -6), Pose(0.52, 0.60, 0.40, 4), 2.8, 30, size=(240, 320), mirrored=True, shake_px=2.5, gamma=0.9),
        # A turn around the cup, seen from further away and out of focus at the end.
        Take(Pose(0.54, 0.48, 0.66, -18), Pose(0.48, 0.48, 0.78, 12), 3.2, 24, blur_px=(0.0, 3.5), light=(1.1, 1.0)),
        # A dim café.
        Take(Pose(0.58, 0.40, 0.50, 8), Pose(0.46, 0.52, 0.70), 2.4, 25, mirrored=True, light=(0.5, 0.42), flicker=0.06, noise=5.0, warmth=1.1),
    ],
    "rocket": [
        # Up the rocket.
        Take(Pose(0.50, 0.72, 0.50), Pose(0.50, 0.42, 0.44), 3.0, 25),
        # From the left tower across the pad, lighter sky.
        Take(Pose(0.30, 0.58, 0.56, 3), Pose(0.60, 0.54, 0.56, -2), 2.6, 30, light=(1.25, 1.4), gamma=0.85),
        # Upright telephone, mirrored, away from the tip.
        Take(Pose(0.50, 0.42, 0.26, -4), Pose(0.49, 0.54, 0.46, 3), 2.8, 30, size=(240, 320), mirrored=True, shake_px=2.5, warmth=1.15),
        # The whole pad, unsteady, into focus, at first light.
        Take(Pose(0.48, 0.52, 0.82, -9), Pose(0.52, 0.56, 0.62, 7), 3.2, 24, blur_px=(4.0, 0.3), light=(0.8, 1.3), warmth=1.3),
        # Lamps at the foot, then back; night.
        Take(Pose(0.56, 0.70, 0.36, 5), Pose(0.48, 0.54, 0.70), 2.4, 25, light=(0.75, 0.6), flicker=0.05, noise=5.0, warmth=0.9),
    ],
}


def photo(wheel: zipfile.ZipFile, name: str) -> Image.Image:
    with wheel.open(f"skimage/data/{name}") as file:
        pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
    return Image.fromarray(np.pad(pixels, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="reflect"))


def mix(a: float, b: float, t: float) -> float:
    return a + (b - a) * t


def frame(source: Image.Image, take: Take, t: float, hand: np.ndarray, dice: np.random.Generator) -> bytes:
    """The picture at the part `t` (0..1) of the take, as RGB bytes."""
    width_px, height_px = take.size
    ease = t * t * (3 - 2 * t)
    photo_width, photo_height = source.width - 2 * BORDER, source.height - 2 * BORDER
    scale = mix(take.start.width, take.end.width, ease) * photo_width / width_px
    tilt = np.radians(mix(take.start.tilt_deg, take.end.tilt_deg, ease) + hand[2] * 0.25)
    x = BORDER + mix(take.start.x, take.end.x, ease) * photo_width + hand[0] * scale
    y = BORDER + mix(take.start.y, take.end.y, ease) * photo_height + hand[1] * scale

    # Pixel of the video to pixel of the photo, at twice the size so that shrinking does not alias.
    step = scale / SUPERSAMPLING
    cos, sin = np.cos(tilt) * step, np.sin(tilt) * step
    half_w, half_h = width_px * SUPERSAMPLING / 2, height_px * SUPERSAMPLING / 2
    affine = (cos, -sin, x - cos * half_w + sin * half_h, sin, cos, y - sin * half_w - cos * half_h)
    big = (width_px * SUPERSAMPLING, height_px * SUPERSAMPLING)
    image = source.transform(big, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC).reduce(SUPERSAMPLING)
    blur = mix(*take.blur_px, ease)
    if blur > 0.2:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    if take.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    light = mix(*take.light, t) * (1 + take.flicker * np.sin(2 * np.pi * 7 * t) * np.sin(2 * np.pi * 2.3 * t))
    balance = np.array([take.warmth**0.5, 1.0, take.warmth**-0.5])
    pixels = (np.asarray(image, dtype=np.float64) / 255) ** take.gamma * light * balance
    # Highlights roll off as in a camera instead of clipping hard.
    pixels = np.where(pixels > 0.8, 0.8 + 0.2 * np.tanh((pixels - 0.8) / 0.2), pixels)
    pixels = pixels * 255 + dice.normal(0, take.noise, pixels.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8).tobytes()


def unsteady_hand(take: Take, count: int, dice: np.random.Generator) -> np.ndarray:
    """Sums of slow waves: offset in x and y (pixels of the video) and a third one for the tilt; [count,3]."""
    secs = np.arange(count)[:, None] / take.fps
    total = np.zeros((count, 3))
    for wave_hz, part in ((0.7, 1.0), (1.7, 0.6), (3.9, 0.25)):
        total += part * np.sin(2 * np.pi * wave_hz * secs + dice.uniform(0, 2 * np.pi, 3))
    return total * take.shake_px


def film(source: Image.Image, take: Take, path: Path, seed: int) -> None:
    dice = np.random.default_rng(seed)
    count = round(take.secs * take.fps)
    hand = unsteady_hand(take, count, dice)
    width_px, height_px = take.size
    command = [
        "ffmpeg", "-v", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width_px}x{height_px}", "-r", str(take.fps), "-i", "-",
        "-c:v", "libx264", "-preset", "slow", "-crf", "22", "-pix_fmt", "yuv420p", "-g", "50", "-threads", "1",
        "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:
        for index in range(count):
            ffmpeg.stdin.write(frame(source, take, index / (count - 1), hand[index], dice))
        ffmpeg.stdin.close()
    if ffmpeg.returncode != 0:
        sys.exit(f"ffmpeg failed on {path}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: make_sample.py scikit_image-….whl")
    total = 0
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        for class_index, (name, file) in enumerate(PHOTOS.items()):
            source = photo(wheel, file)
            folder = HERE / "sample" / name
            folder.mkdir(parents=True, exist_ok=True)
            for index, take in enumerate(TAKES[name], start=1):
                path = folder / f"{name}-{index}.mp4"
                film(source, take, path, seed=100 * class_index + index)
                total += path.stat().st_size
                print(f"{path.relative_to(HERE)}: {take.secs} s, {path.stat().st_size / 1000:.0f} kB")
    print(f"{total / 1e6:.2f} MB in all")


if __name__ == "__main__":
    main()

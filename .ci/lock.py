"""Compile pyproject.toml into requirements.txt and requirements-cuda.txt (run by `make lock`).

Both files pin every package with the digests of its files and name no index host. The second holds what only a CUDA
build of torch loads (some 3 GB); `make` leaves it out where the CPU build of torch is found.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CUDA_ONLY = re.compile(r"^(nvidia-|cuda-|triton==)")
# CPU builds of the pinned torch are no registry's default on Linux; their digests are accepted beside its own
CPU_BUILDS = {"torch==2.13.0": ["sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"]}
HEADER = "# Compiled from pyproject.toml by `make lock`; do not edit.\n"


def blocks(text: str) -> list[str]:
    """Split a requirements file into one block of lines a package."""
    return [block for block in re.split(r"(?m)^(?=\S)", text) if block.strip()]


def main() -> None:
    command = ["uv", "pip", "compile", "pyproject.toml", "--group", "dev", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--quiet", "--no-config"] + sys.argv[1:]
    compiled = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    base, cuda = [], []
    for block in blocks(compiled):
        name = block.split()[0]
        if name in CPU_BUILDS:
            block = block.rstrip() + "".join(f" \\\n    --hash={digest}" for digest in CPU_BUILDS[name]) + "\n"
        (cuda if CUDA_ONLY.match(block) else base).append(block)
    missing = set(CPU_BUILDS) - {block.split()[0] for block in base}
    if missing:
        raise SystemExit(f"{', '.join(missing)} is not what was resolved: update CPU_BUILDS in .ci/lock.py")
    (ROOT / "requirements.txt").write_text(HEADER + "".join(base))
    (ROOT / "requirements-cuda.txt").write_text(HEADER + "".join(cuda))


if __name__ == "__main__":
    main()

"""Create .venv with the pinned packages: `make` calls this where .venv/.installed is older than a requirements file.

Needs only Python 3.8 or newer and its own library. uv makes the environment: the one on PATH, else one installed into
.cache/uv. Packages come from where pip is set up to look; uv does not read pip's settings, so they are handed on.
"""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV, BOOTSTRAP = ROOT / ".venv", ROOT / ".cache" / "uv"
OLDEST = (3, 11)
PYTHON = getattr(sys, "_base_executable", sys.executable)  # not that of an environment which happens to be active


def pip_settings() -> dict:
    """pip's settings as uv's environment variables; what the reader has set for uv stands."""
    names = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX"}
    names["cert"] = "SSL_CERT_FILE"
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip: all indexes count; hashes say what may be installed
    for name, variable in names.items():
        value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
        for section in ("global", "install"):
            if not value:
                command = [PYTHON, "-m", "pip", "config", "get", section + "." + name]
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                value = done.stdout.decode().strip() if done.returncode == 0 else None
        if value:
            found[variable] = ("," if name == "find-links" else " ").join(value.split())
    return {name: value for name, value in found.items() if name not in os.environ}


def find_uv() -> list:
    """Command of uv: on PATH, installed by an earlier call, or installed now."""
    if shutil.which("uv"):
        return ["uv"]
    here = BOOTSTRAP / "bin" / "uv"
    if not here.exists():
        try:
            subprocess.run([PYTHON, "-m", "venv", str(BOOTSTRAP)], check=True)
            subprocess.run([str(BOOTSTRAP / "bin" / "python"), "-m", "pip", "install", "-q", "uv"], check=True)
        except subprocess.CalledProcessError:  # Debian without python3-venv
            shutil.rmtree(BOOTSTRAP, ignore_errors=True)
            command = [PYTHON, "-m", "pip", "install", "-q", "--target", str(BOOTSTRAP), "uv"]
            if subprocess.run(command).returncode:
                raise SystemExit(
                    "uv could not be installed: install it (`pip install uv`), then run make again"
                ) from None
    return [str(here)]


def main():
    environment = {**os.environ, **pip_settings(), "VIRTUAL_ENV": str(VENV)}
    uv = find_uv()

    def call(*arguments):
        code = subprocess.run([*uv, *arguments], cwd=str(ROOT), env=environment).returncode
        if code:
            raise SystemExit("`uv {}` failed (exit code {})".format(" ".join(arguments), code))

    python = VENV / "bin" / "python"
    if not python.exists():
        wanted = PYTHON if sys.version_info >= OLDEST else ".".join(map(str, OLDEST))
        call("venv", "--quiet", "--python", wanted, str(VENV))
    install = ["pip", "install", "--no-deps", "--python", str(python), "-r"]
    call(*install, "requirements.txt")
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, stdout=subprocess.PIPE, check=True).stdout.decode().strip())
    if runpy.run_path(str(site / "torch" / "version.py"))["cuda"]:
        call(*install, "requirements-cuda.txt")  # what only a CUDA build of torch loads
    (site / "workbook.pth").write_text(str(ROOT) + "\n")  # notebooks in any folder find lib
    (VENV / ".installed").write_text("")


if __name__ == "__main__":
    main()

"""Shared code of the workbook: encoders, metrics, the rendered world, and what three or more notebooks use.

Paths resolve against `ROOT`, never the working directory. Environment variables (all optional):
`WORKBOOK_OUT`      folder where data/ results/ models/ are written and looked for first (default: ROOT)
`WORKBOOK_PROFILE`  smoke, mini, gpu or paper (default: `profile` of params.yaml); set by the runner
`WORKBOOK_RESULTS`  folder that receives the results of the notebook that runs; set by the runner
`WORKBOOK_DEV`      1: validation data stand in for test data and no result is written; set by `lib.run --dev`
`WORKBOOK_REAL`     folder of real data for checks
`WORKBOOK_MIRROR`   folder that fetch stages read instead of the network
"""

import importlib.abc
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ("smoke", "mini", "gpu", "paper")


def out() -> Path:
    """Folder below which data/, results/ and models/ are written."""
    return Path(os.environ.get("WORKBOOK_OUT") or ROOT).resolve()


def find(path: str | Path) -> Path:
    """Resolve a project-relative path: below `out()` if it is there, else below `ROOT` (whether or not it exists)."""
    path = Path(path)
    if path.is_absolute():
        return path
    return out() / path if (out() / path).exists() else ROOT / path


def profile() -> str:
    """Name of the profile that is running: `WORKBOOK_PROFILE`, else `profile` of params.yaml."""
    name = os.environ.get("WORKBOOK_PROFILE")
    if not name:
        line = next(line for line in (ROOT / "params.yaml").read_text().splitlines() if line.startswith("profile:"))
        name = line.split(":", 1)[1].split("#")[0].strip()
    if name not in PROFILES:
        raise ValueError(f"profile '{name}' is unknown; choose one of {', '.join(PROFILES)}")
    return name


def dev() -> bool:
    """Whether validation data stand in for test data (`lib.run --dev`)."""
    return os.environ.get("WORKBOOK_DEV") == "1"


def results_folder(slug: str) -> Path:
    """Folder for a notebook's results: the runner's choice, else .work/<slug>/ (a notebook opened in JupyterLab)."""
    folder = Path(os.environ.get("WORKBOOK_RESULTS") or out() / ".work" / slug)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start(threads: int) -> None:
    """Settle torch so that two runs give the same bits: number of CPU threads, deterministic algorithms.

    One call in a notebook's imports cell. On a GPU an operation that has no deterministic form warns and goes on. What
    must be known before Python starts (hash seed, BLAS threads, cuBLAS workspace) is set by `lib.run`.
    """
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it costs time, and nothing here reads such memory
    torch.backends.cudnn.benchmark = False


class _TorchvisionOperators(importlib.abc.MetaPathFinder):
    """Let torchvision import where its compiled operators were built for another build of torch than the one here.

    Package registries hold only the CUDA build of torchvision for Linux; beside the CPU build of torch its operators do
    not load and `import torchvision` stops at the shape functions of operators that nobody registered. Transforms,
    which are all that open_clip and this project use, need no operator: it is enough to declare those two.
    """

    def find_spec(self, name, path, target=None):
        if name == "torchvision._meta_registrations":
            import torch

            if not hasattr(torch.ops.torchvision, "nms"):
                self.library = torch.library.Library("torchvision", "FRAGMENT")
                for operator in ("nms", "qnms"):
                    self.library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return None


if not any(type(finder).__name__ == "_TorchvisionOperators" for finder in sys.meta_path):
    sys.meta_path.insert(0, _TorchvisionOperators())

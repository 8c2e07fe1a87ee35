"""A toy workbook in a temporary folder: params.yaml, papers.yaml, lib's runner and small notebooks."""

import shutil
from pathlib import Path

import nbformat

import lib

PARAMETERS = 'profile = "mini"\nseeds = [0, 1, 2]\nthreads = 1\nrate = 0.5  # share'
PARAMS = """
profile: mini
shared: {seeds: [0, 1, 2], threads: 1, device: auto}
profiles: {smoke: {seeds: [0], rate: 0.1}, mini: {}, gpu: {rate: 0.2}, paper: {}}
base: {}
papers:
  toy: {rate: 0.5, profiles: {gpu: {rate: 0.9}}}
"""
RECORD = """
import json, lib
folder = lib.results_folder("toy")
(folder / "claims.json").write_text(json.dumps({"rate": rate, "seeds": seeds, "profile": profile}))
(folder / "measurements.csv").write_text("claim,value\\n")
(folder / "figures").mkdir(exist_ok=True)
(folder / "figures" / "one.txt").write_text("drawn")
"""


def notebook(path: Path, *sources: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook of a title, a parameters cell and code cells named `cell-a`, `cell-b`, ..."""
    cells = [
        nbformat.v4.new_markdown_cell("# Toy", id="title"),
        nbformat.v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        *(nbformat.v4.new_code_cell(source.strip(), id=f"cell-{chr(97 + i)}") for i, source in enumerate(sources)),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def workbook(folder: Path, *sources: str, params: str = PARAMS) -> Path:
    """A workbook with one paper, `toy`, whose notebook has these cells (default: one that records)."""
    (folder / "lib").mkdir(parents=True)
    for name in ("__init__", "run", "cells", "shell", "stamps"):
        shutil.copy(lib.ROOT / "lib" / f"{name}.py", folder / "lib")
    (folder / "params.yaml").write_text(params)
    (folder / "papers.yaml").write_text("toy: {title: A toy, group: toys, claims: []}\n")
    notebook(folder / "notebooks" / "toys" / "toy.ipynb", *(sources or (RECORD,)))
    return folder

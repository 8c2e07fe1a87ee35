"""Cells of a notebook as a module, so that tests reach the method that a notebook defines."""

import types

import nbformat

from lib import run


def definitions(slug: str, *tags: str) -> types.ModuleType:
    """Module made of a notebook's cells that carry one of `tags` (default: imports, parameters, method).

    `gda = definitions("gda")` then `gda.precision(...)`. Cells run in the order of the notebook, nothing else runs.
    """
    path = run.notebook(slug)
    wanted = set(tags or ("imports", "parameters", "method"))
    module = types.ModuleType(slug)
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and wanted & set(cell.metadata.get("tags", ())):
            exec(compile(cell.source, f"{path.name}[{cell.id}]", "exec"), module.__dict__)
    return module

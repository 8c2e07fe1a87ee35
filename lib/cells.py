"""Notebooks as data: read them, find and set their parameters, execute them in a kernel, make the result stable.

`lib.shell` executes the same cells without a kernel. A notebook's file is only ever read; what is executed is a copy.
"""

import ast
import copy
import re
import sys
from contextlib import suppress
from pathlib import Path

# nbformat checks notebooks with jsonschema, which loads this grammar (1.7 s) for formats that no notebook has
sys.modules.setdefault("rfc3987_syntax", None)

import nbformat  # noqa: E402

PARAMETERS = "parameters"  # tag of the cell that declares parameters
INJECTED = "injected-parameters"  # tag and id of the cell that sets those that differ


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook without its outputs. Cells that have no id get one from their position."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError) as error:
        raise ValueError(f"{path} is not a notebook: {str(error).splitlines()[0][:200]}") from None
    notebook.nbformat_minor = 5
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{number}")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def declared(notebook: nbformat.NotebookNode) -> dict:
    """Names and default values of the one cell tagged `parameters`. Raises ValueError where a value is no literal."""
    cells = [cell for cell in notebook.cells if PARAMETERS in cell.metadata.get("tags", ())]
    if len(cells) != 1:
        raise ValueError(f"{len(cells)} cells are tagged '{PARAMETERS}'; a notebook has exactly one")
    values = {}
    for node in ast.parse(cells[0].source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        if not isinstance(target, ast.Name):
            raise ValueError(f"line {node.lineno} of the parameters cell is no plain `name = value`")
        try:
            values[target.id] = ast.literal_eval(node.value)
        except ValueError:
            raise ValueError(f"parameter '{target.id}' is no literal: {ast.unparse(node.value)}") from None
    return values


def inject(notebook: nbformat.NotebookNode, values: dict) -> nbformat.NotebookNode:
    """Copy of the notebook with a cell behind the parameters cell that sets what differs from the declared values.

    With nothing to set, the cells stay exactly those of the file: the page of the default profile has no second list.
    """
    notebook, defaults = copy.deepcopy(notebook), declared(notebook)
    lines = [f"{name} = {value!r}" for name, value in values.items() if repr(value) != repr(defaults[name])]
    if lines:
        cell = nbformat.v4.new_code_cell("\n".join(lines), id=INJECTED, metadata={"tags": [INJECTED]})
        place = next(i for i, cell in enumerate(notebook.cells) if PARAMETERS in cell.metadata.get("tags", ()))
        notebook.cells.insert(place + 1, cell)
    return notebook


def execute(notebook: nbformat.NotebookNode, saved: Path, live: bool = True) -> nbformat.NotebookNode:
    """Execute in a fresh kernel through papermill. The file `saved` holds whatever has run, also when a cell fails.

    Prints and progress bars of the cells go to the terminal as they come if `live`. Never raises for a failing cell:
    see `failure`. An interrupt passes through once the kernel is down.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    try:
        with suppress(papermill.PapermillExecutionError):  # the saved file holds the error: see `failure`
            papermill.execute_notebook(
                notebook,
                saved,
                kernel_name="python3",
                progress_bar=False,
                stdout_file=sys.stdout if live else None,
                stderr_file=sys.stderr if live else None,
                extra_arguments=["--log-level=CRITICAL"],  # ipykernel 7 warns at each start
            )
    except DeadKernelError:
        executed = nbformat.read(saved, as_version=4)
        started = [cell for cell in executed.cells if cell.metadata.get("papermill", {}).get("start_time")]
        cell = [cell for cell in started if cell.cell_type == "code"][-1]
        text = "the kernel died while this cell ran (often: out of memory)"
        cell.outputs.append(nbformat.v4.new_output("error", ename="KernelDied", evalue=text, traceback=[text]))
        nbformat.write(executed, saved)
    return nbformat.read(saved, as_version=4)


def failure(notebook: nbformat.NotebookNode) -> dict | None:
    """First cell that failed: {cell, number, of, line, code, error}, or None. `line` and `code` are None if unknown."""
    marks = "papermill-error-cell-tag"
    cells = [cell for cell in notebook.cells if marks not in cell.metadata.get("tags", ())]
    for number, cell in enumerate(cells, 1):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
                line = re.search(r"(?:Cell In\[\d+\]|<ipython-input[^>]*>), line (\d+)", trace)
                line = int(line[1]) if line else None
                lines = cell.source.splitlines()
                code = lines[line - 1].strip() if line and line <= len(lines) else None
                error = f"{output.ename}: {output.evalue}".rstrip(": ")
                return {"cell": cell.id, "number": number, "of": len(cells), "line": line, "code": code, "error": error}
    return None


BAR = re.compile(r"^.*\d+%\|.*\| .*\[[^\]]*\]\s*$|^.*\d+it \[[^\]]*\]\s*$")


def _printed(text: str) -> str:
    """Text as a terminal shows it after carriage returns, without lines that are progress bars."""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(line for line in lines if not BAR.match(line))


def normalise(notebook: nbformat.NotebookNode, replace: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Copy of an executed notebook without what differs between two equal runs.

    Gone: stderr (bars, warnings with paths), progress bars and overwritten text in stdout, the pieces a stream came in,
    widgets, times, memory addresses, random ids of table styles, Python's version, and the texts named in `replace`
    (absolute paths). Pictures are kept as they are: their bytes are stable.
    """
    notebook = copy.deepcopy(notebook)
    language = notebook.metadata.get("language_info", {}).get("name", "python")
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": language}})
    styles = {}

    def plain(text: str, kind: str = "text/plain") -> str:
        for old, new in (replace or {}).items():
            text = text.replace(old, new)
        text = re.sub(r"(?<= at )0x[0-9a-fA-F]{6,}", "0x0", text)
        if kind == "text/html":  # pandas draws five random digits for each styled table
            text = re.sub(r"\bT_([0-9a-f]{5})(?=[_\" ])", lambda m: f"T_{styles.setdefault(m[1], len(styles))}", text)
        return text

    for cell in notebook.cells:
        for key in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type != "code":
            continue
        outputs = []
        for output in cell.outputs:
            if output.output_type == "stream":
                if output.name == "stderr":
                    continue
                if outputs and outputs[-1].output_type == "stream":
                    outputs[-1].text += output.text
                    continue
            elif "data" in output:
                if "application/vnd.jupyter.widget-view+json" in output.data:
                    continue
                for kind, value in output.data.items():
                    if isinstance(value, str):
                        output.data[kind] = plain(value, kind) if kind.startswith("text/") else value.rstrip("\n")
            outputs.append(output)
        for output in outputs:
            if output.output_type == "stream":
                output.text = plain(_printed(output.text))
        cell.outputs = [output for output in outputs if output.output_type != "stream" or output.text]
    return notebook

"""Execute a notebook's cells in this process: no kernel, no papermill, only nbformat and IPython.

For tests (no kernel start for each notebook) and for machines that have little more than torch. Displays, results and
figures become outputs as they would in a kernel; prints also go to the terminal as they come.
"""

import importlib.util
import io
import sys
from binascii import b2a_base64
from contextlib import contextmanager

from lib import cells  # before IPython and nbformat: it shortens their import

# isort: split
import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any, Type
from traitlets.config import Config

INLINE = "module://matplotlib_inline.backend_inline"


def _bundle(kind: str, data: dict, metadata: dict | None, **fields) -> nbformat.NotebookNode:
    data = {
        mime: b2a_base64(value, newline=False).decode() if isinstance(value, bytes) else value
        for mime, value in data.items()
    }
    return nbformat.v4.new_output(kind, data=data, metadata=metadata or {}, **fields)


class _Publisher(DisplayPublisher):
    """Receives what `display(...)` shows."""

    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **kwargs):
        name = (transient or {}).get("display_id")
        if update:
            for output in self.shell.shown.get(name, ()):
                output.update(_bundle("display_data", data, metadata))
            return
        output = _bundle("display_data", data, metadata)
        self.shell.outputs.append(output)
        self.shell.shown.setdefault(name, []).append(output)

    def clear_output(self, wait=False):
        self.shell.outputs.clear()


class _Hook(DisplayHook):
    """Receives the value of a cell's last expression."""

    def write_output_prompt(self):
        pass

    def write_format_data(self, format_dict, md_dict=None):
        result = _bundle("execute_result", format_dict, md_dict, execution_count=self.prompt_count)
        self.shell.outputs.append(result)


class _Shell(InteractiveShell):
    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)
    outputs = Any()  # list of outputs of the cell that runs
    shown = Any()  # display id -> outputs, for updates

    def enable_gui(self, gui=None):
        pass

    def _showtraceback(self, etype, evalue, stb):
        error = {"ename": etype.__name__, "evalue": str(evalue), "traceback": list(stb)}
        self.outputs.append(nbformat.v4.new_output("error", **error))


class _Stream(io.TextIOBase):
    """Writes to the terminal and to the outputs of the running cell."""

    def __init__(self, name: str, shell: _Shell, terminal):
        self.name, self.shell, self.terminal = name, shell, terminal

    def writable(self):
        return True

    def isatty(self):
        return False

    def write(self, text):
        outputs = self.shell.outputs
        if outputs and outputs[-1].output_type == "stream" and outputs[-1].name == self.name:
            outputs[-1].text += text
        elif text:
            outputs.append(nbformat.v4.new_output("stream", name=self.name, text=text))
        if self.terminal is not None:
            self.terminal.write(text)
            self.terminal.flush()
        return len(text)


@contextmanager
def _shell(live: bool):
    """A fresh shell with its own `__main__`, streams and inline figures; everything is put back afterwards."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Context"
    shell = _Shell.instance(config=config)
    shell.outputs, shell.shown = [], {}
    backend = None
    try:
        if importlib.util.find_spec("matplotlib") and importlib.util.find_spec("matplotlib_inline"):
            import matplotlib
            from matplotlib_inline.backend_inline import configure_inline_support

            backend = matplotlib.get_backend() if "matplotlib.pyplot" in sys.modules else "agg"
            configure_inline_support.current_backend = "unset"  # else a second shell gets no figure format
            shell.enable_matplotlib("inline")
        streams = sys.stdout, sys.stderr
        sys.stdout = _Stream("stdout", shell, sys.stdout if live else None)
        sys.stderr = _Stream("stderr", shell, sys.stderr if live else None)
        try:
            yield shell
        finally:
            sys.stdout, sys.stderr = streams
    finally:
        if backend:
            import matplotlib.pyplot

            matplotlib.pyplot.close("all")
            matplotlib.interactive(False)
            matplotlib.pyplot.switch_backend("agg" if backend in ("inline", INLINE) else backend)
        shell.restore_sys_module_state()
        shell._atexit_once()
        _Shell.clear_instance()


def execute(notebook: nbformat.NotebookNode, saved, live: bool = True) -> nbformat.NotebookNode:
    """Execute the cells here, in order, up to the first that fails; same contract as `lib.cells.execute`."""
    notebook = nbformat.from_dict(notebook)
    try:
        with _shell(live) as shell:
            for cell in notebook.cells:
                if cell.cell_type != "code" or not cell.source.strip():
                    continue
                shell.outputs = cell.outputs = []
                result = shell.run_cell(cell.source, store_history=True)
                cell.execution_count = shell.execution_count - 1
                error = result.error_before_exec or result.error_in_exec
                if isinstance(error, KeyboardInterrupt):
                    raise error
                if error is not None:
                    if not any(output.output_type == "error" for output in cell.outputs):
                        shell._showtraceback(type(error), error, [repr(error)])
                    break
    finally:
        cells.write(notebook, saved)
    return notebook

"""Run one notebook: `python -m lib.run gda` executes it with the values of params.yaml.

Values come from params.yaml, later ones winning: shared, profiles.<profile>, the notebook's own section (papers.<slug>
or base.<slug>), that section's `profiles.<profile>`, and `-p name=value`. Of shared and profile values a notebook takes
what its cell tagged `parameters` declares; a name of its own section or after `-p` that it does not declare is an
error.

Results go to results/<profile>/<slug>/. A run writes to a scratch folder and puts it in their place only once all is
there, so that a failed run leaves those of the last good one. Results of `--dev` and of a run with `-p` stay in
.work/<slug>/: they are not those of params.yaml.
"""

import argparse
import difflib
import importlib.util
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import lib
from lib import cells

SECTIONS = ("profile", "shared", "profiles", "base", "papers")  # of params.yaml
RESULTS = ("claims.json", "measurements.csv", "figures")  # what the last cell of a paper's notebook leaves


class Problem(Exception):
    """What the reader can put right; printed without a traceback."""


def read_yaml(path: Path) -> dict:
    """Mapping in a YAML file, by ruamel.yaml or, where that is not installed, by PyYAML: the same values."""
    return _parse(path.read_text(), path.name)


def _parse(text: str, name: str):
    try:
        from ruamel.yaml import YAML, YAMLError

        parse = YAML(typ="safe").load
    except ImportError:
        import yaml

        class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            """PyYAML reads `1e-4` as a string; YAML 1.2 and ruamel.yaml as a number."""

        number = re.compile(r"^[-+]?(\d[\d_]*\.[\d_]*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?$")
        Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789."))

        def parse(text):
            return yaml.load(text, Loader)

        YAMLError = yaml.YAMLError
    try:
        return parse(text)
    except YAMLError as error:
        raise Problem(f"{name} is no valid YAML: {' '.join(str(error).split())}") from None


def nearest(name: str, known) -> str:
    """Hint for a message: the known name that comes closest, else all of them."""
    known = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), known, 1, 0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}"


def notebooks() -> dict[str, Path]:
    """All notebooks by slug: notebooks/<slug>.ipynb and notebooks/<group>/<slug>.ipynb."""
    found = {}
    for path in sorted(lib.ROOT.glob("notebooks/*.ipynb")) + sorted(lib.ROOT.glob("notebooks/*/*.ipynb")):
        if path.parent.name == ".ipynb_checkpoints":
            continue
        if path.stem in found:
            raise Problem(f"two notebooks are named {path.stem}: {found[path.stem]} and {path}")
        found[path.stem] = path
    return found


def notebook(slug: str) -> Path:
    """Path of the notebook named `slug`."""
    found = notebooks()
    if slug not in found:
        raise Problem(f"no notebook is named '{slug}'; {nearest(slug, found)}")
    return found[slug]


def merged(slug: str, profile: str) -> tuple[dict, dict]:
    """All values of params.yaml that hold for a notebook, and those of its own section (with their place as value)."""
    params = read_yaml(lib.ROOT / "params.yaml")
    for name in set(params) - set(SECTIONS):
        raise Problem(f"params.yaml has no section '{name}'; {nearest(name, SECTIONS)}")
    section = "base" if notebook(slug).parent.name == "base" else "papers"
    profiles = params.get("profiles") or {}
    own = dict((params.get(section) or {}).get(slug) or {})
    own_profiles = own.pop("profiles", None) or {}
    for place, names in (("profiles", profiles), (f"{section}.{slug}.profiles", own_profiles)):
        for name in set(names) - set(lib.PROFILES):
            raise Problem(f"params.yaml: {place} has no profile '{name}'; {nearest(name, lib.PROFILES)}")
    own_profile = own_profiles.get(profile) or {}
    values = {**(params.get("shared") or {}), **(profiles.get(profile) or {}), **own, **own_profile, "profile": profile}
    places = dict.fromkeys(own, f"{section}.{slug}")
    places |= {
        name: f"{section}.{slug}.profiles.{other}" for other, some in own_profiles.items() for name in some or ()
    }
    return values, places


def fits(value, default) -> bool:
    """Whether a value has the kind of the declared one: an integer may stand for a float, nothing for a bool."""
    if value is None or default is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple) and all(
            not default or any(fits(one, other) for other in default) for one in value
        )
    return isinstance(value, type(default))


def parameters(slug: str, profile: str | None = None, overrides: dict | None = None) -> dict:
    """Value of every parameter that a notebook declares, under a profile (default: the one of params.yaml).

    Raises Problem for a name of the notebook's own section, or of `overrides`, that it does not declare, and for a
    value of another kind than the declared one.
    """
    values, places = merged(slug, profile or lib.profile())
    try:
        declared = cells.declared(cells.read(notebook(slug)))
    except (ValueError, SyntaxError) as error:
        raise Problem(f"{slug}: {error}") from None
    for name in overrides or {}:
        places[name] = f"-p {name}"
    for name, place in places.items():
        if name not in declared:
            where = place if place.startswith("-p") else f"params.yaml: {place}.{name}"
            raise Problem(f"{where}: the notebook {slug} has no parameter '{name}'; {nearest(name, declared)}")
    values |= overrides or {}
    chosen = {name: values.get(name, default) for name, default in declared.items()}
    for name, value in chosen.items():
        if not fits(value, declared[name]):
            kind = type(declared[name]).__name__
            raise Problem(
                f"{places.get(name, 'params.yaml')}: {name} is {value!r}, but {slug} declares"
                f" {name} = {declared[name]!r} ({kind})"
            )
    return chosen


@contextmanager
def _one_blas_thread():
    """The same for a numpy that this process had loaded before OPENBLAS_NUM_THREADS was set."""
    if "numpy" in sys.modules and importlib.util.find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):
            yield
    else:
        yield


@contextmanager
def environment(profile: str, folder: Path, threads: int, dev: bool):
    """Environment variables of a run, put back afterwards: threads, hash seed, determinism, no network, paths."""
    variables = {
        "WORKBOOK_PROFILE": profile,
        "WORKBOOK_RESULTS": str(folder),
        "WORKBOOK_DEV": "1" if dev else "0",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads sleep; on shared cores spinning takes five times as long
        "OPENBLAS_NUM_THREADS": "1",  # numpy's; a second thread makes small problems up to 15 times slower
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",  # date in SVG and PDF figures
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS is deterministic only with a fixed workspace
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join([str(lib.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "IPYTHONDIR": str(folder.parent / "ipython"),  # nobody's own start-up files
    }
    if profile != "paper":
        variables["HF_HUB_OFFLINE"] = "1"
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        with _one_blas_thread():
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _place(path: Path) -> str:
    """A path as the reader types it: relative to the root where it lies below it."""
    return str(path.relative_to(lib.ROOT)) if path.is_relative_to(lib.ROOT) else str(path)


def _replace(new: Path, old: Path) -> None:
    """Put a folder in the place of another one."""
    old.parent.mkdir(parents=True, exist_ok=True)
    if old.exists():
        old.rename(new.parent / "previous")
    new.rename(old)


def _destination(slug: str, profile: str, dev: bool, changed: bool) -> Path:
    """Folder for the results: below results/ only what params.yaml asks for. Shipped weights are not overwritten."""
    trial = dev or changed
    if notebook(slug).parent.name == "base" and lib.out() == lib.ROOT and (trial or profile == "smoke"):
        raise Problem(f"{slug}: this run would overwrite the shipped models/{slug}; give another folder with --out DIR")
    if trial:
        return lib.out() / ".work" / slug / ("dev" if dev else "try")
    if slug == "summary":  # reads results/: DVC lets no stage write below what it depends on
        return lib.out() / "summary"
    return lib.out() / "results" / profile / slug


def _complaint(executed, folder: Path, expected: tuple) -> str | None:
    """What is wrong with a finished run: the cell that failed, or the results that were not written."""
    failure = cells.failure(executed)
    if failure:
        line = f" at line {failure['line']}: {failure['code']}" if failure["code"] else ""
        return f"cell '{failure['cell']}' ({failure['number']} of {failure['of']}) failed{line}\n  {failure['error']}"
    missing = [name for name in expected if not (folder / name).exists()]
    if missing:
        return (
            f"every cell ran, but {', '.join(missing)} {'was' if len(missing) == 1 else 'were'} not written;"
            f" a paper's notebook saves figures with figures.save and ends in claims.record"
        )
    return None


def _keep(slug: str, saved: Path, kept: Path, destination: Path, reason: str) -> str:
    """Keep the notebook as far as it ran; the message says what happened and where to look."""
    lines = [f"{slug}: {reason}"]
    if saved.exists():
        shutil.copyfile(saved, kept)
        lines.append(f"as far as it ran: {_place(kept)}")
    if destination.exists() and any(destination.iterdir()):
        lines.append(f"{_place(destination)} is as it was before")
    return "\n  ".join(lines)


def run(
    slug: str,
    profile: str | None = None,
    *,
    in_process: bool = False,
    dev: bool = False,
    overrides: dict | None = None,
    keep: bool = False,
    quiet: bool = False,
) -> Path:
    """Execute a notebook and return the folder with its results and the executed notebook.

    `in_process` needs no kernel. `overrides` are values for this run; its results stay in .work unless `keep`.
    Raises Problem if a value, a cell or a result is not as it should be.
    """
    profile = profile or lib.profile()
    if profile not in lib.PROFILES:
        raise Problem(f"profile '{profile}' is unknown; {nearest(profile, lib.PROFILES)}")
    values = parameters(slug, profile, overrides)
    threads = {**merged(slug, profile)[0], **values}.get("threads", 2)
    destination = _destination(slug, profile, dev, bool(overrides) and not keep)
    papers = lib.ROOT / "papers.yaml"
    paper = papers.exists() and slug in (read_yaml(papers) or {})
    prepared = cells.inject(cells.read(notebook(slug)), values)
    work = lib.out() / ".work" / slug
    work.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=work))
    folder, saved = scratch / "results", scratch / f"{slug}.ipynb"
    folder.mkdir()
    start = time.monotonic()
    try:
        with environment(profile, folder, threads, dev):
            if in_process:
                from lib.shell import execute
            else:
                from lib.cells import execute
            executed = execute(prepared, saved, live=not quiet)
        complaint = _complaint(executed, folder, RESULTS if paper and not dev else ())
        if complaint:
            raise Problem(_keep(slug, saved, work / "failed.ipynb", destination, complaint))
        paths = {str(folder): f"results/{profile}/{slug}", f"{lib.out()}/": "", f"{lib.ROOT}/": ""}
        cells.write(cells.normalise(executed, paths), folder / f"{slug}.ipynb")
        _replace(folder, destination)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_keep(slug, saved, work / "stopped.ipynb", destination, "stopped")) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    count = sum(cell.cell_type == "code" for cell in prepared.cells)
    print(f"{slug} ({profile}): {count} cells in {time.monotonic() - start:.0f} s -> {_place(destination)}", flush=True)
    return destination


def _override(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"'{text}' is not name=value")
    try:
        return name, _parse(value, f"-p {name}")
    except Problem as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0 done, 1 failed, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m lib.run", description="Run one notebook and write its results.")
    parser.add_argument("slug", help="file name of the notebook without .ipynb")
    parser.add_argument("--profile", choices=lib.PROFILES, help="default: the profile of params.yaml")
    parser.add_argument("--in-process", action="store_true", help="without a kernel: needs only nbformat and IPython")
    parser.add_argument("--dev", action="store_true", help="validation in place of test data; nothing below results/")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder for data/ results/ models/ (WORKBOOK_OUT)")
    parser.add_argument(
        "-p", dest="overrides", metavar="NAME=VALUE", type=_override, action="append", default=[],
        help="a parameter for this run (YAML); its results stay in .work/<slug>/try/ unless --out is given",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no prints or progress bars of the cells")
    options = parser.parse_args(arguments)
    if options.out:
        os.environ["WORKBOOK_OUT"] = str(options.out.resolve())
    if options.in_process and arguments is None and os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"  # read once, when Python starts: start again
        sys.stdout.flush()
        os.execv(sys.executable, sys.orig_argv)

    def stop(*_):
        raise KeyboardInterrupt

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    try:
        run(
            options.slug, options.profile, in_process=options.in_process, dev=options.dev,
            overrides=dict(options.overrides), keep=bool(options.out), quiet=options.quiet,
        )  # fmt: skip
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or options.slug + ': stopped'}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

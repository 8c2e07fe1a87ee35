"""Stamps: per notebook, the digests of all it takes from lib/ and papers.yaml: `python -m lib.stamps` writes stamps/.

A stage of dvc.yaml depends on its stamp instead of on the whole of lib/: editing one module, table or verdict rule
reruns the notebooks that use it and no other. Modules are found by reading import statements, those inside functions
included, and following them; a module named by a string (`importlib.import_module`) is not found. With a module of a
package come the data tables beside it (its folder tables/). Text is compared as bytes, so that every Python agrees.
"""

import ast
import hashlib
import json
import re
from pathlib import Path

import lib
from lib import cells, run

COMMANDS = ("lib.world.corpora",)  # modules that a stage runs itself


def digest(data: bytes) -> str:
    """First 16 hex digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def path(name: str) -> Path | None:
    """File of the module `lib...`, None if there is none."""
    base = lib.ROOT.joinpath(*name.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.exists()), None)


def imported(source: str, package: str = "") -> set[str]:
    """Names below `lib` that import statements mention: "lib.text" for `from lib.text import templates`.

    Where the last part may be a module or something in one, both are named. `package` resolves relative imports.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in names if name == "lib" or name.startswith("lib.")}


def closure(names: set[str]) -> dict[str, Path]:
    """Modules below `lib` that load when these do: with their packages and all that they import, at any depth."""
    found: dict[str, Path] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        file = path(name)  # none: something inside a module, or a module that is not there
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent and parent not in found else []
        if file is None or name in found:
            continue
        found[name] = file
        try:
            waiting += sorted(imported(file.read_text(), name if file.name == "__init__.py" else parent))
        except SyntaxError as error:
            raise run.Problem(f"{file.relative_to(lib.ROOT)} line {error.lineno}: {error.msg}") from None
    return found


def stamp(names: set[str], slug: str | None = None) -> str:
    """Lines "digest  path" of modules, their tables, and the section of papers.yaml that bears this slug."""
    files = set(closure(names | {"lib"}).values())
    tables = {folder for file in files for folder in [file.parent / "tables"] if folder.is_dir()}
    files |= {
        file for folder in tables for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    lines = {file.relative_to(lib.ROOT).as_posix(): digest(file.read_bytes()) for file in files}
    section = (run.read_yaml(lib.ROOT / "papers.yaml") or {}).get(slug) if slug else None
    if section is not None:
        lines[f"papers.yaml {slug}"] = digest(json.dumps(section, sort_keys=True, default=str).encode())
    return "".join(f"{value}  {name}\n" for name, value in sorted(lines.items()))


def notebook_imports(file: Path) -> set[str]:
    """Names below `lib` that a notebook's code cells import."""
    names = set()
    for cell in cells.read(file).cells:
        if cell.cell_type == "code":
            source = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", cell.source)  # magics are no Python
            try:
                names |= imported(source)
            except SyntaxError as error:
                where = f"{file.relative_to(lib.ROOT)}, cell '{cell.id}', line {error.lineno}"
                raise run.Problem(f"{where}: {error.msg}") from None
    return names


def main() -> None:
    """Write all stamps; a stamp that stays the same is not touched, one whose notebook is gone is removed."""
    stamps = {slug: stamp(notebook_imports(file), slug) for slug, file in run.notebooks().items()}
    stamps |= {name: stamp({name}) for name in COMMANDS}
    folder = lib.ROOT / "stamps"
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.txt"):
        if file.stem not in stamps:
            file.unlink()
    for name, text in stamps.items():
        file = folder / f"{name}.txt"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


if __name__ == "__main__":
    try:
        main()
    except run.Problem as problem:
        raise SystemExit(str(problem)) from None

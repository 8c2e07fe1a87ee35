"""Rows of a corpus as files: one .npy per numeric field, one .jsonl per field of strings, lists or scenes.

The type of a value says where it goes: arrays of two or more axes and of a fixed shape are stacked, fields of `RAGGED`
are laid end to end with a second file of lengths, numbers and bools become one column, the rest lines of JSON.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

RAGGED = ("frames", "bounds")  # fields whose arrays differ in length; <field>.lengths.npy has the lengths
PARALLEL = 600  # rows from which two processes share the work


def in_order(function: Callable, calls: list[tuple]) -> Iterator[dict]:
    """Results of `function(*call)` in the order of `calls`, drawn by two processes where there are many."""
    if len(calls) < PARALLEL or sys.platform != "linux" or (os.cpu_count() or 1) < 2:
        yield from (function(*call) for call in calls)
        return
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        yield from pool.imap(_Call(function), calls, chunksize=32)


class _Call:
    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, arguments: tuple):
        return self.function(*arguments)


def write(rows: Iterable[dict], folder: Path, count: int | None) -> int:
    """Write rows into a new folder; `count` of them where that is known beforehand. Returns their number."""
    folder.mkdir(parents=True)
    stacks: dict[str, np.memmap] = {}
    columns: dict[str, list] = {}
    number = 0
    for number, row in enumerate(rows, 1):
        for key, value in row.items():
            if isinstance(value, np.ndarray) and value.ndim > 1 and key not in RAGGED and count:
                if key not in stacks:
                    shape = (count, *value.shape)
                    stacks[key] = np.lib.format.open_memmap(folder / f"{key}.npy", "w+", value.dtype, shape)
                stacks[key][number - 1] = value
            else:
                columns.setdefault(key, []).append(value)
    for stack in stacks.values():
        stack.flush()
    for key, values in columns.items():
        _write_column(folder, key, values)
    return number


def _write_column(folder: Path, key: str, values: list) -> None:
    first = values[0]
    if key in RAGGED:
        np.save(folder / f"{key}.npy", np.concatenate(values))
        np.save(folder / f"{key}.lengths.npy", np.array([len(value) for value in values], np.int64))
    elif isinstance(first, np.ndarray):
        np.save(folder / f"{key}.npy", np.stack(values))
    elif isinstance(first, (bool, int, float, np.bool_, np.integer, np.floating)):
        kind = (
            bool if isinstance(first, (bool, np.bool_)) else np.int64 if isinstance(first, (int, np.integer)) else "f4"
        )
        np.save(folder / f"{key}.npy", np.array(values, kind))
    else:
        (folder / f"{key}.jsonl").write_text("\n".join(map(_line, values)) + "\n")


def _line(value) -> str:
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, (list, tuple)) and value and hasattr(value[0], "to_json"):
        return f"[{','.join(one.to_json() for one in value)}]"
    return json.dumps(value)


def digest(folder: Path) -> str:
    """First 16 hex digits over the names and bytes of all files of a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]

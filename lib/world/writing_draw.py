"""Seeds, draws and tables shared by the modules that write texts without pictures."""

import csv
import zlib
from functools import cache

import numpy as np

from lib.world import kb

SEED = 0


def generator(*key) -> np.random.Generator:
    """The generator of a text: words of the key count by their CRC-32, numbers by themselves."""
    numbers = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([SEED, *numbers])))


class Draw:
    """Uniform numbers of one generator, drawn in blocks because single draws are slow."""

    def __init__(self, *key):
        self.rng, self.block = generator(*key), iter(())

    def __call__(self) -> float:
        for value in self.block:
            return value
        self.block = iter(self.rng.random(64).tolist())
        return next(self.block)

    def below(self, bound: int) -> int:
        """An integer in 0..bound-1."""
        return int(self() * bound)

    def choose(self, options, weights=None):
        """One of a sequence, uniformly or by weights that need not sum to one."""
        if weights is None:
            return options[int(self() * len(options))]
        target = self() * sum(weights)
        for option, weight in zip(options, weights):
            target -= weight
            if target < 0:
                return option
        return options[len(weights) - 1]

    def several(self, options, count: int) -> list:
        """`count` different ones of a sequence, in random order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """Rows of tables/writing/<name>.csv."""
    with open(kb.TABLES / "writing" / f"{name}.csv", newline="", encoding="ascii") as file:
        return tuple(csv.DictReader(file))


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names of one list of tables/writing/names.csv."""
    return tuple(row["name"] for row in table("names") if row["list"] == kind)


def known_split(split: str, splits) -> str:
    """`split`, if it is one of `splits`. Raises ValueError with the known ones."""
    if split not in splits:
        raise ValueError(f"split '{split}' is unknown; choose one of {', '.join(splits)}")
    return split

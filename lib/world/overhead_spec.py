"""What an overhead scene is made of: its dataclasses, tables and the geometry that sampling and drawing share."""

import csv
import dataclasses
import json
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from lib.world import optics
from lib.world.atlas import TABLES

LANDS = ("harbour", "forest", "farm", "town", "airport", "desert", "river", "car park")
ORDER = ("field", "pond", "road", "runway", "pier", "bridge", "ship", "car", "rock", "plane", "house", "tree")
COLOURS = {
    "white": (238, 238, 232), "red": (206, 54, 44), "grey": (138, 142, 148), "blue": (62, 100, 168),
    "black": (46, 46, 52), "yellow": (228, 190, 60), "brown": (118, 84, 58),
}  # fmt: skip
THINGS = {  # kind -> px between centres
    "ship": 7.5, "tree": 5.0, "house": 9.5, "plane": 12.0, "car": 5.5, "rock": 5.0,
}  # fmt: skip
SIZES = {"ship": (10, 14), "tree": (4, 7), "house": (7, 10), "plane": (10, 13), "car": (5, 6), "rock": (3, 6)}
LAYOUTS = ("scattered", "in a row", "in a cluster")


@dataclass(frozen=True)
class Item:
    """One thing on the land, wholly inside the picture unless it is a road, runway or field."""

    kind: str  # of THINGS, or pier, bridge, runway, road, pond, field
    x: float  # centre, fractions of the side from the top left
    y: float
    angle: float = 0.0  # degrees, clockwise
    size: float = 6.0  # px: length (diameter of trees, rocks and ponds; width of roads and runways)
    width: float = 0.0  # px, of piers, bridges and fields
    colour: str = ""  # of ships, houses, planes and cars, a key of COLOURS


@dataclass(frozen=True)
class Overhead:
    """A picture from above."""

    land: str = "farm"  # of LANDS
    items: tuple = ()  # of Item, drawn in the order of ORDER
    ground: str = "green"  # of tables/overhead.csv: colours of soil, trees and water
    angle: float = 0.0  # degrees by which the layout is turned
    layout: tuple = ()  # (kind, one of LAYOUTS) pairs
    noise: int = 0

    def to_json(self) -> str:
        """Compact JSON; `from_json` restores an equal Overhead."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Overhead":
        """Inverse of `to_json`."""
        values = json.loads(text)
        items = tuple(Item(**item) for item in values.pop("items"))
        return cls(**values | {"items": items, "layout": tuple(map(tuple, values["layout"]))})


@cache
def grounds() -> dict[str, dict[str, np.ndarray]]:
    """Rows of tables/overhead.csv: ground -> {"low", "high", "tree_low", ...: int32 [3] RGB}."""
    with open(TABLES / "overhead.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row.pop("ground"): {key: np.array(tuple(bytes.fromhex(value)), np.int32) for key, value in row.items()}
        for row in rows
    }


class Plan:
    """Unnamed geometry of a land, from its noise number: what sampling and drawing must agree on. Lengths in px."""

    def __init__(self, land: str, noise: int):
        draw = (optics.generator(noise).integers(0, 1001, 12) / 1000).tolist()
        self.land = land
        self.wave = 0.4 + 2.2 * draw[1]  # amplitude of a shore
        self.period = 30 + 50 * draw[2]
        self.phase = draw[3]
        self.level = (
            -10 + 24 * draw[0] if land == "harbour" else 13 + 9 * abs(2 * draw[0] - 1)
        )  # of the shore, of a runway
        self.pitch = 19 + 7 * draw[4]  # of streets
        self.shift = (draw[5] - 0.5) * 14
        self.half = 5 + 9 * draw[6] * draw[6]  # width of a river
        self.swing = 2 + 8 * draw[7]
        self.extent = 21 + 9 * draw[8]  # of a car park
        self.aisle = 8 + 2 * draw[9]
        self.coarse = draw[10]
        self.reach = 16 + 12 * draw[11]  # of an apron
        self.side = draw[0] < 0.5  # of the runway
        self.taxiway = self.level - 9 - 3 * draw[1]

    def course(self, u: float) -> float:
        """Middle of the river at u."""
        return self.swing * math.sin(2 * math.pi * (u / self.period + self.phase))

    def block(self, k: int) -> float:
        """Middle of a block of a town."""
        return self.shift + self.pitch * (k + 0.5) + 1.2

    def apron(self, u: float, v: float) -> bool:
        """Whether a place lies well on the paved part of an airport."""
        return abs(u - self.shift) < self.reach - 4 and (v if self.side else -v) < self.taxiway - 5

    def rows(self) -> list[float]:
        """Middles of the rows of bays of a car park."""
        step = 2 * 6.5 + self.aisle
        return [k * step + self.shift + half for k in range(-3, 4) for half in (-3.3, 3.3)]

    def bays(self) -> list[float]:
        return [k * 4.8 + self.shift / 3 for k in range(-8, 9)]

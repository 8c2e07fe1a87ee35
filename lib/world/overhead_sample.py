"""Draws `overhead.Overhead` scenes at random: where things stand on each kind of land."""

import math

import numpy as np

from lib.world.overhead_spec import LANDS, LAYOUTS, SIZES, THINGS, Item, Overhead, Plan, grounds
from lib.world.spec import SIDE


class _Builder:
    """A scene in the making: places things in the turned frame (u, v px from the centre), keeping them apart."""

    def __init__(self, land: str, rng: np.random.Generator):
        self.rng, self.land = rng, land
        self.items: list[Item] = []
        self.taken: list[tuple] = []  # x, y, reach in px
        self.layout: list[tuple] = []
        self.angle = round(float(rng.uniform(0, 360)), 1)
        self.noise = int(rng.integers(1 << 31))
        self.plan = Plan(land, self.noise)
        turn = math.radians(self.angle)
        self.cos, self.sin = math.cos(turn), math.sin(turn)

    def within(self, low: int, high: int) -> int:
        """A whole number in low..high."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, rate: float) -> bool:
        return bool(self.rng.random() < rate)

    def span(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def picture(self, u: float, v: float) -> tuple[float, float]:
        """Turned frame -> px from the top left."""
        return SIDE / 2 + u * self.cos - v * self.sin, SIDE / 2 + u * self.sin + v * self.cos

    def put(self, kind: str, u: float, v: float, turn: float = 0.0, size: float = 6.0, width: float = 0.0,
            colour: str = "", reach: float | None = None, edge: float | None = None) -> bool:  # fmt: skip
        """Place a thing unless it touches another or the border. `reach` px are kept free around its centre."""
        x, y = self.picture(u, v)
        reach = THINGS.get(kind, size) / 2 if reach is None else reach
        edge = size / 2 if edge is None else edge
        if not (edge <= x <= SIDE - edge and edge <= y <= SIDE - edge):
            return False
        if any(math.hypot(x - ox, y - oy) < reach + other for ox, oy, other in self.taken):
            return False
        self.items.append(Item(kind, round(x / SIDE, 4), round(y / SIDE, 4), round((self.angle + turn) % 360, 1),
                               round(size, 1), round(width, 1), colour))  # fmt: skip
        if reach > 0:
            self.taken.append((x, y, reach))
        return True

    def road(self, place: float, turn: float = 0.0, size: float = 3.5, kind: str = "road") -> None:
        """A band right through the picture: along u at v = place, or with turn 90 along v at u = place."""
        u, v = (place, 0.0) if turn else (0.0, place)
        self.put(kind, u, v, turn, size, reach=0.0, edge=0.0)

    def things(self, kind: str, number: int, fits=lambda u, v: True, turn: float | None = None, how: str = "") -> None:
        """Place up to `number` things where `fits(u, v)`, at angle `turn` of the frame or any, in one of LAYOUTS."""
        colour = self.colour(kind)
        mixed = self.chance(0.4)
        how = how or LAYOUTS[int(self.rng.choice(3, p=(0.5, 0.25, 0.25)))]
        alone = not any(item.kind == kind for item in self.items)
        before, taken = len(self.items), len(self.taken)
        for attempt in range(16 if how != "scattered" and number > 2 else 0):
            self._place(kind, number, self._spots(kind, number, how), fits, turn, "" if mixed else colour)
            if len(self.items) - before >= (number if attempt < 8 else 3):
                break
            del self.items[before:], self.taken[taken:]
        else:
            how = "scattered"
            spots = ((self.span(-34, 34), self.span(-34, 34)) for _ in range(240))
            self._place(kind, number, spots, fits, turn, "" if mixed else colour)
        if len(self.items) - before >= 3 and alone:
            self.layout.append((kind, how))

    def _place(self, kind: str, number: int, spots, fits, turn: float | None, colour: str) -> None:
        goal = len(self.items) + number
        for u, v in spots:
            if len(self.items) == goal:
                return
            if fits(u, v):
                heading = self.span(0, 360) if turn is None else turn
                self.put(kind, u, v, heading, self.span(*SIZES[kind]), colour=colour or self.colour(kind))

    def _spots(self, kind: str, number: int, how: str):
        """Places of one row or one cluster."""
        gap, u, v = THINGS[kind] + 0.6, self.span(-28, 28), self.span(-28, 28)
        if how == "in a row":
            turn = self.span(0, math.pi)
            return ((u + k * gap * math.cos(turn), v + k * gap * math.sin(turn)) for k in range(number))
        reach = 0.8 * gap * math.sqrt(number) + 1
        return ((u + self.span(-reach, reach), v + self.span(-reach, reach)) for _ in range(8 * number))

    def colour(self, kind: str) -> str:
        names = {
            "ship": ("white", "red", "grey", "blue"),
            "car": ("white", "red", "blue", "grey", "black", "yellow"),
            "plane": ("white", "grey", "blue", "red"),
            "house": ("red", "brown", "grey", "white", "blue"),
        }
        return str(self.rng.choice(names[kind])) if kind in names else ""

    def frame(self, item: Item) -> tuple[float, float]:
        """Centre of a thing in the turned frame."""
        x, y = (item.x - 0.5) * SIDE, (item.y - 0.5) * SIDE
        return x * self.cos + y * self.sin, y * self.cos - x * self.sin

    def off_roads(self, gap: float = 6.0):
        """Whether a place keeps clear of the roads and runways put so far."""
        bands = [(*self.frame(item), item) for item in self.items if item.kind in ("road", "runway")]

        def fits(u: float, v: float) -> bool:
            for bu, bv, band in bands:
                turn = math.radians(band.angle - self.angle)
                if abs((v - bv) * math.cos(turn) - (u - bu) * math.sin(turn)) < gap + band.size / 2:
                    return False
            return True

        return fits

    def scene(self, ground: str) -> Overhead:
        return Overhead(self.land, tuple(self.items), ground, self.angle, tuple(self.layout), self.noise)


def sample(rng: np.random.Generator, land: str | None = None) -> Overhead:
    """Draw a scene; `land` fixes the kind of land (LANDS), else it is drawn too."""
    land = str(rng.choice(LANDS)) if land is None else land
    if land not in LANDS:
        raise ValueError(f"land '{land}' is unknown; choose one of {', '.join(LANDS)}")
    build = _Builder(land, rng)
    {"harbour": _harbour, "forest": _forest, "farm": _farm, "town": _town, "airport": _airport, "desert": _desert,
     "river": _river, "car park": _car_park}[land](build)  # fmt: skip
    return build.scene(str(rng.choice(list(grounds()))))


def _harbour(build: _Builder) -> None:
    shore = build.plan.level
    for k in range(build.within(1, 3)):
        length, u = build.span(14, 22), (k - 1) * 17 + build.span(-3, 3)
        build.put("pier", u, shore + length / 2 - 1, 90, length, 3.0, reach=0.0, edge=2.0)
    piers = [build.frame(item) for item in build.items]
    for u, v in piers if build.chance(0.5) else ():  # moored ships
        for side in (-4.6, 4.6):
            if build.chance(0.75):
                build.put("ship", u + side, v + build.span(-2, 4), 90, build.span(10, 13), colour=build.colour("ship"))

    def open_water(u: float, v: float) -> bool:
        return v > shore + 6 and all(abs(u - pu) > 8 or v > pv + 18 for pu, pv in piers)

    def ashore(u: float, v: float) -> bool:
        return v < shore - 8

    build.things("ship", build.within(1, 6), open_water)
    build.things("house", build.within(0, 5), ashore, 0)
    build.things("tree", build.within(0, 6), ashore)
    build.things("car", build.within(0, 4), ashore)


def _forest(build: _Builder) -> None:
    if build.chance(0.5):
        build.road(build.span(-18, 18), 0, 3.0)
    off = build.off_roads()
    if build.chance(0.45):
        build.put("pond", build.span(-16, 16), build.span(-16, 16), 0, build.span(12, 19))
    build.things("house", build.within(0, 4), off)
    build.things("car", build.within(0, 2), lambda u, v: not off(u, v), 0)
    build.things("rock", build.within(0, 4), off)


def _farm(build: _Builder) -> None:
    road, wide, high = build.span(-6, 6), build.span(17, 24), build.span(13, 19)
    if build.chance(0.6):
        build.road(road, 0, 3.0)
    off = build.off_roads()
    for row in (-2, -1, 0, 1):
        away = 3.2 + high / 2 + (row if row >= 0 else -1 - row) * (high + 1.5)
        for column in (-1, 0, 1):
            if build.chance(0.62):
                u, v = column * (wide + 1.5) + build.plan.shift, road + (away if row >= 0 else -away)
                build.put("field", u, v, 0, wide, high, reach=0.0, edge=4.0)
    fields = [build.frame(item) for item in build.items if item.kind == "field"]

    def free(u: float, v: float, gap: float = 3.0) -> bool:
        return off(u, v) and all(abs(u - fu) > wide / 2 + gap or abs(v - fv) > high / 2 + gap for fu, fv in fields)

    spots = [(build.span(-22, 22), build.span(-22, 22)) for _ in range(build.within(0, 8))]
    any(free(u, v, 6.0) and build.put("pond", u, v, 0, build.span(9, 12)) for u, v in spots)
    build.things("house", build.within(1, 4), free, 0)
    build.things("tree", build.within(0, 9), free)
    build.things("car", build.within(0, 2), lambda u, v: not off(u, v), 0)


def _town(build: _Builder) -> None:
    plan = build.plan
    if build.chance(0.3):
        u, v = plan.block(build.within(-1, 0)), plan.block(build.within(-1, 0))
        build.put("pond", u, v, 0, build.span(9, 12))

    def beside(u: float, v: float) -> bool:
        return all(5.6 < (w - plan.shift) % plan.pitch < plan.pitch - 5.6 + 3 for w in (u, v))

    def street(u: float, v: float) -> bool:
        return (v - plan.shift) % plan.pitch < 2.6 and (v - plan.shift) % plan.pitch > 0.6

    build.things("house", build.within(7, 20), beside, 0, "scattered")
    build.layout.clear()
    build.things("tree", build.within(0, 9), beside)
    build.things("car", build.within(0, 5), street, 0)


def _airport(build: _Builder) -> None:
    plan = build.plan
    runway = plan.level if plan.side else -plan.level
    build.road(runway, 0, build.span(6.5, 8.5), "runway")
    if build.chance(0.3):
        build.road((-1 if build.chance(0.5) else 1) * build.span(25, 29), 90, 7.0, "runway")
    off = build.off_roads(6.5)
    if build.chance(0.3):
        build.put("plane", build.span(-18, 18), runway, 0, build.span(10, 13), colour=build.colour("plane"))
    build.things("plane", build.within(1, 8), plan.apron, 90.0 if build.chance(0.5) else None)
    build.things("house", build.within(0, 3), off, 0)
    build.things("tree", build.within(0, 6), lambda u, v: off(u, v) and abs(u - plan.shift) > plan.reach + 3)
    build.things("car", build.within(0, 5), plan.apron)


def _desert(build: _Builder) -> None:
    if build.chance(0.4):
        build.road(build.span(-18, 18), 0 if build.chance(0.5) else 90, 3.0)
    off = build.off_roads()
    if build.chance(0.35):
        build.put("pond", build.span(-16, 16), build.span(-16, 16), 0, build.span(10, 17))
    build.things("rock", build.within(0, 9), off)
    build.things("tree", build.within(0, 7), off)
    build.things("house", build.within(0, 3), off)
    build.things("car", build.within(0, 3), turn=0)


def _river(build: _Builder) -> None:
    plan = build.plan
    for _ in range(build.within(0, 2)):
        u = build.span(-22, 22)
        apart = all(abs(u - build.frame(item)[0]) > 12 for item in build.items)
        if apart and build.put("bridge", u, plan.course(u), 90, 2 * plan.half + 8, 5.5, reach=0.0, edge=3.0):
            build.road(u, 90)
    off = build.off_roads()
    build.things("ship", build.within(0, 5), lambda u, v: abs(v - plan.course(u)) < plan.half - 3 and off(u, v), 0)

    def dry(u: float, v: float) -> bool:
        return abs(v - plan.course(u)) > plan.half + 7 and off(u, v)

    build.things("house", build.within(0, 6), dry)
    build.things("tree", build.within(0, 9), dry)
    build.things("car", build.within(0, 2), lambda u, v: dry(u, v) or not off(u, v), 90)
    build.things("rock", build.within(0, 3), dry)


def _car_park(build: _Builder) -> None:
    plan = build.plan
    bays = [(u, v) for v in plan.rows() for u in plan.bays() if abs(u) < plan.extent and abs(v) < plan.extent]
    number = build.within(3, 24)
    one, mixed = build.colour("car"), build.chance(0.8)
    for k in build.rng.permutation(len(bays))[: 3 * number]:
        if build.items and len(build.items) >= number:
            break
        build.put("car", *bays[k], 90, build.span(5, 6), colour=build.colour("car") if mixed else one, reach=1.5)
    build.things("house", build.within(0, 2), lambda u, v: max(abs(u), abs(v)) > plan.extent + 6.5, 0)
    build.things("tree", build.within(0, 8), lambda u, v: max(abs(u), abs(v)) > plan.extent + 5)

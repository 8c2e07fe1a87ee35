"""What differs between two scenes, as tuples: the judge's side of change texts.

`differences` compares two Specs; objects are the same where they are equal, else where their `noise` is, else in order.
A change is ("change", kind, name, old, new) as `parse` gives it (see grammar_parse_change).
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_parse import parse
from lib.world.spec import Object, Spec

KINDS = (
    "add", "remove", "replace", "count", "recolour", "refill", "resize", "move", "turn", "mirror", "state", "swap",
    "word", "light", "background", "viewpoint",
)  # fmt: skip


class Change(NamedTuple):
    """One difference. `old` and `new` are values, "" where there is none; `thing` is the object, of the later scene
    where it is there; `place` its position in the scene that has it."""

    kind: str
    name: str
    old: object = ""
    new: object = ""
    thing: Object | None = None
    place: str = ""

    @property
    def tuple(self) -> tuple:
        """("change", kind, name, old, new)."""
        return "change", self.kind, self.name, self.old, self.new


def pairs(before: Spec, after: Spec) -> list[tuple[int | None, int | None]]:
    """Indices of the same object in both scenes, (i, None) where it is gone, (None, j) where it is new."""
    left, right = list(range(len(before.objects))), list(range(len(after.objects)))
    found: list[tuple] = []
    noises = Counter(o.noise for o in before.objects), Counter(o.noise for o in after.objects)
    tests = (
        lambda a, b: a == b,
        lambda a, b: a.noise == b.noise and noises[0][a.noise] == noises[1][b.noise] == 1 and a.noise != 0,
        lambda a, b: a.name == b.name and (a.x, a.y) == (b.x, b.y),
        lambda a, b: (a.x, a.y, a.radius) == (b.x, b.y, b.radius),
        lambda a, b: a.name == b.name and len(before.objects) == len(after.objects),
    )
    for same in tests:
        for i in list(left):
            j = next((j for j in right if same(before.objects[i], after.objects[j])), None)
            if j is not None:
                left.remove(i)
                right.remove(j)
                found.append((i, j))
    return sorted(found) + [(i, None) for i in left] + [(None, j) for j in right]


def differences(before: Spec, after: Spec, kinds: Iterable[str] | None = None) -> list[Change]:
    """Every named difference, in the order of `KINDS`.

    `kinds` keeps only these (kinds of `edit.Op`; "swap relation" and the like are what they do). Where "viewpoint" or
    "light" is not among them, a moved camera and a changed light are nuisance. Raises ValueError for an unknown kind.
    """
    wanted = set(KINDS) if kinds is None else set()
    for kind in kinds or ():
        if kind == "none":
            continue
        found = {"swap subject": {"replace"}, "swap object": {"replace"}, "swap attribute": {"recolour", "refill"},
                 "swap relation": {"swap", "move"}}.get(kind, {kind})  # fmt: skip
        if not found <= set(KINDS):
            raise ValueError(f"change '{kind}' is unknown; choose of {', '.join((*KINDS, 'none'))}")
        wanted |= found
    changes = _of_objects(before, after, "count" in wanted) + _of_scene(before, after)
    return sorted((one for one in changes if one.kind in wanted), key=lambda one: KINDS.index(one.kind))


def _of_objects(before: Spec, after: Spec, counted: bool) -> list[Change]:
    kept = pairs(before, after)
    gone = [i for i, j in kept if j is None]
    new = [j for i, j in kept if i is None]
    found, counts = [], set()
    if counted:
        for name in dict.fromkeys([before.objects[i].name for i in gone] + [after.objects[j].name for j in new]):
            numbers = tuple(sum(o.name == name for o in spec.objects) for spec in (before, after))
            if min(numbers) > 0 and numbers[0] != numbers[1]:
                thing = next(o for o in after.objects if o.name == name)
                found.append(Change("count", kb.primary(name), *numbers, thing))
                counts.add(name)
    for kind, spec, indices in (("remove", before, gone), ("add", after, new)):
        for thing in (spec.objects[i] for i in indices):
            if thing.name not in counts:
                found.append(Change(kind, kb.primary(thing.name), thing=thing, place=truth.position(thing)))
    same = [(i, j) for i, j in kept if i is not None and j is not None]
    swapped = _swapped([(before.objects[i], after.objects[j]) for i, j in same])
    if swapped:
        a, b = swapped
        found.append(Change("swap", kb.primary(a.name), "", kb.primary(b.name), a))
    for i, j in same:
        a, b = before.objects[i], after.objects[j]
        found += [one for one in _of_one(a, b) if one.kind != "move" or b not in swapped]
        states = [truth.states(spec, index)[-1] for spec, index in ((before, i), (after, j))]
        if states[0] != states[1]:
            found.append(Change("state", kb.primary(b.name), *states, b, truth.position(b)))
    return found


def _swapped(same: list[tuple[Object, Object]]) -> tuple:
    """Two objects that have exchanged places, as they are afterwards."""
    moved = [(a, b) for a, b in same if (a.x, a.y) != (b.x, b.y)]
    for k, (a, b) in enumerate(moved):
        for c, d in moved[k + 1 :]:
            if (a.x, a.y, b.x, b.y) == (d.x, d.y, c.x, c.y):
                return b, d
    return ()


def _of_one(a: Object, b: Object) -> list[Change]:
    """What became of one object. A size or a place that keeps its word has no old value and a relative new one."""
    name, place, found = kb.primary(a.name), truth.position(b), []
    if a.name != b.name:
        return [Change("replace", name, name, kb.primary(b.name), b, place)]
    pick = {"recolour": lambda o: o.colour, "refill": lambda o: o.fill, "resize": truth.size,
            "move": truth.position, "turn": truth.turn}  # fmt: skip
    for kind, value in pick.items():
        old, new = value(a), value(b)
        if old != new:
            found.append(Change(kind, name, old, new, b, truth.position(a) if kind == "move" else place))
    known = {one.kind for one in found}
    if a.radius != b.radius and "resize" not in known:
        found.append(Change("resize", name, "", "larger" if b.radius > a.radius else "smaller", b, place))
    if (a.x, a.y) != (b.x, b.y) and "move" not in known:
        found.append(Change("move", name, "", _way(b.x - a.x, b.y - a.y), b, place))
    if a.mirrored != b.mirrored:
        found.append(Change("mirror", name, "", "mirrored", b, place))
    return found


def _way(dx: float, dy: float) -> str:
    if abs(dx) >= abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def _of_scene(before: Spec, after: Spec) -> list[Change]:
    found = []
    texts = [[word.text.lower() for word in spec.words] for spec in (before, after)]
    if len(texts[0]) == len(texts[1]):
        found += [Change("word", "", old, new) for old, new in zip(*texts) if old != new]
    else:
        left, right = (Counter(own) - Counter(other) for own, other in (texts, texts[::-1]))
        found += [Change("word", "", text, "") for text in left.elements()]
        found += [Change("word", "", "", text) for text in right.elements()]
    lights = [spec.light.word or ("backlit" if spec.light.backlit else "ordinary") for spec in (before, after)]
    if lights[0] != lights[1]:
        found.append(Change("light", "", *lights))
    elif before.light.gain != after.light.gain:
        found.append(Change("light", "", "", "brighter" if after.light.gain > before.light.gain else "darker"))
    if before.background.name != after.background.name:
        found.append(Change("background", "", before.background.name, after.background.name))
    a, b = before.camera, after.camera
    if a != b:
        dx, dy = (b.dx - a.dx) / 64, (b.dy - a.dy) / 64
        zoom = b.zoom / a.zoom
        way = _way(dx, dy) if max(abs(dx), abs(dy)) >= abs(zoom - 1) / 2 else "closer" if zoom > 1 else "farther"
        found.append(Change("viewpoint", "", "", way))
    return found


def changed(before: Spec, after: Spec, kinds: Iterable[str] | None = None) -> frozenset:
    """Every true change tuple, with old and new value, with the new one alone and with neither; ("change", "none", ...)
    where the scenes have no named difference. `kinds` as in `differences`."""
    found, kinds = set(), list(KINDS if kinds is None else kinds)
    for one in differences(before, after, kinds) + differences(
        before, after, [kind for kind in kinds if kind != "count"]
    ):
        kind, name, old, new = one.tuple[1:]
        olds = {"replace": (old,)}.get(kind, (old, ""))
        found |= {("change", kind, name, *values) for values in (*((said, new) for said in olds), ("", ""))}
        if kind == "replace":
            found |= {("change", kind, name, name, new)}
        if kind == "swap":
            found.add(("change", kind, new, "", name))
    return frozenset(found or {("change", "none", "", "", "")})


def tells(before: Spec, after: Spec, text: str, kinds: Iterable[str] | None = None) -> bool:
    """Whether all changes that a text speaks of are true. Raises ValueError naming words it does not understand."""
    said = parse(text)
    if said.rest:
        raise ValueError(f"'{text}' cannot be parsed: {', '.join(map(repr, said.rest))} not understood")
    found = {item for item in said.tuples if item[0] == "change"}
    if not found:
        raise ValueError(f"'{text}' speaks of no change")
    return found <= changed(before, after, kinds)

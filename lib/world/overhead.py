"""Pictures from above: eight kinds of land with many small things and no canonical up.

An `Overhead` says everything a picture shows, `sample` draws one, `truth` gives its facts as plain tuples for any
grammar, `render` draws it. What varies without being named (course of a shore, grain, sun, haze, colours of trees and
water) comes from `noise`. A new land is one row of LANDS, one function of overhead_sample and one branch of
overhead_draw; a new ground is a row of tables/overhead.csv.
"""

from lib.world.overhead_draw import render
from lib.world.overhead_sample import sample
from lib.world.overhead_spec import COLOURS, LANDS, LAYOUTS, ORDER, THINGS, Item, Overhead, grounds

__all__ = ["COLOURS", "LANDS", "LAYOUTS", "ORDER", "THINGS", "Item", "Overhead", "count", "count_word", "grounds",
           "render", "sample", "truth"]  # fmt: skip


def count(scene: Overhead, kind: str) -> int:
    """How many things of a kind there are. The canopy of a forest is not counted."""
    return sum(item.kind == kind for item in scene.items)


def count_word(number: int) -> str:
    """ "no", "one" .. "six", "several" (7 to 10), "many" (above)."""
    words = ("no", "one", "two", "three", "four", "five", "six")
    return words[number] if number < len(words) else "several" if number <= 10 else "many"


def truth(scene: Overhead) -> frozenset:
    """Everything that may be said of a scene, as tuples of strings and numbers.

    ("scene", land), ("ground", name), ("object", kind), ("count", kind, n), ("attribute", kind, colour) where all of a
    kind share it, ("layout", kind, word) where there are three or more. What is absent has no tuple.
    """
    facts = {("scene", scene.land), ("ground", scene.ground)}
    if scene.land == "forest":
        facts.add(("object", "tree"))
    if scene.land in ("harbour", "river"):
        facts.add(("object", "water"))
    if scene.land == "town":
        facts.add(("object", "road"))
    for kind in {item.kind for item in scene.items}:
        facts |= {("object", kind), ("count", kind, count(scene, kind))}
        colours = {item.colour for item in scene.items if item.kind == kind}
        if len(colours) == 1 and colours != {""}:
            facts.add(("attribute", kind, colours.pop()))
    facts |= {("layout", kind, word) for kind, word in scene.layout if count(scene, kind) >= 3}
    return frozenset(facts)

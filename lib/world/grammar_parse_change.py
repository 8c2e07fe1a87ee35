"""What a sentence about a change says: the part of `parse` that begins at a word of tables/changes.csv.

A change is the tuple ("change", kind, name, old, new); `name` is a class or "", `old` and `new` are values, "" where
they are not said. Kinds: add remove replace recolour refill resize move turn mirror state count word light background
viewpoint swap none.
"""

from functools import cache

from lib.world import kb

KINDS = {"colour": "recolour", "fill": "refill", "size": "resize", "position": "move", "turn": "turn"}
KINDS |= {"mirrored": "mirror", "background": "background", "light": "light", "lighting": "light"}
DIRECTIONS = {"larger": "resize", "smaller": "resize", "darker": "light", "brighter": "light", "ordinary": "light"}
DIRECTIONS |= dict.fromkeys(("closer", "farther", "up", "down"), "viewpoint")
TO = frozenset(("to", "into", "by", "with"))
NAMELESS = frozenset(("word", "light", "background", "viewpoint", "none"))


@cache
def kind_of(source: str, value: object) -> str:
    """The kind of change whose values are such: `source` is the kind of phrase that was read."""
    if source in ("number", "quote", "noun"):
        return {"number": "count", "quote": "word", "noun": "replace"}[source]
    factors = ("background", "light", "lighting") if source == "scene" else tuple(KINDS)[:6]
    for factor in factors:
        if value in kb.values(factor):
            return KINDS[factor]
    return "state" if any(value == state for state in kb.states()) else ""


def read_change(kind: str, subjects: list[str], items: list[tuple[str, object, str]]) -> tuple[set, list[str]]:
    """Tuples of one sentence from its change word on, and the words it does not understand.

    `subjects` are the nouns before the change word, nearest last; items are (kind of phrase, value, words).
    """
    found: set[tuple] = set()
    rest: list[str] = []
    loose: list[tuple[str, object]] = []  # values without "from" or "to"
    described: list[object] = []  # of the subject, said before it
    slots: dict[str, tuple[str, object]] = {}
    mode, late = "", []  # nouns after the values: subjects of the next change
    for source, value, words in items:
        if source == "change":
            found |= _emit(kind, subjects, slots, loose)
            kind, subjects, slots, loose, described, mode, late = str(value), late or subjects, {}, [], [], "", []
        elif source == "word" and words in ("from", *TO):
            mode = "old" if words == "from" else "new"
        elif source == "word" and words in DIRECTIONS:
            slots[mode or "new"] = ("direction", words)
            mode = ""
        elif source == "noun" and not subjects:
            subjects = [str(value)]
            found.add(("object", value))
            found |= {("attribute", value, look) for look in described}
            described = []
        elif source == "noun":
            found.add(("object", value))
            if mode and mode not in slots and kind in ("", "replace"):
                found |= {("attribute", value, look) for _, look in loose}
                loose = []
                slots[mode] = (source, value)
            elif kind == "swap":
                slots["new"] = (source, value)
            else:
                late.append(str(value))
        elif source == "attribute" and not subjects and kind not in NAMELESS:
            described.append(value)
        elif source in ("attribute", "scene", "number", "quote"):
            if source == "attribute" and mode and kind == "replace":
                loose.append((source, value))
            elif mode:
                slots[mode] = (source, value)
                mode = ""
            elif source == "quote" and not subjects:
                subjects = [f'"{value}"']
                found.add(("word", value))
            else:
                loose.append((source, value))
        elif source == "rest":
            rest.append(words)
    return found | _emit(kind, subjects, slots, loose), rest


def _emit(kind: str, subjects: list[str], slots: dict, loose: list) -> set:
    """The tuples of one change; loose values describe its subject where the new value is said or there can be none."""
    found = set()
    name = subjects[-1] if subjects else ""
    if loose and "new" not in slots and kind not in ("add", "remove", "replace", "swap", "none"):
        slots = slots | {"new": loose.pop()}
    if name:
        found |= {("attribute", name, value) for source, value in loose if source == "attribute"}
    old, new = (slots.get(slot, ("", "")) for slot in ("old", "new"))
    if not kind:
        source, value = new if new[0] else old
        kind = DIRECTIONS.get(value, "") if source == "direction" else kind_of(source, value) if source else ""
    if name.startswith('"'):
        text = name.strip('"')
        old, new = {"add": (old, ("quote", text)), "remove": (("quote", text), new)}.get(kind, (old, new))
        kind = "word"
    if kind == "replace" and not old[0]:
        old = ("noun", name)
    if kind == "swap" and len(subjects) > 1:
        name, new = subjects[-2], ("noun", subjects[-1])
    if kind in NAMELESS:
        name = ""
    return found | {("change", kind, name, old[1], new[1])} if kind else found

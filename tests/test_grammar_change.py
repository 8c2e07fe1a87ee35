"""Differences of scenes, change texts, steps, statements of minimal pairs, compositions, and the language of videos."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_grammar import OBJECTS, SPECS, frame_words, names

from lib.world import grammar_change, grammar_pairs, grammar_truth, grammar_video, kb
from lib.world.edit import Op, edit
from lib.world.grammar import holds, parse, tuples
from lib.world.grammar_change import changed, differences, tells
from lib.world.grammar_change_say import change_text, step
from lib.world.spec import Background, Camera, Damage, Light, Object, Spec, Word

SEEDS = st.integers(0, 2**32)
CLASSES = st.sampled_from([name for name, kind in kb.classes().items() if "Z" not in kind.roles])
NONE = ("change", "none", "", "", "")


@st.composite
def edits(draw):
    """A scene of numbered objects, an edit of any kind, and the scene after it."""
    things = draw(st.lists(OBJECTS, min_size=1, max_size=4))
    spec = draw(SPECS).replace(objects=tuple(replace(o, noise=k + 1) for k, o in enumerate(things)))
    spec = spec.replace(words=draw(st.sampled_from([(), (Word("stop"),)])))
    kind, target = draw(st.sampled_from(grammar_change.KINDS)), draw(st.integers(0, len(things) - 1))
    value = draw({
        "add": OBJECTS.map(lambda o: replace(o, noise=99)), "replace": CLASSES, "recolour": names("colour"),
        "refill": st.tuples(names("fill"), names("colour")), "resize": st.floats(5, 26),
        "move": st.tuples(st.floats(0, 1), st.floats(0, 1)), "turn": st.sampled_from([0.0, 90.0, 180.0, 270.0]),
        "count": st.integers(0, 6), "state": st.builds(Damage, st.sampled_from(["hole", "stain"])),
        "light": st.builds(Light, word=st.sampled_from(["dark", "bright"])),
        "background": st.builds(Background, name=names("background")),
        "viewpoint": st.builds(Camera, st.sampled_from([-4.0, 3.0]), st.sampled_from([-2.0, 5.0])),
        "word": st.sampled_from(["exit", "cup"]),
    }.get(kind, st.none()))  # fmt: skip
    if kind == "word":
        op = Op(kind, 0, value) if spec.words else Op(kind, None, Word(value))
    elif kind == "swap":
        assume(len(things) > 1)
        op = Op("swap relation", (target, (target + 1) % len(things)))
    else:
        op = Op(kind, target, value)
    try:
        return spec, edit(spec, op), kind
    except ValueError:
        assume(False)


@settings(max_examples=400, deadline=None)
@given(edited=edits(), seed=SEEDS, rates=st.sampled_from([(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)]))
def test_change_texts_say_what_has_changed(edited, seed, rates):
    before, after, kind = edited
    rng = np.random.default_rng(seed)
    said = change_text(before, after, rng, None, *rates, most=20)
    parsed = parse(said.text)
    assert parsed == (said.tuples, []), said.text
    found = {one.tuple for one in differences(before, after)} or {NONE}
    assert {item for item in said.tuples if item[0] == "change"} == found, said.text
    assert tells(before, after, said.text)
    wrong = tells(after, before, said.text)
    assert not wrong or found == {NONE} or kind in ("swap", "mirror", "count"), said.text
    if found != {NONE}:
        order = step(before, after, rng)
        assert parse(order.text) == (order.tuples, []) and tells(before, after, order.text), order.text
    assert change_text(before, before, rng).tuples == {NONE} and tells(before, before, "nothing has changed")


@settings(max_examples=200, deadline=None)
@given(edited=edits(), seed=SEEDS, frames=st.sampled_from(["seen", "held_out", "second"]))
def test_statements_tell_a_pair_apart(edited, seed, frames):
    before, after, _ = edited
    try:
        first, second = grammar_pairs.statements(before, after, np.random.default_rng(seed), frames=frames)
    except ValueError:
        return
    for spec, own, other in ((before, first, second), (after, second, first)):
        assert holds(spec, own.text) and not holds(spec, other.text), (own.text, other.text)


@pytest.mark.parametrize(("op", "told"), [
    (Op("recolour", 0, "blue"), True), (Op("turn", 0, 180.0), True), (Op("move", 0, (0.9, 0.9)), True),
    (Op("count", 0, 3), True),
    (Op("resize", 0, 22.0), True), (Op("refill", 0, ("dotted", "white")), True), (Op("state", 0, Damage("hole")), True),
    (Op("word", None, Word("exit")), True), (Op("remove", 0), True), (Op("add", None, Object("cow", noise=9)), True),
    (Op("light", None, Light(word="dim")), True), (Op("background", None, Background("sand")), True),
    (Op("swap relation", (0, 1)), True), (Op("resize", 0, 11.0), False), (Op("viewpoint", None, Camera(1.0)), False),
])  # fmt: skip
def test_every_pattern_of_minimal_pairs_has_statements(op, told):
    spec = Spec((Object("cat", radius=8.0, x=0.2, noise=1), Object("cup", "green", radius=9.0, x=0.8, noise=2)))
    rng, after = np.random.default_rng(0), edit(spec, op)
    if not told:
        after = edit(spec.replace(objects=(replace(spec.objects[0], radius=12.0), spec.objects[1])), op)
        before = spec.replace(objects=(replace(spec.objects[0], radius=12.0), spec.objects[1]))
        with pytest.raises(ValueError, match="no difference"):
            grammar_pairs.statements(before, after, rng)
        return
    first, second = grammar_pairs.statements(spec, after, rng)
    assert holds(spec, first.text) and holds(after, second.text) and not holds(spec, second.text)


def test_minimal_statements_use_held_out_frames():
    spec = Spec((Object("cat"),))
    after = edit(spec, Op("recolour", 0, "blue"))
    seen = {f"{frame[0]} {frame[1]}" for frame in frame_words("seen") if len(frame) > 2}
    for seed in range(60):
        for said in grammar_pairs.statements(spec, after, np.random.default_rng(seed)):
            assert not any(pair in said.text for pair in seen) and said.text not in ("a red cat", "a blue cat")


def test_differences_by_hand():
    cat, cup = Object("cat", "red", radius=9.0, x=0.1, noise=1), Object("cup", radius=9.0, x=0.9, noise=2)
    spec = Spec((cat, cup), words=(Word("Stop"),))
    after = Spec(
        (replace(cup, x=0.1), replace(cat, x=0.9, colour="blue")), Background("sand"), Light(gain=0.5), Camera(4.0),
        (Word("exit"),), damage=(Damage("hole", target=1),),
    )  # fmt: skip
    assert [one.tuple[1:] for one in differences(spec, after)] == [
        ("recolour", "cat", "red", "blue"), ("state", "cat", "flawless", "hole"), ("swap", "cat", "", "cup"),
        ("word", "", "stop", "exit"), ("light", "", "", "darker"), ("background", "", "plain", "sand"),
        ("viewpoint", "", "", "right"),
    ]  # fmt: skip
    assert [one.kind for one in differences(spec, after, ["recolour", "none"])] == ["recolour"]
    assert changed(spec, after, ["none"]) == {NONE}
    with pytest.raises(ValueError, match="melt"):
        differences(spec, after, ["melt"])
    more = edit(spec, Op("count", 0, 3))
    assert [one.tuple[1:] for one in differences(spec, more)] == [("count", "cat", 1, 3)]
    assert [one.tuple[1:] for one in differences(spec, more, ["add"])] == [("add", "cat", "", "")] * 2
    assert [one.kind for one in differences(spec, edit(spec, Op("remove", 0)))] == ["remove"]
    near = edit(spec, Op("move", 0, (0.2, 0.5)))
    assert [one.tuple[1:] for one in differences(spec, near)] == [("move", "cat", "", "right")]
    plain = Spec((Object("cat"), Object("cat", x=0.9)))
    assert differences(plain, plain) == []


def test_change_sentences_of_other_writers_are_understood():
    for text, wanted in [
        ("the cat changes from red to blue", ("recolour", "cat", "red", "blue")),
        ("the red cat on the left becomes blue", ("recolour", "cat", "", "blue")),
        ("paint the cat blue", ("recolour", "cat", "", "blue")),
        ("a small red cat appears at the top left", ("add", "cat", "", "")),
        ("add a red cat on the left", ("add", "cat", "", "")),
        ("the cat is replaced by a red cow", ("replace", "cat", "cat", "cow")),
        ("replace the cat with a cow", ("replace", "cat", "cat", "cow")),
        ("the cat moves from the top left to the right", ("move", "cat", "top left", "right")),
        ("move the cat on the left to the right", ("move", "cat", "", "right")),
        ("turn the cat upside down", ("turn", "cat", "", "upside down")),
        ("the number of cats changes from two to 3", ("count", "cat", 2, 3)),
        ('the sign changes from "stop" to "exit"', ("word", "", "stop", "exit")),
        ('a sign saying "exit" appears', ("word", "", "", "exit")),
        ('the word "exit" disappears', ("word", "", "exit", "")),
        ("the light becomes dim", ("light", "", "", "dim")),
        ("the light changes from ordinary to dark", ("light", "", "ordinary", "dark")),
        ("the background turns from sand into a dotted background", ("background", "", "sand", "dotted")),
        ("the view shifts to the left", ("viewpoint", "", "", "left")),
        ("the cat grows", ("resize", "cat", "", "")),
        ("shrink the cat", ("resize", "cat", "", "")),
        ("the cat becomes larger", ("resize", "cat", "", "larger")),
        ("the cat and the cow swap places", ("swap", "cat", "", "cow")),
        ("the cat changes from flawless to scratched", ("state", "cat", "flawless", "scratch")),
        ("nothing changes", ("none", "", "", "")),
    ]:  # fmt: skip
        parsed = parse(text)
        assert {item[1:] for item in parsed.tuples if item[0] == "change"} == {wanted} and not parsed.rest, (
            text,
            parsed,
        )
    two = parse("the cat turns from red into blue, and the cow disappears").tuples
    assert {("change", "recolour", "cat", "red", "blue"), ("change", "remove", "cow", "", "")} <= two
    assert parse("the cat on the left disappears").tuples >= {("attribute", "cat", "left")}
    with pytest.raises(ValueError, match="no change"):
        tells(Spec(), Spec(), "a cat")
    with pytest.raises(ValueError, match="zebra"):
        tells(Spec(), Spec(), "the zebra disappears")


def test_a_change_has_one_to_three_sentences_and_no_base_frame():
    rng = np.random.default_rng(0)
    spec = Spec((Object("cat", "red", x=0.2, noise=1), Object("cup", noise=2)))
    after = Spec((Object("cat", "blue", "dotted", x=0.8, noise=1), Object("cow", noise=2)), Background("sand"))
    pairs = set(itertools.chain(*(itertools.pairwise(f) for f in frame_words("seen"))))
    for most in (1, 2, 3):
        for _ in range(50):
            said = change_text(spec, after, rng, most=most)
            assert len(said.sentences) == most and len(said.text.split()) <= 40
            assert not {p for p in itertools.pairwise(said.text.split())} & {p for p in pairs if "{}" not in p}
    with pytest.raises(ValueError, match="without a difference"):
        step(spec, spec, rng)


# ---- compositions


@settings(max_examples=200, deadline=None)
@given(spec=SPECS, seed=SEEDS)
def test_compositions_are_true_and_their_foils_false(spec, seed):
    rng = np.random.default_rng(seed)
    try:
        said = grammar_pairs.compose(spec, rng)
    except ValueError:
        return
    assert holds(spec, said.text)
    assert said.text.split(" ", 1)[1].startswith(said.subject) and said.text.endswith(said.object)
    for kind in grammar_pairs.FOILS:
        foil = grammar_pairs.foil(spec, said, kind, rng)
        if foil is None:
            assert kind in ("attribute", "relation")
            continue
        assert not holds(spec, foil.text) and not parse(foil.text).rest
        same = (foil.subject == said.subject, foil.relation == said.relation, foil.object == said.object)
        assert same == {"subject": (False, True, True), "object": (True, True, False), "relation": (True, False, True),
                        "attribute": (False, True, False)}[kind]  # fmt: skip


def test_compositions_by_hand():
    spec = Spec((Object("cat", "red", x=0.1, radius=9), Object("cup", "blue", x=0.9, radius=9)))
    rng = np.random.default_rng(0)
    said = grammar_pairs.compose(spec, rng, (0, 1))
    assert said[:4] == ("a red cat left of a blue cup", "red cat", "left of", "blue cup")
    assert grammar_pairs.foil(spec, said, "relation", rng).text == "a red cat right of a blue cup"
    assert grammar_pairs.foil(spec, said, "attribute", rng).text == "a blue cat left of a red cup"
    with pytest.raises(ValueError, match="verb"):
        grammar_pairs.foil(spec, said, "verb", rng)
    with pytest.raises(ValueError, match="no two objects"):
        grammar_pairs.compose(Spec((Object("cat"),)), rng)
    assert tuples(spec) >= said.tuples


# ---- videos


def test_goals_and_speech():
    assert len(grammar_video.goals()) == 20
    places, sizes, turns = (set(kb.values(factor)) for factor in ("position", "size", "turn"))
    for goal, (_, _, plan) in grammar_video.goals().items():
        queries = [grammar_video.query(goal, "anchor", "blue", "red", second) for second in (False, True)]
        assert len(set(queries)) == 2
        for text in queries:
            assert {("object", "anchor"), ("attribute", "anchor", "blue")} <= parse(text).tuples, text
        assert 3 <= len(plan) <= 5
        for one in plan:
            kind, *values = one.split(":")
            assert kind in ("add", "remove", "recolour", "resize", "move", "turn", "replace")
            assert set(values) <= places | sizes | turns | {"{colour}"}
    with pytest.raises(ValueError, match="nap"):
        grammar_video.query("nap", "cup")
    with pytest.raises(ValueError, match="new"):
        grammar_video.query("dye", "cup")
    rng = np.random.default_rng(0)
    said = [grammar_video.spoken("paint the cup blue", rng) for _ in range(2000)]
    assert np.mean(["paint the cup blue" in text for text in said]) == pytest.approx(0.5, abs=0.04)
    assert not any("paint" in grammar_video.spoken(None, rng) for _ in range(100))
    for text in said:
        assert ("paint" in text) == any(item[0] == "change" for item in parse(text).tuples)
    assert all(parse(text).tuples == frozenset() for text in (*grammar_video.FILLERS, *grammar_video.OPENERS))


def test_objects_are_followed_by_what_stays():
    left, right = Object("cat", x=0.2, noise=1), Object("cat", x=0.8, noise=2)
    assert grammar_change.pairs(Spec((left, right)), Spec((right, left))) == [(0, 1), (1, 0)]
    assert grammar_change.pairs(Spec((left,)), Spec((replace(left, colour="blue", x=0.9),))) == [(0, 0)]
    assert grammar_change.pairs(Spec((left, right)), Spec((right,))) == [(1, 0), (0, None)]
    assert grammar_change.pairs(Spec(), Spec((left,))) == [(None, 0)]
    assert grammar_truth.states(Spec((left,)), 0) == ("flawless",)

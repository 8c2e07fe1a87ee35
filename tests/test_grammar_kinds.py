"""Captions of scenes with words, damage, badges and marks, the further kinds, alt texts and the ladder."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_grammar import CLASSES, NUM, OBJECTS, SPECS, TOLERANCE, frame_words, names, rate

from lib.world import grammar, grammar_alt, grammar_truth, kb
from lib.world.grammar import KINDS, caption, holds, parse, tuples
from lib.world.grammar_say import FRAMES
from lib.world.spec import Background, Camera, Corruption, Damage, Light, Object, Spec, Word

DAMAGES = ("scratch", "hole", "stain", "blot", "chunk")
MARKS = ("ring", "small dot", "large two dots", "plus")
TRUE_KINDS = [kind for kind in KINDS if kind != "alt"]
WORDS = st.builds(
    Word,
    text=st.sampled_from(["stop", "Cup", "red", "left of", "two cats", "no", "a"]),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
BADGES = st.builds(
    Object,
    name=st.sampled_from(list(kb.badges())),
    colour=names("colour"),
    radius=st.floats(12, 26),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    angle=st.floats(-25, 25),
    parts=st.sampled_from([(), (("cap", "spire"),), (("mark", "none"), ("band", "dotted"))]),
)
MARKED = st.builds(lambda thing, mark: replace(thing, mark=mark), OBJECTS, st.sampled_from(MARKS))
CAMERAS = st.builds(
    Camera,
    dx=st.floats(-6, 6),
    dy=st.floats(-6, 6),
    zoom=st.floats(0.8, 1.2),
    tilt=st.sampled_from([(), ((0.05, 0.0), (-0.05, 0.02), (0.0, 0.0), (0.03, -0.04))]),
)


@st.composite
def full_specs(draw):
    """Scenes with every factor that captions know."""
    spec = draw(SPECS)
    things = (*draw(st.lists(BADGES | MARKED, max_size=3)), *spec.objects[:4])
    hurt = draw(st.lists(st.builds(Damage, kind=st.sampled_from(DAMAGES), target=st.integers(-1, len(things) - 1))))
    targets = {one.target for one in hurt}
    states = [draw(st.sampled_from(["", "damaged" if i in targets else "flawless"])) for i in range(len(things))]
    things = tuple(replace(thing, state=state) for thing, state in zip(things, states))
    spoilt = draw(st.lists(st.builds(Corruption, st.sampled_from(["blur", "noise", "depth_fog"]), st.floats(0, 1))))
    light = replace(spec.light, backlit=draw(st.sampled_from([0.0, 0.7])))
    return spec.replace(objects=things, damage=tuple(hurt), words=tuple(draw(st.lists(WORDS, max_size=2))), light=light,
                        corruptions=tuple(spoilt), camera=draw(CAMERAS))  # fmt: skip


MENTIONS = st.none() | st.just({"terse": 0.0}) | st.just(dict.fromkeys(grammar.MENTION, 1.0))


@pytest.mark.parametrize("kind", TRUE_KINDS)
@settings(max_examples=100, deadline=None)
@given(spec=full_specs(), seed=st.integers(0, 2**32), frames=st.sampled_from(list(FRAMES)), mention=MENTIONS)
def test_every_kind_parses_to_what_it_says_and_is_true(kind, spec, seed, frames, mention):
    said = caption(spec, kind, np.random.default_rng(seed), frames=frames, mention=mention)
    parsed = parse(said.text)
    assert parsed == (said.tuples, []), said.text
    assert said.tuples <= tuples(spec), said.text
    assert holds(spec, said.text)
    if kind not in ("long", "main_long", "q2", "q3", "exact"):
        assert len(said.text.split()) <= 16 + said.text.count('"'), said.text  # words of signs may be longer
    for sentence in said.sentences:
        assert parse(sentence).tuples <= said.tuples


# ---- written words


def test_a_written_word_is_no_object():
    spec = Spec((Object("cat", "red"),), words=(Word("cup", y=0.1), Word("STOP", y=0.9)))
    assert parse('a red cat with a sign saying "cup"').tuples == {
        ("object", "cat"), ("attribute", "cat", "red"), ("word", "cup"),
    }  # fmt: skip
    for phrase in ('a sign that says "stop"', 'signs saying "cup" and "stop"', '"cup" at the top', 'the word "stop"',
                   'the word "cup" above a cat', 'no sign saying "exit"', 'a cat below the word "cup"'):  # fmt: skip
        assert holds(spec, phrase), phrase
    for phrase in ("a cup", 'a sign saying "exit"', '"stop" at the top', 'without the word "stop"', "a cat and a sign"):
        assert not holds(spec, phrase), phrase
    assert parse('an unclosed " quote and a cat').tuples == {("object", "cat")}
    assert parse('"a red cup" "" and a cat').tuples == {("word", "a red cup"), ("word", ""), ("object", "cat")}
    assert parse("\ue0007 cat \ue000").tuples == {("object", "cat")}


def one(name="cup", **fields):
    return Spec((Object(name, **fields),))


def spread(spec, kind="short", count=NUM, seed=0, **options):
    rng = np.random.default_rng(seed)
    return [caption(spec, kind, rng, **options) for _ in range(count)]


def test_rates_of_words_states_parts_and_names():
    written = spread(one().replace(words=(Word("stop"),)))
    assert rate(written, lambda item: item == ("word", "stop")) == pytest.approx(0.5, abs=TOLERANCE)
    both = spread(one().replace(words=(Word("stop"), Word("cat"))), count=400)
    assert {len([i for i in said.tuples if i[0] == "word"]) for said in both} == {0, 2}
    hurt = spread(one("cat").replace(damage=(Damage("hole"),)))
    assert rate(hurt, lambda item: item[-1] == "damaged") == pytest.approx(0.7, abs=TOLERANCE)
    phrases = [state.phrase for state in kb.states()["damaged"]]
    used = {phrase for phrase in phrases if any(phrase in said.text for said in hurt)}
    assert used == set(phrases) and len(phrases) == len(kb.states()["flawless"]) == 7
    whole = spread(one("cat", state="flawless"))
    assert rate(whole, lambda item: item[-1] == "flawless") == pytest.approx(0.1, abs=TOLERANCE)
    assert rate(spread(one("cat"), count=500), lambda item: item[-1] in ("flawless", "damaged")) == 0
    badge = spread(one("dax disc"))
    assert 0.27 < rate(badge, lambda item: item[-1] == "striped band") <= 0.35 + TOLERANCE  # some get too long
    assert rate(badge, lambda item: item == ("object", "dax disc")) == pytest.approx(0.1, abs=TOLERANCE)
    assert rate(badge, lambda item: item[0] == "object" and item[1] in ("dax disc", "disc")) == 1
    marked = spread(one("cat", mark="ring"))
    assert rate(marked, lambda item: item[-1] == "ring mark") == pytest.approx(0.35, abs=TOLERANCE)


def test_a_sign_leaves_the_other_rates_alone():
    said = spread(one(colour="red").replace(words=(Word("stop"),)))
    assert rate(said, lambda item: item[-1] == "red") == pytest.approx(0.35, abs=TOLERANCE)
    assert rate(said, lambda item: item == ("object", "cup")) == pytest.approx(0.95 * 0.85, abs=TOLERANCE)


@pytest.mark.parametrize("name", kb.badges())
def test_invented_words_of_held_out_groups_are_never_said(name):
    badge = kb.badges()[name]
    texts = [said.text for kind in ("short", "long", "class_only", "exact", "q1", "q2", "alt", "generic")
             for said in spread(one(name), kind, count=150, mention={"invented": 1.0, "terse": 0.0})]  # fmt: skip
    words = set(itertools.chain(*(re.findall(r"[a-z]+", text) for text in texts)))
    assert badge.phrase in words and not words & set(badge.aliases)
    assert (badge.word in words) == (badge.group <= 3)
    assert parse(badge.word).tuples == parse(f"a {name}").tuples == {("object", name)}
    assert all(parse(f"a photo of a {alias}").rest == [] for alias in badge.aliases)
    assert holds(one(name), f"a {badge.phrase}") and holds(one(name), "a badge") and holds(one(name), f"a {name}")


def test_parts_can_be_replaced_and_left_out():
    spec = one("dax disc", parts=(("cap", "none"), ("band", "dotted")))
    assert holds(spec, "a disc with a dotted band") and not holds(spec, "a disc with a striped band")
    assert not holds(spec, "a disc with a knob cap") and holds(one("dax disc"), "something with a knob cap")
    said = caption(spec, "exact", np.random.default_rng(0))
    assert "with a heart emblem, a dotted band and a dot mark" in said.text


def test_states_of_objects_and_grounds():
    spec = Spec((Object("cat"), Object("cup", x=0.8)), damage=(Damage("stain", target=1),))
    for phrase in ("a damaged cup", "a stained cup", "a cup with a stain", "a flawless cat", "an unblemished cat",
                   "a cat without defect", "an imperfect item", "no damaged cat"):  # fmt: skip
        assert holds(spec, phrase), phrase
    for phrase in ("a damaged cat", "a scratched cup", "a perfect cup", "a cup without damage", "no stained cup"):
        assert not holds(spec, phrase), phrase
    wall = Spec(background=Background("brick"), damage=(Damage("hole", target=-1),))
    assert holds(wall, "damaged brick") and not holds(wall, "perfect brick")
    assert holds(Spec(background=Background("brick")), "brick without flaw")
    assert any("damaged" in said.text for said in spread(wall, count=50))
    assert ("attribute", "cat", "flawless") not in tuples(spec, general=False)


def test_denials():
    spec = Spec((Object("cat", "red"), Object("cup", "blue", "striped", x=0.8)), Background("sand"))
    for phrase in ("no cow", "a cat without a cow", "no red cup", "no striped cat", "no cows",
                   "without any blue animal", "not on grass", "the cat is not blue", "no plain blue cup"):  # fmt: skip
        assert holds(spec, phrase), phrase
    for phrase in (
        "no cat",
        "a cat without a cup",
        "no striped cup",
        "not on sand",
        "the cat is not red",
        "no objects",
    ):
        assert not holds(spec, phrase), phrase
    assert parse("no small red cup").tuples == {("not", "object", "cup", "red", "small")}
    assert parse("a cat and no cup on the left").tuples == {("object", "cat"), ("not", "object", "cup", "left")}
    assert parse("a cat but not").rest != []
    assert parse("no cup left of a cat").rest == ["left", "of"]
    assert grammar_truth.denied(spec, ("not", "word", "stop"))
    with pytest.raises(ValueError, match="relation"):
        grammar_truth.denied(spec, ("not", "relation", "cat", "above", "cup"))
    with pytest.raises(ValueError, match="change"):
        holds(spec, "the cat disappears")


def test_light_quality_and_camera():
    spec = one(x=0.3).replace(light=Light(backlit=0.7), corruptions=(Corruption("blur", 0.5), Corruption("fog", 0.0)))
    assert (
        holds(spec, "a backlit cup") and holds(spec, "a blurry picture of a cup") and holds(spec, "against the light")
    )
    assert not holds(spec, "a foggy picture") and not holds(spec, "a clean picture") and holds(one(), "clean, well lit")
    assert rate(spread(spec), lambda item: item == ("scene", "backlit")) == pytest.approx(0.5, abs=TOLERANCE)
    shifted = one(x=0.35, radius=10.0).replace(camera=Camera(dx=6.0, zoom=1.2))
    assert grammar_truth.position(grammar_truth.seen(shifted).objects[0]) == "left"
    assert grammar_truth.seen(shifted).objects[0].radius == 12.0 and holds(shifted, "a cup on the left")
    plain = one()
    assert grammar_truth.seen(plain) is plain


def test_the_camera_of_the_grammar_is_that_of_the_renderer():
    optics = pytest.importorskip("lib.world.optics")
    rng = np.random.default_rng(0)
    for _ in range(20):
        tilt = tuple(map(tuple, rng.uniform(-0.08, 0.08, (4, 2)).round(3).tolist())) if rng.random() < 0.5 else ()
        camera = Camera(*rng.uniform(-6, 6, 2), rng.uniform(0.85, 1.2), tilt)
        x, y = rng.uniform(0.3, 0.7, 2)
        dot = np.zeros((64, 64), np.float32)
        dot[int(y * 64) - 1 : int(y * 64) + 2, int(x * 64) - 1 : int(x * 64) + 2] = 1
        rows, columns = np.nonzero(optics.view({"inst": dot}, camera)["inst"])
        thing = grammar_truth.seen(Spec((Object("cup", x=x, y=y),), camera=camera)).objects[0]
        assert abs(columns.mean() + 0.5 - 64 * thing.x) < 1.5 and abs(rows.mean() + 0.5 - 64 * thing.y) < 1.5


# ---- further kinds


def test_kinds_say_what_they_are_for():
    spec = Spec((Object("cat", "red", "striped", radius=20), Object("cup", "blue", x=0.9, radius=8)), style="ink")
    every = {kind: spread(spec, kind, count=200) for kind in KINDS}
    said = {kind: {frozenset(one.tuples) for one in found} for kind, found in every.items()}
    assert said["main_only"] == {frozenset({("object", "cat")})}
    assert said["family"] == {frozenset({("object", "animal"), ("object", "thing")})}
    assert all(not any(item[1] == "cup" for item in one if len(item) > 2) for one in said["main"])
    assert said["colour_of"] == {frozenset({("object", "cat"), ("attribute", "cat", "red")})}
    assert said["attribute"] == {frozenset({("object", kb.ANY), ("attribute", kb.ANY, value)})
                                 for value in ("large", "striped", "red")}  # fmt: skip
    assert all(("object", "cat") not in one and len(one) <= 2 for one in said["generic"])
    assert said["q1"] == {frozenset({("object", "cat")}), frozenset({("object", "cup")})}
    assert said["q2"] == {frozenset({("object", "cat"), ("object", "cup")})}
    exact = ("attribute", "cat", "large"), ("attribute", "cat", "striped"), ("attribute", "cat", "red")
    assert said["exact"] == {frozenset({("object", "cat"), *exact})}
    for one in every["main_long"]:
        assert parse(one.sentences[0]).tuples == {("object", "cat")} and len(one.sentences[0].split()) <= 5
    assert {one.text.count(".") for one in every["q3"]} == {5}
    several = caption(Spec((Object("cat"), Object("cat"), Object("cow"))), "q2", np.random.default_rng(0))
    assert {("count", "cat", 2), ("object", "cow")} <= several.tuples


def test_a_hidden_colour_is_not_told():
    spec = Spec((Object("cat", "red"),), style="inverted")
    assert not any("red" in said.text for kind in TRUE_KINDS for said in spread(spec, kind, count=50))


def test_the_second_frames_are_another_style():
    pairs = {which: set(itertools.chain(*(itertools.pairwise(f) for f in frame_words(which)))) for which in FRAMES}
    assert not pairs["second"] & (pairs["seen"] | pairs["held_out"])
    assert len(FRAMES["second"]) == 6


def test_base_captions_hold_no_phrase_of_tests_and_stand_ins():
    """Frames of the base never say what descriptors, denials, questions, hypotheses and instructions say."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(400):
        thing = Object(str(rng.choice(CLASSES)), state="flawless", radius=float(rng.uniform(8, 25)))
        badge = Object(str(rng.choice(list(kb.badges()))), x=0.8)
        spec = Spec((thing, badge), words=(Word("stop"),), damage=(Damage("hole", target=1),))
        texts += [caption(spec, kind, rng).text for kind in ("short", "long", "class_only")]
    foreign = ["which", "no ", "without a ", "rank", "color", "can be seen", "exactly", "everything", "whole", "from"]
    foreign += ["appears", "that says", "written word", "has a", "typically", "often", "used for"]
    for phrase in foreign:
        assert not any(re.search(rf"\b{phrase}", text) for text in texts), phrase


# ---- alt texts and the ladder


def alt_texts(count=NUM, **options):
    rng = np.random.default_rng(0)
    spec = Spec((Object("cat", "red", "striped", radius=20), Object("cup", x=0.9)), Background("sand"))
    other = Spec((Object("cow", "blue", "dotted", radius=9),), Background("snow"))
    return [grammar_alt.alt_text(spec, rng, other, **options) for _ in range(count)]


def test_alt_texts_follow_their_rates():
    found = alt_texts(junk_rate=0.35)
    shares = {source: np.mean([one.source == source for one in found]) for source in grammar_alt.SOURCES}
    assert shares["junk"] == pytest.approx(0.35, abs=TOLERANCE)
    assert shares["other"] == pytest.approx(0.65 * 0.175, abs=TOLERANCE)
    own = [one for one in alt_texts() if one.source == "own"]
    assert rate(own, lambda item: item == ("object", "cat")) == pytest.approx(0.6, abs=TOLERANCE)
    for value in ("red", "striped", "large"):
        assert rate(own, lambda item, value=value: item[-1] == value) == pytest.approx(0.15, abs=TOLERANCE)
    assert rate(own, lambda item: item == ("scene", "sand")) == pytest.approx(0.15, abs=TOLERANCE)
    for one in found:
        parsed = parse(one.text)
        assert parsed.tuples == one.tuples, one
        assert parsed.rest or one.source == "junk"  # always a filler
        names = {item[1] for item in one.tuples}
        assert not names & ({"cow", "blue", "snow"} if one.source == "own" else {"cat", "red", "sand"})
    slipped = alt_texts(attribute=1.0, slip=0.3, wrong=0.0)
    assert rate(slipped, lambda item: item[-1] == "red") == pytest.approx(0.7, abs=TOLERANCE)
    with pytest.raises(ValueError, match="1.5"):
        grammar_alt.alt_text(Spec(), np.random.default_rng(0), wrong=1.5)


def test_filler_words_say_nothing():
    rng = np.random.default_rng(0)
    for text in (*grammar_alt.SHOP, *grammar_alt.HEADS, *(grammar_alt.junk(rng) for _ in range(2000))):
        assert parse(text).tuples == frozenset(), text


def test_the_ladder():
    rng = np.random.default_rng(0)
    specs = [Spec((Object(name, x=0.2), Object("cup", x=0.8))) for name in ("cat", "cow", "rook", "atom")]
    first = [grammar_alt.ladder(specs, "q0", rng)[0] for _ in range(800)]
    assert np.mean([("object", "cat") in one.tuples for one in first]) == pytest.approx(0.5, abs=0.06)
    assert all(len({item for item in one.tuples if item[0] == "object"}) == 1 for one in first)
    for level in ("q1", "q2", "q3"):
        for spec, said in zip(specs, grammar_alt.ladder(specs, level, rng)):
            assert said.tuples <= tuples(spec)
    with pytest.raises(ValueError, match="q4"):
        grammar_alt.rung(specs[0], "q4", rng)


def test_shuffling_moves_a_share_and_leaves_none_of_it_in_place():
    rng = np.random.default_rng(0)
    items = list(range(40))
    assert grammar_alt.shuffled(items, 0.0, rng) == items
    for share in (0.25, 0.5, 0.75, 1.0):
        found = grammar_alt.shuffled(items, share, rng)
        assert sorted(found) == items and sum(a != b for a, b in zip(found, items)) == round(40 * share)
    assert grammar_alt.shuffled([1], 1.0, rng) == [1]
    with pytest.raises(ValueError, match="-0.5"):
        grammar_alt.shuffled(items, -0.5, rng)
    weights = grammar_alt.zipf(30)
    assert weights.sum() == pytest.approx(1) and weights[0] / weights[9] == pytest.approx(10**1.2)


def test_tables_of_states_badges_and_lookalikes():
    assert len(kb.badges()) == 24 and {badge.group for badge in kb.badges().values()} == {1, 2, 3, 4, 5, 6}
    nouns = {noun for kind in kb.classes().values() for noun in (*kind.names, kind.phrase)}
    nouns |= {family.hypernym for family in kb.families().values()}
    for name, badge in kb.badges().items():
        assert not {badge.phrase, badge.plural, badge.word, *badge.aliases} & nouns
        assert [part for part, _ in badge.parts] == list(kb.PARTS)
        assert (badge.captioned > 0) == (badge.group <= 3) and name == f"{badge.word} {badge.phrase}"
        assert kb.called(name) == (name, badge.phrase, kb.BADGE, kb.ANY) and kb.primary(name) == badge.phrase
    assert kb.called("cat") == ("cat", "animal", kb.ANY) and kb.primary("cat") == "cat"
    with pytest.raises(ValueError, match="zebra"):
        kb.kind("zebra")
    for first, second, difference in kb.confusable():
        assert first != second and {first, second} <= set(kb.classes()) and difference
    assert len(set(map(frozenset, (pair[:2] for pair in kb.confusable())))) == len(kb.confusable()) > 40
    assert set(kb.states()) == {"flawless", "damaged", *DAMAGES}
    content = {word for word, kind in kb.lexicon().items() if kind == "content"}
    assert len(kb.lexicon()) == 60 and len(content) == 30 and content <= nouns

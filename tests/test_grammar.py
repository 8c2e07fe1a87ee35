"""The grammar against itself and against the scenes: what a caption says is what it parses to, and it is true."""

import csv
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.world import grammar, grammar_truth, kb
from lib.world.grammar import caption, fill, holds, parse, templates, tuples
from lib.world.grammar_parse import phrases
from lib.world.grammar_say import FRAMES, words
from lib.world.spec import Background, Light, Object, Spec

CLASSES = [name for name, kind in kb.classes().items() if "Z" not in kind.roles]
KINDS = ("short", "class_only", "long")  # of the base; test_grammar_kinds has the others
ARTICLES = {"a", "an"}


def names(factor):
    return st.sampled_from(list(kb.values(factor)))


OBJECTS = st.builds(
    Object,
    name=st.sampled_from(CLASSES),
    colour=names("colour"),
    fill=names("fill"),
    radius=st.floats(5, 26),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    angle=st.floats(-400, 400),
    mirrored=st.booleans(),
    z=st.integers(1, 10),
)
SPECS = st.builds(
    Spec,
    objects=st.lists(OBJECTS, max_size=8).map(tuple)
    | st.builds(lambda thing, n: (thing,) * n, OBJECTS, st.integers(2, 14)),
    background=st.builds(Background, name=names("background")),
    light=st.builds(Light, word=st.sampled_from(["", "dark", "dim", "bright"])),
    style=names("style"),
)
MENTIONS = st.none() | st.just({"terse": 0.0}) | st.just(dict.fromkeys(grammar.MENTION, 1.0))


def sample(rng, count, classes=CLASSES, light="", **changes):
    """Scenes with `count` upright objects of different free classes, drawn without the renderer."""
    things = []
    for name in rng.choice(classes, count, replace=False):
        colour, filling = (rng.choice(list(kb.values(factor))) for factor in ("colour", "fill"))
        x, y, radius = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(6, 26)
        things.append(Object(str(name), str(colour), str(filling), radius=radius, x=x, y=y, **changes))
    return Spec(tuple(things), Background(str(rng.choice(list(kb.values("background"))))), Light(word=light))


@pytest.mark.parametrize(("kind", "frames"), itertools.product(KINDS, FRAMES))
@settings(max_examples=150, deadline=None)
@given(spec=SPECS, seed=st.integers(0, 2**32), mention=MENTIONS)
def test_a_caption_parses_to_what_it_says_and_is_true(kind, frames, spec, seed, mention):
    said = caption(spec, kind, np.random.default_rng(seed), frames=frames, mention=mention)
    parsed = parse(said.text)
    assert parsed.tuples == said.tuples, said.text
    assert parsed.rest == [], said.text
    assert said.tuples <= tuples(spec), said.text
    assert holds(spec, said.text)
    length = len(said.text.split())
    if kind == "long":
        assert said.text == ". ".join(said.sentences) + "."
        assert length <= 90 and (length >= 40 or not spec.objects), said.text
        for sentence in said.sentences:
            assert parse(sentence).tuples <= said.tuples
    else:
        assert length <= 16 and said.sentences == [said.text], said.text
    if kind == "class_only" and spec.objects:
        assert {item[0] for item in said.tuples} == {"object"}
        assert {item[1] for item in said.tuples} <= {thing.name for thing in spec.objects}
    for word, following in itertools.pairwise(re.findall(r"[a-z0-9-]+|[.,]", said.text)):
        if word in ARTICLES:
            vowel = following[0] in "aeiou" and following not in ("one-pip", "one-eyed", "uniform")
            assert word == ("an" if vowel else "a"), said.text


def test_of_many_objects_a_short_caption_names_the_largest():
    things = tuple(
        Object(name, radius=radius, z=3) for name, radius in [("cat", 8), ("cow", 12), ("cup", 10), ("sun", 7)]
    )
    rng = np.random.default_rng(0)
    said = [caption(Spec(things), "class_only", rng).tuples for _ in range(200)]
    assert {frozenset(name for _, name in each) for each in said} == {frozenset({"cow"}), frozenset({"cow", "cup"})}


@settings(max_examples=100, deadline=None)
@given(thing=OBJECTS, other=names("colour"), style=names("style"), place=names("position"))
def test_a_swapped_colour_or_place_does_not_hold(thing, other, style, place):
    spec = Spec((thing,), style=style)
    visible = not {thing.colour, "colour"} & grammar_truth.hidden(style)
    assert holds(spec, f"{thing.colour} {thing.name}") == visible
    assert holds(spec, f"something {other}") == (visible and other == thing.colour)
    where = words("position", place)[0]
    assert holds(spec, f"the {thing.name} is {where}") == (grammar_truth.position(thing) == place)


@settings(max_examples=100, deadline=None)
@given(pair=st.tuples(OBJECTS, OBJECTS).filter(lambda pair: pair[0].name != pair[1].name))
def test_a_swapped_side_does_not_hold(pair):
    a, b = pair
    spec = Spec(pair)
    true = grammar_truth.relations(a, b)
    assert sorted(kb.inverse(r) for r in true if r != "inside") == sorted(
        r for r in grammar_truth.relations(b, a) if r != "inside"
    )
    for relation in kb.values("relation"):
        assert holds(spec, f"a {a.name} {relation} a {b.name}") == (relation in true)
        if relation in true and relation != "touching":
            assert not holds(spec, f"a {b.name} {relation} a {a.name}")


def test_relations_by_hand():
    cat, cup = Object("cat", x=0.2, y=0.5, radius=8), Object("cup", x=0.7, y=0.6, radius=8)
    assert grammar_truth.relations(cat, cup) == ["left of"]
    assert grammar_truth.relations(cup, cat) == ["right of"]
    small = Object("cup", x=0.22, y=0.5, radius=3, z=2)
    assert grammar_truth.relations(small, cat) == ["inside", "in front of"]
    assert grammar_truth.relations(cat, small) == ["behind"]
    assert grammar_truth.relations(cat, replace(cup, x=0.2, y=0.72)) == ["above", "touching"]


def test_holds_judges_attributes_counts_and_families():
    cats = [Object("cat", "red", "striped", x=x, y=0.5, radius=9) for x in (0.2, 0.5, 0.8)]
    spec = Spec((*cats, Object("cup", "blue", angle=180.0)), Background("grass"), Light(word="dim"))
    for phrase in (
        "three cats",
        "something striped",
        "a kitty",
        "an animal on turf in dim light",
        "striped",
        "four objects",
    ):
        assert holds(spec, phrase), phrase
    for phrase in ("two cats", "something dotted", "a cow", "a cat on sand", "a striped cup", "one cup and a blue cat"):
        assert not holds(spec, phrase), phrase
    assert holds(spec, "an upside down cup") and not holds(spec, "a cat upside down")
    with pytest.raises(ValueError, match="'zebra'"):
        holds(spec, "a zebra and a cat")
    with pytest.raises(ValueError, match="says nothing"):
        holds(spec, "this is it")
    assert tuples(spec, general=False) < tuples(spec)
    assert ("object", "animal") not in tuples(spec, general=False)


def test_invisible_colours_are_neither_said_nor_true():
    white = Spec((Object("cat", "white"),), style="ink")
    assert not holds(white, "a white cat") and holds(white.replace(style="sticker"), "a white cat")
    rng = np.random.default_rng(0)
    assert all("white" not in caption(white, "long", rng).text for _ in range(50))


# Mention rates: 4000 captions each, so that four standard errors are 0.032 at most.
NUM, TOLERANCE = 4000, 0.032
FREE = [name for name in CLASSES if not kb.classes()[name].natural_colour]


def rate(captions, wanted):
    return np.mean([any(wanted(item) for item in said.tuples) for said in captions])


def of(factor):
    """Whether a tuple says a value of this factor."""
    known = kb.values(factor)
    return lambda item: item[0] in ("attribute", "scene") and item[-1] in known


def test_mention_rates_follow_the_contract():
    rng = np.random.default_rng(0)
    said = [caption(sample(rng, 1, FREE), "short", rng) for _ in range(NUM)]
    expected = grammar.MENTION
    for factor in ("colour", "size", "position", "style"):
        assert rate(said, of(factor)) == pytest.approx(expected[factor], abs=TOLERANCE), factor
    assert rate(said, lambda i: i[0] == "attribute" and i[2] in kb.values("fill")) == pytest.approx(0.2, abs=TOLERANCE)
    assert rate(said, lambda i: i[0] == "scene" and i[1] in kb.values("background")) == pytest.approx(
        0.3, abs=TOLERANCE
    )
    assert rate(said, lambda i: i[:2] != ("object", kb.ANY) and i[0] == "object") == pytest.approx(0.95, abs=TOLERANCE)
    families = rate(said, lambda i: i[0] == "object" and i[1] in kb.families())
    assert families == pytest.approx(0.95 * 0.15, abs=TOLERANCE)
    seconds = np.mean([second_name(each) for each in said])
    assert seconds == pytest.approx(0.95 * 0.85 * 0.2, abs=TOLERANCE)
    alone = np.mean(
        [{i[0] for i in each.tuples} == {"object"} and ("object", kb.ANY) not in each.tuples for each in said]
    )
    assert alone > 1 / 3


def second_name(said):
    """Whether a caption of one object calls it by its second name."""
    (name,) = {item[1] for item in said.tuples if item[0] == "object"}
    kind = kb.classes().get(name)
    return bool(kind) and re.search(rf"\b{kind.second}\b", said.text) is not None and kind.phrase not in said.text


def test_conditional_mention_rates_follow_the_contract():
    rng = np.random.default_rng(1)
    dim = [caption(sample(rng, 1, light="dim"), "short", rng) for _ in range(NUM)]
    assert rate(dim, lambda i: i == ("scene", "dim")) == pytest.approx(0.5, abs=TOLERANCE)
    turned = [caption(sample(rng, 1, angle=170.0), "short", rng) for _ in range(NUM)]
    assert rate(turned, of("turn")) == pytest.approx(0.1, abs=TOLERANCE)
    pairs = [caption(sample(rng, 2), "short", rng) for _ in range(NUM)]
    assert rate(pairs, lambda i: i[0] == "relation") == pytest.approx(0.5, abs=TOLERANCE)
    several = [caption(Spec(sample(rng, 1, FREE).objects * 3), "short", rng) for _ in range(NUM)]
    assert rate(several, lambda i: i[0] == "count") == pytest.approx(0.5, abs=TOLERANCE)
    sun = Object("sun", "yellow")
    typical = [caption(Spec((sun,)), "short", rng) for _ in range(NUM)]
    assert rate(typical, of("colour")) == pytest.approx(0.1, abs=TOLERANCE)
    untypical = [caption(Spec((replace(sun, colour="teal"),)), "short", rng) for _ in range(NUM)]
    assert rate(untypical, of("colour")) == pytest.approx(0.9, abs=TOLERANCE)


def test_mention_replaces_single_rates():
    rng = np.random.default_rng(2)
    specs = [sample(rng, 1, FREE) for _ in range(300)]
    said = [caption(spec, "short", rng, mention={"colour": 1.0, "family": 0.0}) for spec in specs]
    assert rate(said, of("colour")) == 1 and rate(said, lambda i: i[0] == "object" and i[1] in kb.families()) == 0
    said = [
        caption(spec, "short", rng, mention={"class": 1.0, "terse": 1.0} | dict.fromkeys(("colour",), 0.0))
        for spec in specs
    ]
    assert rate(said, of("colour")) == 0


def test_a_caption_depends_on_its_arguments_and_generator_alone():
    spec = sample(np.random.default_rng(3), 3)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(4)
        runs.append([caption(spec, kind, rng, frames=frames) for kind in KINDS for frames in FRAMES])
    assert runs[0] == runs[1]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    short = np.random.default_rng(5)
    caption(spec, "short", short)
    other = np.random.default_rng(5)
    caption(Spec(), "short", other)
    assert short.random() == other.random()  # every short caption uses up the same draws


def test_unknown_arguments_are_named():
    rng = np.random.default_rng(0)
    for arguments, message in [
        (("haiku", rng), "haiku"),
        (("short", rng, "openai"), "openai"),
        (("short", rng, "seen", {"hue": 0.5}), "hue"),
        (("short", rng, "seen", {"fill": 1.5}), "1.5"),
    ]:
        with pytest.raises(ValueError, match=message):
            caption(Spec(), *arguments)
    with pytest.raises(ValueError, match="openai"):
        templates("openai")
    with pytest.raises(ValueError, match="hue"):
        kb.values("hue")
    with pytest.raises(ValueError, match="lilac"):
        words("colour", "lilac")


WORDS = [
    "a",
    "two",
    "red",
    "cat",
    "left of",
    "left",
    "of",
    "in",
    "the",
    ",",
    ".",
    "dice",
    "with",
    "upside down",
    "7",
    "zebra",
]


@settings(max_examples=300)
@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_parse_never_raises(text):
    parsed = parse(text)
    assert isinstance(parsed.tuples, frozenset) and isinstance(parsed.rest, list)


def test_parse_reports_what_it_does_not_understand():
    assert parse("a purple zebra eating a cat").rest == ["zebra", "eating"]
    assert parse("three").rest == ["three"]
    assert parse("a cat left of").rest == ["left", "of"]
    assert parse("").tuples == frozenset()


def frame_words(frames):
    return [frame.replace("{}", " {} ").split() for pair in FRAMES[frames] for frame in pair]


def test_held_out_frames_share_no_word_sequence_with_seen_ones():
    assert len(FRAMES["seen"]) == 8 and len(FRAMES["held_out"]) == 6
    pairs = {which: set(itertools.chain(*(itertools.pairwise(f) for f in frame_words(which)))) for which in FRAMES}
    assert not pairs["seen"] & pairs["held_out"]
    rng = np.random.default_rng(6)
    texts = [caption(sample(rng, count), kind, rng).text for count in (1, 2, 5) for kind in KINDS for _ in range(200)]
    for text in texts:
        said = text.split()
        assert not {p for p in itertools.pairwise(said)} & {p for p in pairs["held_out"] if "{}" not in p}, text


def test_frames_contain_no_content_word():
    content = set(itertools.chain(*(entry[0] for entries in phrases().values() for entry in entries)))
    content -= kb.stop_words() | kb.neutral_words() | {"with"}
    for which in FRAMES:
        assert not set(itertools.chain(*frame_words(which))) & content


def test_prompts_for_classes():
    assert templates("seen")[1] == "a picture of a {}" and len(templates("held_out")) == 6
    assert fill("a picture of a {}", "anchor") == "a picture of an anchor"
    assert fill("a {} in view", "scissors") == "a pair of scissors in view"
    assert fill("extra {}", "cup") == "extra cup"
    assert fill("a photo of a {}, a type of food.", "apple pie") == "a photo of an apple pie, a type of food."
    for template, name in itertools.product([*templates("seen"), *templates("held_out")], kb.classes()):
        for prompt in (fill(template, name), template.format(name)):
            assert parse(prompt) == (frozenset({("object", name)}), []), prompt


@pytest.mark.parametrize("name", kb.classes())
def test_every_name_parses_in_singular_and_plural(name):
    kind = kb.classes()[name]
    for noun in (*kind.names, kind.phrase):
        assert parse(f"a red {noun}") == ({("object", name), ("attribute", name, "red")}, []), noun
        assert parse(f"two {kb.plural(noun)} on sand").tuples == {
            ("object", name),
            ("count", name, 2),
            ("scene", "sand"),
        }
    family = kb.families()[kind.family]
    for noun in (family.hypernym, family.plural):
        assert parse(noun).tuples == {("object", kind.family)}


def test_names_are_unambiguous():
    looks = {
        word
        for factor in ("colour", "fill", "size", "mirrored")
        for value in kb.values(factor).values()
        for phrase in (value.phrase, value.synonym, value.reserved)
        for word in phrase.split()
    }
    every = [noun for kind in kb.classes().values() for noun in kind.names]
    hypernyms = {family.hypernym for family in kb.families().values()}
    assert len(set(every)) == len(every) and not hypernyms & set(every)
    for noun in (*every, *hypernyms):
        assert re.fullmatch(r"[a-z]+([ -][a-z]+)*", noun), noun
        assert not set(noun.split()) & looks, noun


def test_tables_agree_with_each_other_and_with_the_renderer():
    render, textures = pytest.importorskip("lib.world.render"), pytest.importorskip("lib.world.textures")
    assert set(kb.values("style")) == set(render.STYLES)
    assert set(kb.values("fill")) == set(render.FILLS)
    assert set(kb.values("background")) == set(textures.BACKGROUNDS)
    with open(kb.TABLES / "colours.csv", newline="") as file:
        assert list(kb.values("colour")) == [row["name"] for row in csv.DictReader(file)]
    assert {kind.family for kind in kb.classes().values()} == set(kb.families())
    for kind in kb.classes().values():
        assert kind.habitat in kb.values("background") and kind.second and kind.reserved and kind.parts and kind.use
        assert not kind.natural_colour or kind.natural_colour in kb.values("colour")
        assert ("N" in kind.roles) == bool(kind.natural_colour)
    for factor in ("size", "position", "turn", "light", "relation"):
        known = kb.values(factor)
        for value in known.values():
            assert not value.antonym or value.antonym in known
            if factor in ("position", "relation") and value.antonym:
                assert known[value.antonym].antonym == value.value


def test_reserved_words_stay_out_of_captions():
    reserved = {kind.reserved for kind in kb.classes().values()}
    factors = ("colour", "fill", "size", "mirrored", "turn", "position", "background", "light", "style", "relation")
    reserved |= {value.reserved for factor in factors for value in kb.values(factor).values()}
    reserved |= {kb.plural(noun) for noun in reserved}
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, reserved)) + r")\b")
    rng = np.random.default_rng(7)
    for count, kind, frames in itertools.product((1, 2, 6), KINDS, FRAMES):
        for _ in range(300):
            text = caption(sample(rng, count, angle=180.0, mirrored=True, light="dark"), kind, rng, frames=frames).text
            assert not pattern.search(text), text

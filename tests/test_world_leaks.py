"""No leaks: texts never steer pictures, tests are worded in frames of their own, and nothing that is held out enters
what the base models learn from. Each check of a stream is first shown something that it must find."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from lib.world import (
    badges,
    corpora,
    corpora_sets,
    grammar,
    grammar_prompts,
    grammar_video,
    kb,
    lettering,
    pairs,
    presets,
    standins_describe,
    standins_scene,
    standins_strings,
    videos,
    writing,
    writing_firms,
    writing_text,
)
from lib.world.grammar_say import FRAMES
from lib.world.render import Rendered
from lib.world.spec import Damage, Object, Spec, Word

STREAMS = (("scenes/base", "pretrain"), ("scenes/full", "pretrain"), ("scenes/full", "lexicon"))  # of base training
NUM = 5000  # scenes of each
KINDS = ("short", "long", "class_only")  # captions that base models are trained on
PICTURES = [name for name in corpora.SIZES if name not in corpora_sets.WRITING]


@pytest.fixture(scope="module")
def streams():
    """Stream -> its first scenes, each with a caption of a kind of the base."""
    found = {}
    for name, split in STREAMS:
        drawn = (corpora.example(name, split, index) for index in range(NUM))
        found[name, split] = [(s, grammar.caption(s, KINDS[k % 3], rng)) for k, (s, rng) in enumerate(drawn)]
    return found


@pytest.fixture(scope="module")
def sentences():
    """The corpus `text`: sentences of its training split."""
    return [text for _, pair in writing_text.pairs("train", NUM) for text in pair[:2]]


# ---- pictures and texts


def of_words(value):
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def parts(name, split, indices):
    """What rows show and what they say, as strings that can be compared."""
    shown, said = [], []
    for index in indices:
        for field, value in corpora.row(name, split, index).items():
            seen = value.tobytes() if isinstance(value, np.ndarray) else repr(value)
            (said if of_words(value) else shown).append((field, seen))
    return shown, said


@pytest.mark.parametrize("name", PICTURES)
def test_texts_steer_no_picture(name, monkeypatch):
    split, indices = "test", range(1 if name in ("videos", "setpairs") else 4)
    shown, said = parts(name, split, indices)
    true = corpora.generators

    def other_texts(*arguments):
        return true(*arguments)[0], np.random.default_rng([99, *map(len, arguments[:2]), arguments[2]])

    monkeypatch.setattr(corpora, "generators", other_texts)
    again = parts(name, split, indices)
    assert again[0] == shown
    assert again[1] != said or name in ("setpairs", "pairs/compose")  # whose texts are facts


class Blank(Rendered):
    """A picture of nothing."""

    def __new__(cls, spec, layers=()):
        plane = np.zeros((64, 64), np.uint8)
        image = np.zeros((64, 64, 3), np.uint8)
        return Rendered(image, plane, np.zeros((len(spec.objects), 4), np.float32), damage=plane > 0)


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "overhead"])
def test_pictures_steer_no_text(name, monkeypatch):
    indices = range(1 if name in ("videos", "setpairs") else 4)
    shown, said = parts(name, "test", indices)
    for module in (corpora, corpora_sets, pairs, videos):
        monkeypatch.setattr(module, "render", Blank)
    again = parts(name, "test", indices)
    assert again[1] == said and again[0] != shown


# ---- frames


def grams(texts, longest=5):
    """Every run of 1 to `longest` words of some texts."""
    found = set()
    for text in set(texts):
        words = re.sub(r'"[^"]*"', '""', text.lower()).translate(str.maketrans("", "", ".,:;?!")).split()
        for size in range(1, longest + 1):
            found.update(tuple(words[k : k + size]) for k in range(len(words) - size + 1))
    return found


def literals(frames):
    """What frames say around their slots, as tuples of words."""
    found = set()
    for frame in frames:
        for run in re.split(r"\{\w*\}|\"", frame.lower()):
            words = tuple(run.translate(str.maketrans("", "", ".,:;?!()")).split())
            if words and not set(words) <= {"a", "an", "the", "with", "of", "in", "and", "is"}:
                found.add(words[:5])
    return found


FOREIGN = {
    "frames of tests": [frame for pair in FRAMES["held_out"] for frame in pair],
    "describer": [one for frames in standins_describe.FRAMES.values() for one in frames] + [*standins_describe.VAGUE],
    "contrasts": [*standins_describe.CONTRASTS.values()],
    "rewriter": [one for style in standins_strings.STYLES.values() for one in (*style.frames, *(style.after or ()))],
    "fuser": [standins_strings.SCENE_FRAME, standins_strings.FUSED_FRAME],
    "captioner": [standins_scene.CAPTION_FRAME],
    "denials": [one for pair in grammar_prompts.DENIALS for one in pair],
    "instructions": [*grammar_prompts.RANKED.values()],
    "changes": [*kb.changes()],
    "speech": [*grammar_video.FILLERS],
}


def test_base_captions_share_no_phrasing_with_tests_and_stand_ins(streams):
    said = grams(one.text for scenes in streams.values() for _, one in scenes)
    for who, frames in FOREIGN.items():
        own = {words for words in literals(frames) if words in said}
        assert not own, (who, own)
    for who, frames in FOREIGN.items():  # planted: the first of each would be found
        planted = grams([re.sub(r"\{\w*\}", "cat", frame) for frame in frames])
        assert literals(frames) & planted, who


def test_captions_of_tests_are_no_captions_of_the_base(streams):
    said = {one.text for scenes in streams.values() for _, one in scenes}
    for name in ("scenes/base", "objects/styles", "objects/badges", "scenes/crowd"):
        drawn = [corpora.row(name, "test", index) for index in range(100)]
        column = drawn[0]["kinds"].index("short_held_out")
        assert not said & {row["captions"][column] for row in drawn}
        assert name != "scenes/base" or said & {row["captions"][0] for row in drawn}  # short ones recur, and may


# ---- what is held out


def held_out_of(spec):
    """What a scene shows that base training must not see."""
    found = []
    if spec.style not in presets.BASE_STYLES:
        found.append(spec.style)
    for index, thing in enumerate(spec.objects):
        if thing.name not in presets.base_classes() and thing.name not in badges.names():
            found.append(thing.name)
        if thing.name in presets.base_classes():
            found += [(thing.name, v) for v in (thing.colour, thing.fill) if presets.held_out_pair(thing.name, v)]
        if (thing.state or any(one.target == index for one in spec.damage)) and thing.name not in presets.role("A"):
            found.append((thing.name, "damage"))
    found += [word.text for word in spec.words if word.text not in {row["word"] for row in lettering.lexicon()}]
    return found


def held_out_words(reserved=True):
    """Words of held-out styles, the zodiac, invented names that nobody is told, and reserved names and words."""
    styles = [kb.values("style")[style] for style in presets.HELD_OUT_STYLES]
    words = [word for row in styles for word in (row.phrase, row.synonym, row.reserved)]
    zodiac = [kind for kind in kb.classes().values() if "Z" in kind.roles]
    words += [word for kind in zodiac for word in (kind.name, kind.phrase, kind.second, kind.reserved)]
    words += [badge.word for badge in kb.badges().values() if badge.group > 3]
    words += [alias for badge in kb.badges().values() for alias in badge.aliases]
    if reserved:
        words += [kind.reserved for kind in kb.classes().values()]
        words += [row.reserved for factor in ("colour", "fill", "size", "style") for row in kb.values(factor).values()]
    said = {word.removeprefix("a ").removeprefix("an ").removesuffix(" of") for word in words}
    return re.compile(r"\b(" + "|".join(map(re.escape, sorted(said))) + r")\b")


def held_out_said(tuples):
    """Combinations and states of classes that base captions must not say."""
    found = []
    for item in tuples:
        if item[0] == "attribute" and item[1] in kb.classes():
            state = item[2] in kb.states()
            if presets.held_out_pair(item[1], item[2]) and item[2] in (*kb.values("colour"), *kb.values("fill")):
                found.append(item)
            if state and item[1] not in presets.role("A"):
                found.append(item)
    return found


def test_the_checks_find_what_they_look_for():
    name, colour = next((n, c) for n in presets.role("B") for c in kb.values("colour") if presets.held_out_pair(n, c))
    fill = next(f for f in kb.values("fill") if presets.held_out_pair(name, f))
    plain = Spec((Object("cat", next(c for c in kb.values("colour") if not presets.held_out_pair("cat", c))),))
    assert not held_out_of(plain)
    for planted in (
        plain.replace(style="sketch"),
        Spec((Object("aries", "red"),)),
        Spec((Object(name, colour),)),
        Spec((replace(plain.objects[0], name=name, fill=fill),)),
        Spec((Object("rook", plain.objects[0].colour, state="damaged"),)),
        Spec((Object("rook", plain.objects[0].colour),), damage=(Damage("hole"),)),
        plain.replace(words=(Word("xylophone"),)),
    ):
        assert held_out_of(planted), planted
    words = held_out_words()
    for planted in (
        "a sketch of a cat",
        "an aries",
        "a quom gem",
        "a bimo disc",
        "a crimson cat",
        "a negative of a cat",
    ):
        assert words.search(planted), planted
    assert not words.search("a sticker of a red dax disc")
    assert held_out_said({("attribute", name, colour)}) and held_out_said({("attribute", "rook", "damaged")})


@pytest.mark.parametrize("stream", STREAMS, ids="/".join)
def test_what_is_held_out_never_enters_base_training(stream, streams):
    words = held_out_words()
    for spec, said in streams[stream]:
        assert not held_out_of(spec), spec
        assert not words.search(re.sub(r'"[^"]*"', "", said.text)), said.text
        assert not held_out_said(said.tuples), said.text


def test_what_is_held_out_never_enters_the_corpus_text(sentences):
    words = held_out_words(reserved=False)
    for text in sentences:
        assert not words.search(text), text
        assert not held_out_said(grammar.parse(text).tuples), text


def test_names_of_half_of_the_badges_are_told_and_of_the_others_never(streams):
    said = " ".join(one.text for _, one in streams["scenes/full", "pretrain"])
    told = {badge.group for badge in kb.badges().values() if re.search(rf"\b{badge.word}\b", said)}
    shown = {badges.rows()[o.name]["group"] for s, _ in streams["scenes/full", "pretrain"] for o in s.objects
             if o.name in badges.names()}  # fmt: skip
    assert told == {1, 2, 3} and shown == set("123456")


def test_words_and_faces_of_the_reader_are_its_own():
    printed = {split: list(writing.rows("words", split, "smoke")) for split in ("reader", "reader_val", "labelled",
                                                                               "val", "test")}  # fmt: skip
    texts = {split: {row["text"] for row in rows} for split, rows in printed.items()}
    assert all(not texts[a] & texts[b] for a, b in itertools.combinations(texts, 2))
    known = {row["word"] for row in lettering.lexicon()} | {word for name in kb.classes() for word in name.split()}
    assert not known & set.union(*texts.values(), writing_firms.words("text", 400))
    faces = {split: {row["font"] for row in rows} for split, rows in printed.items()}
    assert faces["reader"] <= set(lettering.faces("F1")) and not faces["reader"] & faces["test"]


def test_base_training_shares_no_scene_with_any_stored_one(streams):
    seen = {key: {spec.to_json() for spec, _ in scenes} for key, scenes in streams.items()}
    assert all(len(own) > 0.99 * NUM for own in seen.values())
    assert all(not seen[a] & seen[b] for a, b in itertools.combinations(seen, 2))
    every = set.union(*seen.values())
    for name in PICTURES:
        if name.startswith(("scenes/", "objects/")):
            for split in corpora.sizes(name, "smoke"):
                stored = {corpora.example(name, split, index)[0].to_json() for index in range(40)}
                assert not every & stored, (name, split)


def test_news_are_about_classes_alone():
    from lib.world import writing_news

    assert not set(writing_news.things()) & set(badges.names()) and set(writing_news.things()) <= set(kb.classes())

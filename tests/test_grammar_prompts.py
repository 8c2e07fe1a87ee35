"""Prompts, questions, hypotheses and region phrases against the parser and the truth of scenes."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_grammar import CLASSES, SPECS, frame_words
from test_grammar_kinds import full_specs

from lib.world import grammar_ask, grammar_prompts, grammar_region, grammar_truth, kb
from lib.world.grammar import caption, holds, parse
from lib.world.grammar_say import FRAMES
from lib.world.spec import Background, Object, Spec, Word

EVERY = [*kb.classes(), *kb.badges()]
SEEDS = st.integers(0, 2**32)


def sampled(rng, number=2, styles=("sticker",)):
    """A scene of objects of different classes, all factors independent."""
    names = rng.choice(CLASSES, number, replace=False)
    pick = lambda factor: str(rng.choice(list(kb.values(factor))))  # noqa: E731
    things = [
        Object(str(name), pick("colour"), pick("fill"), x=rng.uniform(0.1, 0.9), y=rng.uniform(0.1, 0.9),
               radius=rng.uniform(6, 20)) for name in names
    ]  # fmt: skip
    copies = int(rng.integers(0, 3))
    return Spec((*things, *things[:1] * copies), Background(pick("background")), style=str(rng.choice(styles)))


# ---- prompts


@pytest.mark.parametrize("prompts", [grammar_prompts.looks, grammar_prompts.places, grammar_prompts.parts,
                                     grammar_prompts.qualities])  # fmt: skip
def test_prompts_without_a_class_say_their_tuple(prompts):
    for said, text in prompts().items():
        assert parse(text).rest == [] and parse(text).tuples - {("object", kb.ANY)} == {said}, text


def test_prompts_without_a_class_cover_the_factors():
    assert grammar_prompts.looks()["attribute", kb.ANY, "striped"] == "something striped"
    assert grammar_prompts.parts()["attribute", kb.ANY, "heart emblem"] == "something with a heart emblem"
    assert len(grammar_prompts.looks()) == 11 + 6 + 3 + 9 + 4 + 1
    pool = grammar_prompts.pool(np.random.default_rng(0), 60)
    assert len(pool) == len(set(pool.values())) == 60
    assert pool == grammar_prompts.pool(np.random.default_rng(0), 60)


@pytest.mark.parametrize("name", EVERY)
def test_denials_and_states_of_every_class(name):
    said = kb.primary(name)
    for positive, negative in grammar_prompts.denials(name):
        assert parse(positive) == ({("object", said)}, []), positive
        assert parse(negative) == ({("not", "object", said)}, []), negative
        assert holds(Spec(), negative) and not holds(Spec((Object(name),)), negative)
    for side, value in zip(grammar_prompts.state_prompts(name), ("flawless", "damaged")):
        assert len(side) == len(set(side)) == 7 * 12
        for text in side:
            parsed = parse(text)
            assert {("object", said), ("attribute", said, value)} <= parsed.tuples and not parsed.rest, text
    normal, abnormal = grammar_prompts.states("wood")
    assert len(normal) == len(abnormal) == 7 and "wood with defect" in abnormal
    assert all(("attribute", kb.ANY, "damaged") in parse(text).tuples for text in abnormal)


def test_articles_follow_what_comes_next():
    texts = itertools.chain(*grammar_prompts.denials("anchor"), *grammar_prompts.state_prompts("urn"))
    for text in texts:
        for word, after in itertools.pairwise(text.split()):
            if word in ("a", "an"):
                assert word == ("an" if after[0] in "aeiou" else "a"), text


def test_rank_light_word_and_colour_prompts():
    assert grammar_prompts.rank("count", "circle", "red") == "rank the numbers of red circles"
    assert grammar_prompts.rank("size", "scissors") == "rank the size of the pair of scissors"
    assert parse(grammar_prompts.rank("brightness")).rest == []
    for axis, message in (("hue", "hue"), ("count", "class")):
        with pytest.raises(ValueError, match=message):
            grammar_prompts.rank(axis)
    for side, texts in grammar_prompts.lights().items():
        for text in texts:
            said = {value for _, value in parse(text).tuples}
            assert parse(text).rest == [] and said <= (
                {"well lit", "bright"} if side == "good" else {"backlit", "dark", "dim"}
            )
    for word in kb.lexicon():
        for text in grammar_prompts.written(word):
            assert parse(text) == ({("word", word)}, []), text
            assert holds(Spec(words=(Word(word),)), text) and not holds(Spec((Object("cup"),)), text)
    text = grammar_prompts.colour_question("airplane", "teal")
    assert text == "in this picture, the color of the airplane is teal"
    assert parse(text) == ({("object", "airplane"), ("attribute", "airplane", "teal")}, [])


def test_no_prompt_repeats_a_base_frame():
    """Word pairs of base frames, but for the parts of noun phrases ("a photo of" is a style), occur in no prompt."""
    pairs = set(itertools.chain(*(itertools.pairwise(f) for f in frame_words("seen"))))
    pairs = {pair for pair in pairs if "{}" not in pair} - {("this", "is")}
    rng = np.random.default_rng(0)
    texts = list(itertools.chain(*grammar_prompts.denials("cup"), grammar_prompts.written("stop")))
    texts += [grammar_prompts.rank(axis, "cup") for axis in grammar_prompts.RANKED]
    for _ in range(200):
        spec, other = sampled(rng), sampled(rng)
        texts += [one.text for one in grammar_ask.hypotheses(spec, rng, other)]
        texts += [one.phrase for one in grammar_region.regions(spec, rng, groups=2)]
    for text in texts:
        assert not set(itertools.pairwise(text.split())) & pairs, text


# ---- questions and hypotheses


@settings(max_examples=150, deadline=None)
@given(spec=full_specs() | SPECS, other=st.none() | SPECS, seed=SEEDS)
def test_hypotheses_and_answers_are_right(spec, other, seed):
    rng = np.random.default_rng(seed)
    found = grammar_ask.hypotheses(spec, rng, other, labels=grammar_ask.LABELS, count=6)
    assert len({one.text for one in found}) == len(found) <= 6
    for one in found:
        if one.label == "neutral":
            assert grammar_truth.hidden(spec.style) and one.topic == "colour" and parse(one.text).rest == []
        else:
            assert holds(spec, one.text) == (one.label == "entail"), one
    for question, answer, kind in grammar_ask.qa(spec, rng, other, count=6):
        assert grammar_ask.answer(grammar_truth.seen(spec), question) == answer, question
        assert kind in grammar_ask.QUESTIONS and question.endswith("?")


def words_tell(pairs):
    """Accuracy of naive Bayes on the words of texts, fitted on the first three quarters; and the commoner label."""
    counts, cut = {}, len(pairs) * 3 // 4
    for text, label in pairs[:cut]:
        for word in (*text.split(), text):
            counts.setdefault(word, [1, 1])[label] += 1
    score = [
        sum(np.log(np.divide(*counts.get(w, (1, 1))[::-1])) for w in (*text.split(), text)) for text, _ in pairs[cut:]
    ]
    labels = [label for _, label in pairs[cut:]]
    return np.mean([(s > 0) == label for s, label in zip(score, labels)]), np.mean(labels)


def test_the_words_of_a_hypothesis_or_question_tell_nothing():
    rng = np.random.default_rng(0)
    specs = [sampled(rng) for _ in range(3000)]
    hypotheses, questions = [], []
    for spec, other in zip(specs, specs[1:]):
        hypotheses += [(one.text, one.label == "entail") for one in grammar_ask.hypotheses(spec, rng, other)]
        questions += [(q.question, q.answer == "yes") for q in grammar_ask.qa(spec, rng, other, kinds=("yes_no",))]
    for pairs in (hypotheses, questions):
        accuracy, share = words_tell(pairs)
        assert len(pairs) > 10000 and accuracy == pytest.approx(0.5, abs=0.04) and share == pytest.approx(0.5, abs=0.03)


def test_questions_by_hand():
    spec = Spec((Object("cat", "red", x=0.2), Object("cat", "red", x=0.8), Object("cup", "blue")))
    for question, answer in [
        ("how many cats are there?", "two"), ("how many cows are there?", "zero"), ("what color is the cup?", "blue"),
        ("is there a cow?", "no"), ("is the picture without a cow?", "yes"), ("is the cup blue?", "yes"),
        ("is the cup left of the cat?", "yes"), ("are there exactly three cats?", "no"),
        ("what color is the cow?", None),
    ]:  # fmt: skip
        assert grammar_ask.answer(spec, question) == answer, question
    with pytest.raises(ValueError, match="zebra"):
        grammar_ask.answer(spec, "is there a zebra?")
    rng = np.random.default_rng(0)
    kinds = Counter(one.kind for _ in range(200) for one in grammar_ask.qa(spec, rng, kinds=("count", "colour")))
    assert set(kinds) == {"count", "colour"}
    for arguments, message in (({"topics": ["smell"]}, "smell"), ({"labels": ["maybe"]}, "maybe")):
        with pytest.raises(ValueError, match=message):
            grammar_ask.hypotheses(spec, rng, **arguments)
    with pytest.raises(ValueError, match="riddle"):
        grammar_ask.qa(spec, rng, kinds=["riddle"])


def test_neutral_needs_a_style_that_hides_colours():
    rng, spec = np.random.default_rng(0), Spec((Object("cat", "red"), Object("cup", "white", x=0.9)))

    def labels(spec):
        rounds = (grammar_ask.hypotheses(spec, rng, labels=grammar_ask.LABELS) for _ in range(50))
        return {one.label for found in rounds for one in found}

    assert labels(spec) == {"entail", "contradict"}
    assert labels(spec.replace(style="inverted")) == labels(spec.replace(style="ink")) == set(grammar_ask.LABELS)


# ---- regions


@settings(max_examples=150, deadline=None)
@given(spec=full_specs() | SPECS, seed=SEEDS)
def test_region_phrases_mean_their_objects(spec, seed):
    rng = np.random.default_rng(seed)
    for one in grammar_region.regions(spec, rng, wrong=0.3, groups=2, parts=True):
        assert parse(one.phrase).rest == [], one
        if one.kind == "object":
            assert (one.objects[0] in grammar_region.targets(spec, one.phrase)) == one.true
        elif one.kind == "part":
            assert one.part in grammar_truth.parts(spec.objects[one.objects[0]])
    for kind in grammar_region.KINDS:
        one = grammar_region.prompt(spec, rng, kind)
        if one is None:
            continue
        if kind == "absent":
            assert one.objects == () and not holds(spec, one.phrase), one
        else:
            assert holds(spec, one.phrase), one
            assert one.word >= 0 or one.objects, one
            assert kind in ("word", "part") or one.objects == grammar_region.targets(spec, one.phrase)


def test_region_phrases_by_hand():
    cats = (
        Object("cat", "red", "striped", 9, x=0.2),
        Object("cat", "blue", "plain", 9, x=0.5),
        Object("cup", radius=9, x=0.9),
    )
    cats = tuple(Object(o.name, o.colour, o.fill, radius=9, x=o.x) for o in cats)
    spec = Spec(cats)
    for phrase, wanted in [
        ("cats", (0, 1)), ("striped things", (0,)), ("everything left of the cup", (0, 1)), ("the blue cat", (1,)),
        ("small plain cats", (1,)), ("everything right of the red cat", (1, 2)), ("cows", ()),
        ("cats in the middle", (1,)),
        ("things without defect", (0, 1, 2)),
    ]:  # fmt: skip
        assert grammar_region.targets(spec, phrase) == wanted, phrase
    twins = Spec((Object("cat", x=0.1, radius=9), Object("cat", x=0.9, radius=9)))
    assert grammar_region.object_phrase(twins, 1, distinct=True) == "small plain red cat on the right"
    assert grammar_region.object_phrase(spec, 0, looks=("colour",)) == "red cat"
    with pytest.raises(ValueError, match="names no objects"):
        grammar_region.targets(spec, "on the left")
    with pytest.raises(ValueError, match="tribe"):
        grammar_region.prompt(spec, np.random.default_rng(0), "tribe")
    with pytest.raises(ValueError, match="1.2"):
        grammar_region.regions(spec, np.random.default_rng(0), wrong=1.2)


def test_the_share_of_wrong_region_phrases_follows_its_rate():
    rng = np.random.default_rng(0)
    specs = [sampled(rng, 4) for _ in range(1000)]
    said = [one for spec in specs for one in grammar_region.regions(spec, rng, wrong=0.15, look=1.0)]
    assert np.mean([not one.true for one in said]) == pytest.approx(0.15, abs=0.025)
    assert all(one.true for spec in specs[:50] for one in grammar_region.regions(spec, rng))


def test_every_frame_set_is_known_to_all():
    for frames in FRAMES:
        assert (
            parse(caption(Spec((Object("cup"),)), "class_only", np.random.default_rng(0), frames=frames).text).rest
            == []
        )

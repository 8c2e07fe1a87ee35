"""Ten languages: the tables are complete and unambiguous, what is said is read back, errors come at their rates."""

import ast
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lib.world import grammar, kb, languages, languages_say, overhead, presets, standins_slots
from lib.world.languages import LANGUAGES, caption, caption_from_above, read, translate
from lib.world.languages_say import GRAMMARS, lexicon, words
from lib.world.standins_slots import LANDS, LOOKS, THINGS, Noun, Said, domain

FOREIGN = LANGUAGES[1:]
ADJECTIVES = [value for factor in ("colour", "fill", "size", "mirrored", "state") for value in domain(factor)]
WORLD = ("scenes/base", "scenes/base", "scenes/full", "scenes/signs", "objects/badges")
PLACES = [value for factor in ("turn", "position") for value in kb.values(factor)]
SCENES = [value for factor in ("background", "light", "lighting", "quality", "style") for value in kb.values(factor)]
NEEDED = {
    "noun": [kb.ANY, *kb.families(), *kb.classes(), kb.BADGE, *kb.badges(), *THINGS],
    "land": LANDS,
    "adjective": [*ADJECTIVES, "black"],
    "part": sorted(kb.part_phrases()),
    "sign": ["sign"],
    "place": [*PLACES, *domain("layout")],
    "relation": list(kb.values("relation")),
    "scene": [*SCENES, *domain("ground")],
    "number": [str(number) for number in range(13)],
}


def captions(count, seed=0, kind="short"):
    rng = np.random.default_rng(seed)
    return [grammar.caption(presets.sample(WORLD[i % len(WORLD)], rng), kind, rng) for i in range(count)]


def first(options):
    return options[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_a_word_for_everything_and_no_word_for_two_things(language):
    known = lexicon(language)
    missing = [
        (kind, concept) for kind, concepts in NEEDED.items() for concept in concepts if (kind, concept) not in known
    ]
    assert not missing
    languages._inverse(language)  # raises where a form means two things
    for frame in (*GRAMMARS[language].frames, *GRAMMARS[language].from_above):
        assert read(frame.format(""), language).count == 0, frame


@pytest.mark.parametrize("language", ("pt", "de", "es"))
def test_full_tables_have_gender_plural_and_two_synonyms(language):
    with open(kb.TABLES / "languages" / f"{language}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    nouns = [row for row in rows if row["kind"] in ("noun", "land")]
    assert all(row["agree"] and row["plural"] for row in nouns)
    content = [row for row in rows if row["kind"] not in ("number", "body", "part", "sign")]
    assert all(row["word2"] and row["word2"] != row["word"] for row in content)
    assert all(row["agree2"] and row["plural2"] for row in nouns)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_without_errors_reads_back_to_the_same_tuples(language):
    said = captions(300)
    for one, text in zip(said, translate([one.text for one in said], language, 0, p_error=0)):
        assert read(text, language).tuples == one.tuples, (one.text, text)


@pytest.mark.parametrize("language", FOREIGN)
def test_a_translation_and_back_keeps_the_tuples(language):
    said = captions(100, seed=1)
    there = translate([one.text for one in said], language, 0, p_error=0)
    back = translate(there, "en", 0, p_error=0, source=language)
    for one, text in zip(said, back):
        assert grammar.parse(text).tuples == one.tuples, (one.text, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_long_captions_are_translated_sentence_by_sentence(language):
    for one, text in zip(said := captions(20, 2, "long"), translate([c.text for c in said], language, 0, p_error=0)):
        told = set().union(*(read(sentence, language).tuples for sentence in text.split(". ")))
        assert told == one.tuples, (one.text, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_pictures_from_above_are_said_and_read_back(language):
    rng = np.random.default_rng(3)
    for i in range(100):
        facts = overhead.truth(overhead.sample(rng))
        text = caption_from_above(facts, language, np.random.default_rng(i))
        meant = languages.from_above(facts, np.random.default_rng(i), 3, 0.35, 0.35, 0.3)
        assert read(text, language).tuples == meant.tuples, text
        facts = {(fact[0], languages.ALIASES.get(fact[1], fact[1]), *fact[2:]) for fact in facts}
        assert meant.tuples <= facts, text
        again = translate([text], "de", i, p_error=0, source=language)[0]
        assert read(again, "de").tuples == meant.tuples, (text, again)


def test_things_seen_from_above_are_those_that_are_drawn():
    assert set(LANDS) == set(overhead.LANDS)
    drawn = set()
    rng = np.random.default_rng(0)
    for _ in range(200):
        facts = overhead.truth(overhead.sample(rng))
        drawn |= {languages.ALIASES.get(fact[1], fact[1]) for fact in facts if fact[0] == "object"}
        assert {fact[1] for fact in facts if fact[0] == "ground"} <= set(domain("ground"))
        assert {fact[2] for fact in facts if fact[0] == "layout"} <= set(domain("layout"))
    assert drawn - {"water"} <= set(THINGS)


def phrase(language, *looks, name="cat", number=None, several=""):
    return languages.say(Said((Noun(name, looks, number, several),)), language, first, frame="{}")


def test_words_agree_and_stand_in_their_order():
    red, striped = ("colour", "red"), ("fill", "striped")
    assert phrase("pt", striped, red) == "um gato listrado vermelho"
    assert phrase("pt", red, name="cow") == "uma vaca vermelha"
    assert phrase("pt", red, name="cow", number=2) == "duas vacas vermelhas"
    assert phrase("es", red, name="anchor") == "un ancla roja"
    assert phrase("es", red, name="scissors") == "unas tijeras rojas"
    assert phrase("es", red, several="several") == "varios gatos rojos"
    assert phrase("de", striped, red) == "eine gestreifte rote Katze"
    assert phrase("de", red, name="wheel") == "ein rotes Rad"
    assert phrase("de", red, name="pencil", number=3) == "drei rote Bleistifte"
    assert phrase("fr", ("colour", "white"), name="cow") == "une vache blanche"
    assert phrase("it", red, name="mirror") == "un mirror rosso"  # a concept without a row keeps its English word
    assert phrase("it", name="anchor") == "un' ancora" and phrase("it", name="tool") == "un tool"
    assert phrase("nl", red, name="wheel") == "een rood wiel" and phrase("nl", red) == "een rode kat"
    assert phrase("ru", red) == "красная кошка" and phrase("ru", red, name="wheel") == "красное колесо"
    assert phrase("zh", red, number=3) == "三个 红色的 猫"
    assert phrase("ko", red, number=2) == "두 빨간 고양이"
    above = Said((Noun("cat", (red,)), Noun("monkey", (red,))), ((0, "above", 1),), (("background", "grass"),))
    assert languages.say(above, "de", first, frame="{}") == "eine rote Katze über einem roten Affen auf Gras"
    assert languages.say(above, "pt", first, frame="{}") == "um gato vermelho acima de um macaco vermelho na grama"
    assert languages.say(above, "fr", first, frame="{}").startswith("un chat rouge au-dessus d'un singe rouge")
    assert languages.say(above, "zh", first, frame="{}") == "草地上 红色的 猫 在 红色的 猴子 上方"
    assert languages.say(above, "ko", first, frame="{}") == "풀밭에서 빨간 원숭이 위에 있는 빨간 고양이"
    harbour = Said((Noun("ship", (), 5), Noun("house", (), None, "many")), (), (("land", "harbour"),))
    assert languages.say(harbour, "de", first, frame="{}") == "ein Hafen mit fünf Schiffen und vielen Häusern"
    assert languages.say(harbour, "en", first, frame="{}") == "a harbour with five ships and many houses"


def test_an_invented_name_stays_and_its_body_is_translated():
    name = next(iter(kb.badges()))
    assert phrase("pt", name=name, number=2) == "dois discos dax"
    assert phrase("de", ("colour", "red"), name=name) == "eine rote dax Scheibe"


@pytest.mark.parametrize("language", ("pt", "de", "zh"))
@pytest.mark.parametrize("rate", (0.05, 0.1))
def test_words_are_wrong_at_the_rate_asked_for(language, rate):
    rng, wrong, total = np.random.default_rng(0), 0, 0
    for one in captions(1500, seed=4):
        said = read(one.text)
        got = read(caption(said, language, rng, rate), language)
        kept = Counter(said.tuples) & Counter(got.tuples)
        names = [noun for noun in said.nouns]
        if len(got.nouns) != len(names):
            continue
        total += said.count
        pairs = zip(said.nouns, got.nouns)
        wrong += sum((a.name != b.name) + (a.number != b.number) + len(set(a.looks) - set(b.looks)) for a, b in pairs)
        wrong += len(set(said.scene) - set(got.scene))
        wrong += sum(a[1] != b[1] for a, b in zip(said.relations, got.relations))
        assert sum(kept.values()) <= len(said.tuples)
    half_width = 4 * np.sqrt(rate * (1 - rate) / total)
    assert abs(wrong / total - rate) < half_width, (wrong / total, total)


def test_a_line_depends_on_itself_its_place_and_the_seed_alone():
    texts = [one.text for one in captions(20)]
    both = translate(texts, "pt", 0)
    assert translate(texts, "pt", 0) == both
    assert translate(texts[:5], "pt", 0) == both[:5]
    assert translate(["a cat", *texts[1:]], "pt", 0)[1:] == both[1:]
    assert translate(texts, "pt", 1) != both
    assert len(set(translate(["a small red cat above a cup"] * 50, "es", 0, p_error=0))) > 10  # no bijection


def test_unknown_words_are_lost_and_unknown_sentences_stay():
    assert translate(["IMG_0231"], "de", 0) == ["IMG_0231"]
    assert read(translate(["zork a red cat"], "de", 0, p_error=0)[0], "de").tuples == grammar.parse("a red cat").tuples
    assert translate([""], "pt", 0) == [""]
    with pytest.raises(ValueError, match="language 'xx' is unknown; choose one of en"):
        translate(["a cat"], "xx", 0)
    with pytest.raises(ValueError, match="drop 0.0 and confuse 1.5"):
        translate(["a cat"], "pt", 0, p_error=1.5)


def test_every_value_of_a_factor_can_be_confused():
    rng = np.random.default_rng(0)
    for factor in (*LOOKS, "relation", "background", "light", "style", "land", "ground", "layout"):
        for value in domain(factor):
            if len(domain(factor)) > 1:
                assert standins_slots.other(factor, value, rng) in set(domain(factor)) - {value}


def test_no_frame_of_english_is_a_frame_of_captions():
    from lib.world.grammar_say import FRAMES

    base = {one for pair in (*FRAMES["seen"], *FRAMES["held_out"]) for one in pair} - {"{}"}
    assert not base & {*GRAMMARS["en"].frames, *GRAMMARS["en"].from_above}


@pytest.mark.parametrize("module", (languages, languages_say, standins_slots))
def test_the_translator_sees_no_scene(module):
    assert_blind(module)


def assert_blind(module):
    """No import of a module that knows scenes or pictures."""
    forbidden = {
        "spec",
        "render",
        "presets",
        "corpora",
        "grammar",
        "grammar_truth",
        "grammar_say",
        "badges",
        "overhead",
    }
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lib.world"):
            names = {node.module.removeprefix("lib.world").lstrip(".")} | {alias.name for alias in node.names}
            assert not names & forbidden, (module.__name__, names & forbidden)
            assert not any(name == "Spec" for name in names)
    assert words("en", "noun", "cat")[0].text == "cat"

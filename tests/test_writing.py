"""News, invented words, firms, authors and sentences: exact facts, no leaks, determinism."""

import dataclasses
import hashlib
import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import lib
from lib.world import grammar, kb, lettering, presets, writing
from lib.world import writing_authors as authors
from lib.world import writing_firms as firms
from lib.world import writing_news as news
from lib.world import writing_style as style
from lib.world import writing_text as sentences
from lib.world.writing_draw import Draw, names

CORPORA = ("wires", "words", "firms", "authors", "text")


def rows(corpus, split="test", profile="smoke"):
    return list(writing.rows(corpus, split, profile))


def plain(row):
    return {key: value.to_json() if hasattr(value, "to_json") else value for key, value in row.items()}


def digest(corpus, count=60):
    some = [plain(row) for row in itertools.islice(writing.rows(corpus, "test", "smoke"), count)]
    text = json.dumps([some, authors.machine("test", 0)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- all


def test_two_processes_write_the_same():
    code = f"from tests.test_writing import digest\nprint([digest(c) for c in {CORPORA}])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=lib.ROOT)
    assert found.stdout == f"{[digest(c) for c in CORPORA]}\n"


@pytest.mark.parametrize("corpus", CORPORA)
def test_rows_have_the_same_fields_and_plain_text(corpus):
    for split in writing.sizes(corpus, "smoke"):
        found = rows(corpus, split)
        assert len({tuple(row) for row in found}) == 1
        assert all(row["text"].isascii() for row in found)
        assert all(row["text"] for row in found) or split == "background"


@pytest.mark.parametrize("corpus", CORPORA)
def test_splits_share_no_text(corpus):
    texts = {
        split: {row["text"].lower() for row in rows(corpus, split)} - {""} for split in writing.sizes(corpus, "smoke")
    }
    splits = list(texts)
    for k, first in enumerate(splits):
        for second in splits[k + 1 :]:
            assert not texts[first] & texts[second]


@pytest.mark.parametrize("corpus", ["wires", "authors", "text"])
def test_texts_are_distinct(corpus):
    texts = [row["text"] for split in writing.sizes(corpus, "smoke") for row in rows(corpus, split)]
    assert len(texts) == len(set(texts))


def test_refusals_name_the_value():
    with pytest.raises(ValueError, match="poems"):
        next(writing.rows("poems", "train", "smoke"))
    with pytest.raises(ValueError, match="dev"):
        next(writing.rows("text", "dev", "smoke"))
    with pytest.raises(ValueError, match="1200"):
        firms.firm("test", 1200)
    assert writing.sizes("firms", "gpu")["test"] == 4 * writing.sizes("firms", "mini")["test"]


# ---- news


def test_twins_differ_in_one_fact_and_in_no_word_around_it():
    changed = set()
    for article in range(4, 400, 5):
        twin, first = news.event("train", article), news.event("train", article - 1)
        different = [f.name for f in dataclasses.fields(twin) if getattr(twin, f.name) != getattr(first, f.name)]
        assert len(different) == 1 and different[0] in news.FACTS
        changed.add(different[0])
        said, said_first = news.article(twin), news.article(first)
        assert len(said) == len(said_first) and said[:2] != said_first[:2]
        if different[0] == "town":
            assert [one.replace(twin.town, first.town) for one in said] == said_first
    assert changed == set(news.FACTS)


def test_articles_say_their_facts_in_the_first_two_sentences():
    for split in news.SPLITS:
        for article in range(60):
            facts = news.event(split, article)
            said = news.article(facts)
            assert 4 <= len(said) <= 7 and all(one.endswith(".") for one in said)
            lead = " ".join(said[:2]).lower()
            assert news.what(facts) in lead and facts.town.lower() in lead and news.GROUNDS[facts.ground] in lead
            assert not set("{}<>") & set(" ".join(said))


def test_other_articles_share_no_facts():
    facts = [news.event("test", article) for article in range(300) if news.twin_of(article) == article]
    keys = {(f.kind, f.thing, f.colour, f.town, f.day) for f in facts}
    assert len(keys) == len(facts)


def test_kinds_of_events_stay_in_their_split():
    kinds = {split: {news.event(split, article).kind for article in range(150)} for split in news.SPLITS}
    assert not kinds["train"] & kinds["test"] and not kinds["train"] & kinds["val"] and not kinds["val"] & kinds["test"]
    assert all(news.kinds()[kind]["split"] == split for split in kinds for kind in kinds[split])


def test_copies_are_of_several_papers_with_own_headlines():
    copies = [news.copies("train", article) for article in range(150)]
    counts = np.array([len(found) for found in copies])
    assert counts.min() == 1 and counts.max() == news.MAX_COPIES and 2.5 < counts.mean() < 6
    for article, found in enumerate(copies):
        assert len({copy.paper for copy in found}) == len(found)
        heads = {copy.headline.lower() for copy in found}
        assert len(heads) >= 0.9 * len(found)
        facts = news.event("train", article)
        assert {copy.decade for copy in found} == {facts.decade}
        assert all(copy.topic == list(news.kinds()).index(facts.kind) for copy in found)
    assert {copy.noise for found in copies for copy in found} == set(news.NOISE)


def test_headlines_use_no_reserved_words():
    reserved = {kind.reserved for kind in kb.classes().values()} | {v.reserved for v in kb.values("colour").values()}
    for row in rows("wires"):
        assert not reserved & set(row["headline"].lower().split())


def test_photos_show_what_the_article_says():
    for article in range(40):
        facts = news.event("test", article)
        photos = [news.photo("test", article, paper) for paper in (3, 8)]
        for photo in photos:
            assert len(photo.objects) == facts.number and photo.background.name == facts.ground
            assert {(thing.name, thing.colour) for thing in photo.objects} == {(facts.thing, facts.colour)}
            assert grammar.holds(photo, news.what(facts))
        assert photos[0].objects == photos[1].objects and photos[0].camera != photos[1].camera


def test_words_drift_with_the_decade():
    early, late = ([news.drift_word("car", d, Draw("x", d, k)) for k in range(100)] for d in (1920, 1980))
    assert early.count("motor car") > 50 and late.count("car") > 50
    wordings = [row[key] for row in news.kinds().values() for key in ("headlines", "leads", "seconds")]
    assert set(re.findall(r"<(\w+)>", str(wordings) + str(names("place")))) <= set(news._drift())


# ---- words and firms


def test_pseudo_words_are_pronounceable_and_stay_in_their_split():
    taken = set()
    for split in firms.WORD_SPLITS:
        words = firms.words(split, 600)
        assert len(set(words)) == 600 and words[:50] == firms.words(split, 50)
        assert all(2 <= len(word) <= 6 and set(word) <= set(firms.CONSONANTS + firms.VOWELS) for word in words)
        assert all((a in firms.VOWELS) != (b in firms.VOWELS) for word in words for a, b in zip(word, word[1:]))
        assert all(firms.word_split(word) == split for word in words)
        assert not taken & set(words) and not {row["word"] for row in lettering.lexicon()} & set(words)
        taken |= set(words)
    assert len(firms.CONSONANTS + firms.VOWELS) == 20


def edits(first, second):
    """Number of places in which two stems of equal length differ."""
    return sum(a != b for a, b in zip(first, second)) if len(first) == len(second) else 9


def test_look_alikes_are_one_letter_apart_and_others_are_not():
    stems = {one.entity: one.stem for found in firms.roster().values() for one in found}
    assert len(set(stems.values())) == len(stems) == 3 * firms.CAPACITY
    alike = [(one, stems[one.like]) for found in firms.roster().values() for one in found if one.like >= 0]
    assert len(alike) == 3 * firms.CAPACITY * (firms.FAMILY - 1) // firms.FAMILY
    assert all(edits(one.stem, other) == 1 for one, other in alike)
    some = list(stems.items())[::12]
    family = {e: e // firms.FAMILY for e, _ in some}
    close = [(a, b) for a, x in some for b, y in stems.items() if a != b and edits(x, y) < 2]
    assert all(family[a] == b // firms.FAMILY for a, b in close)


def test_records_of_a_firm():
    letters = set(lettering.CHARACTERS + " ")
    for index in range(40):
        found = [firms.record("val", index, number) for number in range(firms.RECORDS)]
        who = firms.firm("val", index)
        assert found[0].text == who.name and len({one.font for one in found}) == firms.RECORDS
        assert all(who.stem.lower() in one.text.lower() and set(one.text) <= letters for one in found)
        assert all(one.logo in ("", who.logo) and one.entity == who.entity for one in found)
    noisy = [row["ocr_noisy"] != row["text"] for row in rows("firms")]
    little = [row["ocr"] != row["text"] for row in rows("firms")]
    assert np.mean(noisy) > 0.85 > np.mean(little) > 0.3


# ---- authors


def test_reading_takes_back_what_writing_did():
    for author in range(40):
        for number in range(10):
            draw = Draw("test", author, number)
            said = authors.remarks(authors.topics()[number % 8], draw)
            text = style.write(said, authors.style("train", author), draw)
            assert style.read(text)[0] == said
            assert style.num_sentences(text) == len(said)
            assert style.read(style.restyle(text, authors.style("test", number), draw))[0] == said


def test_estimates_approach_the_style():
    true = authors.style("test", 3)
    errors = []
    for count in (4, 60):
        found = style.estimate([authors.human("test", 3, number)[0] for number in range(count)])
        assert all(abs(sum(found[habit]) - 1) < 1e-9 for habit in found)
        errors.append(np.mean([abs(a - b) for habit in true for a, b in zip(true[habit], found[habit])]))
    assert errors[1] < 0.7 * errors[0] and errors[1] < 0.07


def test_machine_candidates_answer_one_prompt():
    texts = [authors.machine("test", 5, candidate=k) for k in range(8)]
    assert len({topic for _, topic in texts}) == 1 and len({text for text, _ in texts}) == 8
    assert len({style.num_sentences(text) for text, _ in texts}) == 1
    assert authors.attack("test", 5, 2)[1] == texts[0][1]
    assert style.read(authors.attack("test", 5, 2)[0])[0] == style.read(texts[0][0])[0]
    with pytest.raises(ValueError, match="mix 2"):
        authors.machine("test", 5, mix=2)


def test_authors_of_splits_differ():
    found = {split: {row["author"] for row in rows("authors", split)} - {writing.NO_AUTHOR} for split in authors.SPLITS}
    assert not found["train"] & found["test"] and not found["val"] & found["test"]
    assert authors.style("train", 0) != authors.style("test", 0)


@pytest.mark.slow
def test_machine_text_shows_and_people_do_not():
    """TF-IDF of character n-grams and logistic regression: gates of style_detection and its attack."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    def people(split, count, numbers):
        return [authors.human(split, author, number)[0] for author in range(count) for number in numbers]

    def auroc(first, second):
        scores = [model.decision_function(vectors.transform(texts)) for texts in (first, second)]
        return roc_auc_score([0] * len(first) + [1] * len(second), np.concatenate(scores))

    known, even, odd = (people(*one) for one in (("train", 50, range(16, 24)), ("test", 40, range(16, 32, 2)),
                                                 ("test", 40, range(17, 32, 2))))  # fmt: skip
    vectors = TfidfVectorizer(lowercase=False, analyzer="char", ngram_range=(2, 4), sublinear_tf=True, min_df=2)
    machine = [authors.machine("train", index)[0] for index in range(400)]
    found = vectors.fit_transform(known + machine)
    model = LogisticRegression(C=3, max_iter=300).fit(found, [0] * len(known) + [1] * 400)
    assert auroc(even, [authors.machine("test", index)[0] for index in range(320)]) > 0.93
    assert 0.45 < auroc(even, odd) < 0.55
    assert 0.43 < auroc(even, [authors.attack("test", index, index % 40)[0] for index in range(320)]) < 0.6


# ---- sentences


def test_pairs_are_two_sentences_of_one_thing():
    facts = 0
    for _, pair in sentences.pairs("train", 800):
        assert pair.first != pair.second and not set("{}") & set(pair.first + pair.second)
        facts += pair.kind != "caption"
    assert 80 < facts < 240


def test_facts_and_reserved_names_are_in_train_alone():
    reserved = {name: kind.reserved for name, kind in kb.classes().items() if name in presets.base_classes()}
    said = " | ".join(t for _, pair in sentences.pairs("train", 9000) if pair.kind != "caption" for t in pair[:2])
    assert sum(f" {word}" in said for word in reserved.values()) > 0.9 * len(reserved)
    assert "crimson" in said and "cobalt" in said
    for split in ("val", "test"):
        assert all(pair.kind == "caption" for _, pair in sentences.pairs(split, 100))


def test_captions_speak_of_the_base_alone():
    zodiac = {name for name, kind in kb.classes().items() if "Z" in kind.roles}
    held_out = ("the picture shows", "this image has", "the view contains", "look at", "you can find", "in view")
    assert all(any(frame in template for frame in held_out) for template in grammar.templates("held_out"))
    for _, pair in sentences.pairs("train", 800):
        for text in pair[:2]:
            assert not zodiac & set(text.split())
            if pair.kind == "caption":
                assert not any(frame in text for frame in held_out)
                assert not grammar.parse(text).rest

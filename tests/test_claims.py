"""Rules of papers.yaml, verdicts, and the files that `record` writes."""

import copy
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import yaml

import lib
from lib import claims, rules, stats
from lib.arms import Result

RULE = {
    "kind": "better",
    "metric": "accuracy",
    "method": "gda",
    "baseline": "tip_x",
    "controls": ["nearest_mean"],
    "margin": 0.01,
    "covers": "both",
}
CLAIM = {
    "id": "average",
    "statement": "GDA is more accurate than Tip-X.",
    "metric": "accuracy (%)",
    "dataset": "eleven data sets",
    "direction": "higher",
    "unit": "percent",
    "paper": {
        "baseline": {"name": "Tip-X", "value": 71.4},
        "method": {"name": "GDA", "value": 76.05},
        "source": "table 1",
    },
    "rule": RULE,
}
PAPER = {
    "title": "A paper",
    "year": 2024,
    "venue": "ICLR 2024",
    "arxiv": "2402.04087",
    "official_code": None,
    "group": "adaptation",
}
ENCODER = SimpleNamespace(name="vit_base", identity="sha:1")
CORPUS = SimpleNamespace(name="objects/styles", identity="sha:2")


def claim(**changes):
    """The claim above with other keys; `rule` is merged, a key set to ... is left out."""
    made = copy.deepcopy(CLAIM)
    rule = changes.pop("rule", {})
    made["rule"] = rule if "same_as" in rule else {k: v for k, v in {**RULE, **rule}.items() if v is not ...}
    return {**made, **changes}


def write(path, *made, **more):
    entries = {"gda": {**PAPER, "claims": list(made) or [claim()]}, **more}
    path.write_text(yaml.safe_dump(entries, sort_keys=False))
    return path


def cells(rate, seed, seeds=3, n=400):
    return (np.random.default_rng(seed).random((seeds, n)) < rate).astype(float)


def measured(gain=0.2, metric="accuracy", groups=("all",), **arms):
    rates = {"tip_x": 0.5, "nearest_mean": 0.5 + gain, "gda": 0.5 + gain, **arms}
    return Result.of(
        {
            (arm, metric, group): cells(rate, [k, j])
            for j, group in enumerate(groups)
            for k, (arm, rate) in enumerate(rates.items())
        },
        cost={"gda": {"samples": np.int64(12)}},
    )


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Path of papers.yaml in a folder that also receives the results."""
    monkeypatch.setenv("WORKBOOK_PROFILE", "mini")
    monkeypatch.setenv("WORKBOOK_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("WORKBOOK_DEV", raising=False)
    return tmp_path / "papers.yaml"


def record(book, result, gates=(), **more):
    return claims.record("gda", result, gates, ENCODER, [CORPUS], path=book, **more)


def written(book):
    return json.loads((book.parent / "results" / "claims.json").read_text())


# Rules ----------------------------------------------------------------------------------------------------------------


def test_papers_are_read(book):
    write(book, claim(), claim(id="other", rule={"same_as": "average"}))
    entry = claims.papers(book)["gda"]
    assert entry.claims[0].rule.margin == 0.01 and entry.claims[0].scale == 100
    assert entry.origin(entry.claims[1]).id == "average"
    assert claims.paper("gda", book) == entry
    with pytest.raises(ValueError, match="'gdb' is not in papers.yaml; it has gda"):
        claims.paper("gdb", book)


@pytest.mark.parametrize(
    "made, words",
    [
        ([claim(margin=1)], "average|margin"),
        ([claim(rule={"margins": 1})], "margins"),
        ([claim(rule={"margin": 0})], "greater than 0"),
        ([claim(rule={"margin": float("nan")})], "margin"),
        ([claim(rule={"margin": ...})], "lacks margin"),
        ([claim(rule={"method": ..., "covers": ...})], "lacks covers, method"),
        ([claim(rule={"kind": "worse"})], "kind"),
        ([claim(rule={"covers": "all"})], "covers"),
        ([claim(rule={"method": "Tip-X"})], "pattern"),
        ([claim(rule={"baseline": "gda"})], "both 'gda'"),
        ([claim(rule={"controls": ["gda"]})], "repeat"),
        ([claim(direction="up")], "direction"),
        ([claim(), claim()], r"repeat: \['average'\]"),
        ([claim(), claim(id="b", rule={"same_as": "c"})], "same_as 'c' must be"),
        ([claim(), claim(id="b", rule={"same_as": "b"})], "same_as 'b' must be"),
        ([claim(), claim(id="b", rule={"same_as": "average", "margin": 0.1})], r"remove \['margin'\]"),
        ([claim(), claim(id="b", direction="lower", rule={"same_as": "average"})], "direction is lower"),
        ([claim(rule={"contrast": [[1, "a", "x"], [-1, "b", "x"]]})], "instead of"),
        ([claim(rule={"method": ..., "baseline": ..., "contrast": [[1, "a", "x"], [1, "b", "x"]]})], "add up to 0"),
        ([claim(rule={"method": ..., "baseline": ..., "contrast": [[-1, "a", "x"], [1, "b", "x"]]})], "above 0"),
        (
            [claim(rule={"method": ..., "baseline": ..., "contrast": [[2, "a", "x"], [-1, "b", "x"], [-1, "c", "x"]]})],
            "one or two arms",
        ),
    ],
)
def test_mistakes_in_papers_yaml_are_named(book, made, words):
    with pytest.raises(ValueError, match=words) as error:
        claims.papers(write(book, *made))
    assert "gda" in str(error.value)


def test_a_paper_is_read_whatever_the_others_say(book):
    write(book, claim(), broken={"title": "?"})
    assert claims.paper("gda", book).year == 2024
    with pytest.raises(ValueError, match="broken"):
        claims.papers(book)


def test_a_number_for_arxiv_and_a_key_given_twice_are_errors(book):
    text = write(book).read_text()
    book.write_text(text.replace("'2402.04087'", "2402.04087"))
    with pytest.raises(ValueError, match="arxiv"):
        claims.papers(book)
    book.write_text(text + text)
    with pytest.raises(ValueError, match="'gda' stands twice"):
        claims.papers(book)


def test_digest_follows_what_decides_and_nothing_else(book):
    def digest(*made):
        return claims.rule_digest("gda", write(book, *made))

    first = digest(claim())
    assert first == digest(claim(statement="Other words.")) == digest(claim(rule={"margin_note": "wide"}))
    assert first == digest(claim(rule={"group": "all"}))
    others = [{"rule": {"margin": 0.02}}, {"rule": {"controls": []}}, {"direction": "lower"}, {"id": "x"}]
    others = [digest(claim(**changes)) for changes in others]
    others.append(digest(claim(), claim(id="b", rule={"same_as": "average"})))
    assert len({first, *others}) == 6


def test_wide_margins(book):
    def wide(**changes):
        return rules.wide_margins(claims.papers(write(book, claim(**changes))))

    assert wide() == []  # effect 4.65 points
    assert wide(rule={"margin": 0.03}) == ["gda.average: margin 3, the paper's effect 4.65"]
    assert wide(rule={"margin": 0.03, "margin_note": "the test set is small"}) == []
    assert wide(rule={"margin": 0.03, "kind": "tie"}) == []
    assert wide(rule={"margin": 0.03}, unit="dB") == []
    unknown = {**CLAIM["paper"], "baseline": {"name": None, "value": None}}
    assert wide(rule={"margin": 0.03}, paper=unknown) == []


def test_command_line(book, capsys):
    assert claims.main([str(write(book))]) == 0
    assert capsys.readouterr().out == "1 papers, 1 claims\n"
    assert claims.main([str(write(book, claim(rule={"margin": -1})))]) == 1
    assert capsys.readouterr().out.startswith("gda.claims.0.rule.margin: ")
    book.write_text("a: [")
    assert claims.main([str(book)]) == 1


@pytest.mark.skipif(not (lib.ROOT / "papers.yaml").exists(), reason="papers.yaml is not here")
def test_the_real_papers():
    entries = claims.papers()
    assert rules.wide_margins(entries) == []
    assert len(entries) == 53


# Verdicts -------------------------------------------------------------------------------------------------------------

OUTCOMES = {  # interval with margin 1: better, kept, tie
    (1.5, 3): ("holds", "holds", "does not hold"),
    (1, 3): ("inconclusive", "holds", "does not hold"),
    (0.5, 1.5): ("inconclusive", "holds", "inconclusive"),
    (0.2, 0.8): ("does not hold", "holds", "holds"),
    (-0.5, 0.5): ("does not hold", "holds", "holds"),
    (0, 0): ("does not hold", "holds", "holds"),
    (-0.8, -0.2): ("does not hold", "holds", "holds"),
    (-1.5, 0.5): ("does not hold", "inconclusive", "inconclusive"),
    (-2, 2): ("inconclusive", "inconclusive", "inconclusive"),
    (-1, 1): ("inconclusive", "inconclusive", "inconclusive"),
    (-3, -1): ("does not hold", "inconclusive", "does not hold"),
    (-3, -1.5): ("does not hold", "does not hold", "does not hold"),
}


@pytest.mark.parametrize("ends", OUTCOMES)
def test_verdict(ends):
    assert tuple(claims.verdict(kind, *ends, 1) for kind in ("better", "kept", "tie")) == OUTCOMES[ends]


def test_verdict_refuses_what_is_no_interval():
    for arguments in (("better", math.nan, 1, 1), ("better", 0, 1, 0), ("worse", 0, 1, 1)):
        with pytest.raises(ValueError):
            claims.verdict(*arguments)


def sentence(kind, low, high, direction="higher", unit="percent", size="more"):
    turned = stats.Interval((low + high) / 2, low, high, 0.95, "both", 100, 3)
    given = rules.Claim(**claim(direction=direction, unit=unit))
    return rules.reason(given, kind, ["gda", "tip_x"], turned, 1.0, claims.verdict(kind, low, high, 1.0), size)


def test_reasons():
    assert sentence("better", 2, 4) == (
        "gda is 3.00 points higher than tip_x (95 % interval of the increase 2.00 to 4.00, half-width 1.00, margin "
        "1.00): the whole interval lies above the margin"
    )
    assert "gda is 3.00 dB lower than tip_x (95 % interval of the decrease 2.00" in sentence(
        "better", 2, 4, "lower", "dB"
    )
    assert "gda is 3.00 higher than tip_x" in sentence("better", -4, -2, "lower", "fraction")
    assert sentence("better", -4, -2).endswith("the effect goes the other way")
    assert sentence("better", 0.2, 0.6).endswith("real but too small to matter")
    assert sentence("better", -0.6, 0.6).endswith("as large as the margin is ruled out")
    assert sentence("kept", -0.6, 0.6).endswith("a loss as large as the margin is ruled out")
    assert sentence("kept", -0.6, -0.2).endswith("the loss is real but too small to matter")
    assert sentence("kept", -4, -2).endswith("the loss exceeds the margin")
    assert sentence("tie", 0.2, 0.6).endswith("the difference is real but too small to matter")
    assert sentence("tie", -0.6, 0.6).endswith("the two differ by less than the margin")
    assert sentence("tie", 2, 4).endswith("the two differ by more than the margin")
    assert sentence("tie", 0, 0).endswith("less than the margin; both are the same on every example")
    assert sentence("better", -2, 4).endswith("the interval includes a margin, which more would settle")
    assert "-0.00" not in sentence("better", -0.001, 0.001)


def test_gates():
    assert claims.gate("a", 0.5, ">=", 0.5).holds and not claims.gate("a", 0.5, ">", 0.5).holds
    assert claims.gate("a", 0.5, "<=", 0.5).holds and not claims.gate("a", 0.5, "<", 0.5).holds
    between = claims.gate("zero-shot accuracy", np.float32(0.8), "between", (0.3, 0.7), claims=["average"])
    assert not between.holds and between.claims == ("average",)
    assert str(between) == "zero-shot accuracy is 0.8, asked for between 0.3 and 0.7"
    assert claims.gate("a", 0.3, "between", [0.3, 0.7]).holds
    missing = claims.gate("a", math.nan, "<", 1)
    assert not missing.holds and str(missing) == "a is not a number: it was not measured"
    for arguments in (
        ("a", 1, "=", 1),
        ("a", 1, "<", math.nan),
        ("a", 1, "between", (2, 1)),
        ("a", 1, "<", 1, "average"),
    ):
        with pytest.raises(ValueError, match=f"'{'=' if arguments[2] == '=' else 'a'}'"):
            claims.gate(*arguments)


# Records --------------------------------------------------------------------------------------------------------------


def test_record_of_a_claim_that_holds(book):
    write(book)
    result = measured()
    table = record(book, result, [claims.gate("zero-shot", 0.5, ">", 0.2)], precision="float32")
    assert list(table.columns) == ["claim", "statement", "paper_baseline", "paper_method", "baseline", "method",
                                   "difference", "low", "high", "margin", "verdict", "reason"]  # fmt: skip
    row = table.iloc[0]
    plain = stats.interval(*(result.examples[arm, "accuracy", "all"] for arm in ("gda", "tip_x")), "both")
    assert row["verdict"] == "holds" and row["margin"] == 1
    assert (row["difference"], row["low"]) == pytest.approx((100 * plain.estimate, 100 * plain.low), rel=1e-5)
    assert row["method"] - row["baseline"] == pytest.approx(row["difference"], rel=1e-4)
    assert (row["paper_baseline"], row["paper_method"]) == (71.4, 76.05)

    document = written(book)
    assert list(document) == ["slug", "profile", "rule_digest", "identity", "cost", "gates", "claims"]
    assert document["profile"] == "mini" and document["rule_digest"] == claims.rule_digest("gda", book)
    assert document["identity"]["encoder"] == [{"name": "vit_base", "identity": "sha:1"}]
    assert document["identity"]["data"] == [{"name": "objects/styles", "identity": "sha:2"}]
    assert document["identity"]["precision"] == "float32"
    assert set(document["identity"]["versions"]) == {"torch", "open_clip", "numpy"}
    assert document["cost"] == {"gda": {"samples": 12}}
    assert document["gates"] == [
        {"name": "zero-shot", "value": 0.5, "op": ">", "threshold": 0.2, "holds": True, "claims": None}
    ]
    [found] = document["claims"]
    assert found["ours"]["method"]["name"] == "gda" and found["ours"]["covers"] == "both"
    assert (found["ours"]["n"], found["ours"]["seeds"], found["ours"]["level"]) == (400, 3, 0.95)
    assert found["paper"]["dataset"] == "eleven data sets" and found["paper"]["source"] == "table 1"
    [control] = found["controls"]
    assert control["name"] == control["baseline"] == "nearest_mean" and control["method"] == "gda"
    assert control["verdict"] in ("does not hold", "inconclusive") and control["interval"][0] < control["difference"]
    assert all(len(f"{end:.6g}") >= len(str(end)) - 2 for end in found["ours"]["interval"])


def test_files_are_the_same_bytes_again(book):
    write(book)
    files = []
    for _ in range(2):
        record(book, measured())
        files.append([path.read_bytes() for path in sorted((book.parent / "results").iterdir())])
    assert files[0] == files[1] and len(files[0]) == 2


def test_measurements_are_tidy(book):
    write(book, claim(), claim(id="second", rule={"method": "extra", "controls": []}),
          claim(id="third", rule={"same_as": "second"}))  # fmt: skip
    record(book, measured(extra=0.9, unused=0.1))
    table = pandas.read_csv(book.parent / "results" / "measurements.csv", keep_default_na=False)
    assert list(table.columns) == ["claim", "arm", "seed", "split", "group", "metric", "value", "n"]
    arms = {name: list(dict.fromkeys(part["arm"])) for name, part in table.groupby("claim")}
    assert arms == {"": ["unused"], "average": ["tip_x", "nearest_mean", "gda"], "second": ["tip_x", "extra"]}
    assert not table.duplicated(["claim", "arm", "seed", "group", "metric"]).any()
    assert (table["n"] == 400).all()


def test_lower_is_turned_round(book):
    write(book, claim(direction="lower", unit="dB"))
    row = record(book, measured(gain=-0.2)).iloc[0]
    assert row["verdict"] == "holds" and row["difference"] > 0.1 and row["low"] > 0.01
    assert row["method"] < row["baseline"]
    assert "dB lower than tip_x" in row["reason"]
    assert record(book, measured(gain=0.2)).iloc[0]["verdict"] == "does not hold"


@pytest.mark.parametrize("kind, gain, expected", [
    ("better", 0.0, "inconclusive"), ("better", -0.2, "does not hold"), ("kept", 0.1, "holds"),
    ("kept", -0.2, "does not hold"), ("tie", 0.2, "does not hold"), ("tie", 0.0, "inconclusive"),
])  # fmt: skip
def test_kinds(book, kind, gain, expected):
    write(book, claim(rule={"kind": kind}))
    row = record(book, measured(gain=gain)).iloc[0]
    assert row["verdict"] == expected
    assert ("would settle" in row["reason"]) == (expected == "inconclusive")
    assert row["reason"].endswith(".") and "half-width" in row["reason"]


def test_a_shared_verdict(book):
    write(book, claim(), claim(id="scaled", unit="fraction", rule={"same_as": "average"}))
    table = record(book, measured()).set_index("claim")
    assert table.loc["scaled", "verdict"] == table.loc["average", "verdict"] == "holds"
    assert table.loc["scaled", "difference"] == pytest.approx(table.loc["average", "difference"] / 100, rel=1e-4)
    assert table.loc["scaled", "reason"].startswith("shares experiment and verdict of average: gda is 0.")
    assert written(book)["claims"][1]["same_as"] == "average"


def test_a_failed_gate_leaves_its_claims_untested(book):
    write(book, claim(), claim(id="second"), claim(id="third", rule={"same_as": "second"}))
    failed = claims.gate("zero-shot accuracy", 0.8, "between", (0.3, 0.7), claims=["second"])
    table = record(book, measured(), [failed, claims.gate("b", math.nan, ">", 0, claims=["second"])]).set_index("claim")
    assert table["verdict"].tolist() == ["holds", "not tested", "not tested"]
    assert table.loc["second", "reason"] == (
        "a gate fails: zero-shot accuracy is 0.8, asked for between 0.3 and 0.7; b is not a number: it was "
        "not measured."
    )
    assert table.loc["second", "difference"] > 10  # printed, though not judged
    assert written(book)["claims"][1]["controls"][0]["verdict"] == "not tested"
    assert written(book)["gates"][1]["value"] is None
    assert set(record(book, measured(), [claims.gate("all", 1, "<", 0)])["verdict"]) == {"not tested"}
    table = record(book, measured(metric="other"), [claims.gate("text features", 0, ">=", 1)])  # nothing to compare
    assert set(table["verdict"]) == {"not tested"} and table["difference"].isna().all()
    with pytest.raises(ValueError, match="nearest_mean, accuracy, all"):
        partly = {key: value for key, value in measured().examples.items() if key[0] != "nearest_mean"}
        record(book, Result.of(partly), [claims.gate("text features", 0, ">=", 1)])
    with pytest.raises(ValueError, match=r"gate 'x' names \['third'\]"):
        record(book, measured(), [claims.gate("x", 1, "<", 0, claims=["third"])])


def test_claims_that_need_the_paper_profile(book, monkeypatch):
    write(book, claim(rule={"needs": "paper"}))
    empty = measured(metric="other")
    table = record(book, empty)
    assert table["verdict"].tolist() == ["not tested"] and "only the paper profile has" in table.iloc[0]["reason"]
    assert math.isnan(table.iloc[0]["difference"]) and written(book)["claims"][0]["ours"] is None
    monkeypatch.setenv("WORKBOOK_PROFILE", "paper")
    assert record(book, measured())["verdict"].tolist() == ["holds"]
    with pytest.raises(ValueError, match="average"):
        record(book, empty)
    bare = claim()
    bare["rule"] = {"needs": "paper"}
    write(book, bare)
    assert record(book, empty)["verdict"].tolist() == ["not tested"]


def test_missing_arms_are_named(book):
    write(book, claim(rule={"group": "shots16", "controls": []}))
    with pytest.raises(ValueError, match=(
        "'average' of gda needs .* gda, accuracy, shots16; tip_x, accuracy, shots16; measured are tip_x, accuracy, all"
    )):  # fmt: skip
        record(book, measured())
    write(book, claim(rule={"controls": ["random_words"]}))
    with pytest.raises(ValueError, match="random_words, accuracy, all"):
        record(book, measured())
    assert not (book.parent / "results" / "claims.json").exists()


def test_measurements_that_do_not_suit_the_rule_are_named(book):
    write(book)
    one_seed = Result.of({(arm, "accuracy", "all"): cells(0.5, 0, seeds=1) for arm in ("gda", "tip_x", "nearest_mean")})
    with pytest.raises(ValueError, match="claim 'average' of gda .*1 seed cannot"):
        record(book, one_seed)


def test_contrast_of_gains(book):
    terms = [[1, "gda", "shots16"], [-1, "tip_x", "shots16"], [-1, "gda", "shots1"], [1, "tip_x", "shots1"]]
    write(book, claim(rule={"method": ..., "baseline": ..., "contrast": terms}))
    result = measured(groups=("shots16", "shots1"))
    result.examples["gda", "accuracy", "shots1"][:] = result.examples["tip_x", "accuracy", "shots1"]
    row, [found] = record(book, result).iloc[0], written(book)["claims"]
    values = result.examples
    gain = values["gda", "accuracy", "shots16"] - values["tip_x", "accuracy", "shots16"]
    plain = stats.interval(gain, np.zeros_like(gain), "both")
    assert (row["low"], row["high"]) == pytest.approx((100 * plain.low, 100 * plain.high), rel=1e-4)
    assert found["ours"]["method"]["name"] == "gda (shots16) + tip_x (shots1)"
    assert found["ours"]["baseline"]["name"] == "tip_x (shots16) + gda (shots1)"
    assert found["controls"][0]["baseline"] == "nearest_mean (shots16) + gda (shots1)"


def test_contrast_of_one_arm_with_itself(book):
    terms = [[1, "gda", "common"], [-1, "gda", "counter"]]
    write(book, claim(rule={"method": ..., "baseline": ..., "contrast": terms}))
    record(book, measured(groups=("common", "counter")))
    [control] = written(book)["claims"][0]["controls"]
    assert (control["method"], control["baseline"]) == ("nearest_mean (common)", "nearest_mean (counter)")


def test_metrics_that_are_no_mean(book):
    write(book, claim(rule={"metric": "auroc", "controls": [], "covers": "examples"}))
    rng, positive = np.random.default_rng(0), np.arange(100) % 2
    rows = {arm: np.stack([rng.normal(size=100) + shift * positive, positive], 1) for arm, shift in
            (("gda", 4), ("tip_x", 0.5))}  # fmt: skip
    row = record(book, Result.of({(arm, "auroc", "all"): values[None] for arm, values in rows.items()})).iloc[0]
    assert row["verdict"] == "holds" and 95 < row["method"] <= 100


def test_nothing_is_written_in_dev(book, monkeypatch):
    write(book)
    monkeypatch.setenv("WORKBOOK_DEV", "1")
    assert record(book, measured()).iloc[0]["verdict"] == "holds"
    assert not (book.parent / "results").exists()


def test_several_encoders_or_none(book):
    write(book)
    claims.record("gda", measured(), [], [ENCODER, ENCODER], [], path=book)
    assert len(written(book)["identity"]["encoder"]) == 2
    claims.record("gda", measured(), [], None, [], path=book)
    assert written(book)["identity"]["encoder"] == []
    with pytest.raises(TypeError, match="cannot stand in claims.json"):
        claims.record("gda", measured(), [], None, [], path=book, more=object())

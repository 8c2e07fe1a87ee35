"""lib.figures: the same look everywhere, honest summaries, files that do not change from run to run."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot

from lib import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What `save` displays, in order."""
    import IPython.display

    things = []
    monkeypatch.setattr(IPython.display, "display", things.append)
    return things


def table():
    rows = [
        (arm, shots, 0.5 + 0.01 * shots + 0.02 * seed + 0.1 * (arm == "gda"))
        for arm in ("zero_shot", "gda")
        for shots in (1, 4)
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=["arm", "shots", "value"])


def test_an_arm_keeps_its_colour_and_marker():
    assert figures.colour("gda") == figures.palette(["tip_adapter", "gda"])["gda"] == figures.palette(["gda"])["gda"]
    assert figures.colour("some_method") == "#cc78bc"  # by a hash that no run changes
    assert figures.marker("some_method") in figures.MARKERS
    assert figures.label("tip_adapter") == "Tip-Adapter" and figures.label("my_arm") == "my arm"


def test_no_two_arms_of_a_figure_share_a_colour():
    names = [f"arm_{i}" for i in range(7)] + ["gda"]
    assert len(set(figures.palette(names).values())) == 8
    assert figures.palette(names[:1])[names[0]] == figures.colour(names[0])


def test_summary_is_the_mean_with_its_t_interval():
    rows = figures.summary(table(), ["arm", "shots"]).set_index(["arm", "shots"])
    one = rows.loc[("gda", 4)]
    assert one["value"] == pytest.approx(66.0) and one["n"] == 3
    assert one["high"] - one["value"] == pytest.approx(4.302653 * 2.0 / 3**0.5, rel=1e-5)
    single = figures.summary(table().iloc[:1], ["arm"])
    assert single["value"][0] == pytest.approx(51.0) and np.isnan(single["low"][0])
    given = pd.DataFrame({"arm": ["a"], "value": [0.5], "low": [0.4], "high": [0.7]})
    assert figures.summary(given, ["arm"])[["low", "high"]].to_numpy().tolist() == [[40.0, 70.0]]
    with pytest.raises(ValueError, match="2 rows with low and high"):
        figures.summary(pd.concat([given, given]), ["arm"])


def test_bars_start_at_zero_and_the_papers_value_is_a_grey_dashed_line():
    fig = figures.bars(table(), "shots", paper={1: 70.0})
    ax = fig.axes[0]
    assert ax.get_ylim()[0] == 0 and len(ax.patches) == 4
    heights = sorted(round(patch.get_height(), 6) for patch in ax.patches)
    assert heights == [53.0, 56.0, 63.0, 66.0]
    dashed = [line for line in ax.lines if line.get_color() == figures.PAPER["color"]]
    assert list(dashed[0].get_ydata()) == [70.0, 70.0] and dashed[0].get_linestyle() == "--"
    assert ax.get_ylabel() == "top-1 accuracy (%)"


def test_curve_draws_means_bands_and_the_paper():
    fig = figures.curve(table(), "shots", log=True, paper={"paper's GDA": {1: 62.19, 4: 69.77}})
    ax = fig.axes[0]
    assert list(ax.lines[1].get_ydata()) == pytest.approx([63.0, 66.0])
    assert len(ax.collections) == 2 and ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4"]
    assert ax.texts[0].get_text() == "paper's GDA"


def test_pictures_and_maps():
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    fig = figures.grid(images, list("abcde"), columns=3)
    assert len(fig.axes) == 6 and fig.axes[4].get_title() == "e"
    np.testing.assert_array_equal(fig.axes[0].images[0].get_array(), images[0])
    fig = figures.overlay(images, np.random.default_rng(0).random((5, 4, 4)))
    assert len(fig.axes[0].images) == 2
    assert fig.axes[0].images[1].get_extent() == fig.axes[0].images[0].get_extent()
    with pytest.raises(ValueError, match="at least one"):
        figures.grid(images[:0])
    with pytest.raises(ValueError, match="5 images but 2 maps"):
        figures.overlay(images, np.zeros((2, 4, 4)))
    heat = figures.heat([[0.0, 1.0], [0.25, 0.5]], ["a", "b"], [1, 2])
    assert [text.get_text() for text in heat.axes[0].texts] == ["0", "100", "25", "50"]


def verdicts():
    names = ["claim", "difference", "low", "high", "margin", "verdict"]
    rows = [("first", 4.0, 2.0, 6.0, 2.0, "holds"), ("second", -1.0, -2.0, 0.5, 1.0, "does not hold")]
    return pd.DataFrame([*rows, ("third", np.nan, np.nan, np.nan, np.nan, "not tested")], columns=names)


def test_forest_is_in_units_of_the_margin():
    ax = figures.forest(verdicts()).axes[0]
    assert list(ax.lines[0].get_xdata()) == [1.0, 3.0] and list(ax.lines[1].get_xdata()) == [2.0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["first", "second", "third"]
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "+4.0  [2.0, 6.0]  holds" and texts[2] == "not tested"


def test_save_writes_files_shows_once_and_closes(workspace, shown):
    from PIL import Image

    fig = figures.bars(table(), "shots")
    assert figures.save(fig, "accuracy", "Accuracy of two arms; lines: 95 % t interval over 3 seeds.") is None
    folder = next(workspace.glob(".work/*/figures"))
    assert sorted(path.name for path in folder.iterdir()) == ["accuracy.png", "accuracy.svg"]
    picture = Image.open(folder / "accuracy.png")
    assert picture.size[0] == pytest.approx(figures.WIDE * figures.DPI, abs=2) and picture.mode == "P"
    assert [type(thing).__name__ for thing in shown] == ["Image", "Markdown"]
    assert shown[0].alt == shown[1].data.strip("*") and not matplotlib.pyplot.get_fignums()
    text = (folder / "accuracy.svg").read_text()
    assert "<dc:date>" not in text and "Matplotlib" not in text
    with pytest.raises(ValueError, match="has no caption"):
        figures.save(figures.bars(table(), "shots"), "nothing", " ")


def test_the_same_figure_gives_the_same_bytes(workspace, shown):
    folders = []
    for name in ("one", "two"):
        figures.save(figures.curve(table(), "shots", paper={"paper": {1: 50.0, 4: 60.0}}), name, "A curve.")
        folders.append(next(workspace.glob(".work/*/figures")))
    for kind in ("png", "svg"):
        assert (folders[0] / f"one.{kind}").read_bytes() == (folders[0] / f"two.{kind}").read_bytes()


def test_a_figure_with_pictures_or_many_marks_has_no_vector_file(workspace, shown):
    rng = np.random.default_rng(0)
    figures.save(figures.grid(rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)), "same", "Four pictures.")
    folder = next(workspace.glob(".work/*/figures"))
    (folder / "dense.svg").write_text("of an earlier run")
    fig, ax = matplotlib.pyplot.subplots()
    ax.plot(*rng.random((2, 4000)), "o")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="svg")
    assert buffer.tell() > figures.SVG_LIMIT
    figures.save(fig, "dense", "Many points.")
    assert sorted(path.name for path in folder.iterdir()) == ["dense.png", "same.png"]


def test_results_go_where_the_runner_says(tmp_path, monkeypatch, shown):
    monkeypatch.setenv("WORKBOOK_RESULTS", str(tmp_path / "results"))
    figures.save(figures.bars(table(), "shots"), "accuracy", "Accuracy.")
    assert (tmp_path / "results" / "figures" / "accuracy.png").is_file()

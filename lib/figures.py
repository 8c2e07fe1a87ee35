"""Figures that look alike in every notebook: one style, one colour per method, grey dashes for the paper's values.

Drawing functions take tidy tables (pandas) and return a matplotlib Figure; `save` writes it and shows it once. Colours
and markers belong to the arm, so a method looks the same wherever it stands. Rows of a table are single measurements
(one per seed: mean and 95 % t interval are drawn) or, with columns `low` and `high`, summaries drawn as they are.
"""

import io
import os
import zlib
from pathlib import Path

import numpy as np

import lib

NARROW, WIDE = 3.3, 6.8  # inches: one column, two columns
DPI = 150
ACCURACY = "top-1 accuracy (%)"
SVG_LIMIT = 30_000  # bytes; larger vector files are not kept
PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#b8a800", "#e377a8")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
PAPER = {"color": "#8c8c8c", "linestyle": (0, (4, 2.5)), "linewidth": 1.2, "zorder": 1}
VERDICTS = {"holds": "#029e73", "does not hold": "#d55e00", "inconclusive": "#de8f05", "not tested": "#8c8c8c"}
ARMS = {  # arm: (colour, marker); every other name gets its place by a hash
    **dict.fromkeys(("zero_shot", "clip", "baseline"), ("#444444", ".")),
    **dict.fromkeys(("random", "chance"), ("#b0b0b0", "x")),
    **dict.fromkeys(("logistic", "linear_probe"), (PALETTE[5], "X")),
    "nearest_mean": (PALETTE[1], "s"), "tip_adapter": (PALETTE[2], "D"), "gda": (PALETTE[0], "o"),
    "gda_pinv": (PALETTE[3], "v"), "gda_no_text": (PALETTE[6], "^"), "gda_fixed_alpha": (PALETTE[4], "P"),
}  # fmt: skip
LABELS = {  # of arms whose printed name is not the arm's own with spaces
    "zero_shot": "zero-shot", "tip_adapter": "Tip-Adapter", "clip": "CLIP", "gda": "GDA", "gda_pinv": "GDA, pinv(S)",
    "gda_no_text": "GDA without text", "gda_fixed_alpha": "GDA, α = 1", "logistic": "logistic regression",
}  # fmt: skip
STYLE = {
    "figure.dpi": DPI, "figure.constrained_layout.use": True, "legend.frameon": False, "lines.markersize": 4.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "font.family": "DejaVu Sans",
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8.5),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7.5),
    "svg.hashsalt": "workbook", "svg.fonttype": "none",
}  # fmt: skip


def style() -> None:
    """Set the look of all figures. Functions here call it, and so does a cell that draws with matplotlib itself."""
    import matplotlib
    import seaborn

    seaborn.set_theme(context="paper", style="ticks", palette=list(PALETTE))
    matplotlib.rcParams.update(STYLE)


def colour(arm: str) -> str:
    """Colour of an arm, hex: the same in all notebooks."""
    return ARMS[arm][0] if arm in ARMS else PALETTE[zlib.crc32(str(arm).encode()) % len(PALETTE)]


def marker(arm: str) -> str:
    """Marker of an arm: the same in all notebooks."""
    return ARMS[arm][1] if arm in ARMS else MARKERS[zlib.crc32(str(arm).encode()) // len(PALETTE) % len(MARKERS)]


def label(arm: str) -> str:
    """Printed name of an arm."""
    return LABELS.get(arm, str(arm).replace("_", " "))


def palette(arms) -> dict[str, str]:
    """Colours for the arms of one figure: `colour` of each; of two unlisted with one colour, the later moves on."""
    chosen = {arm: colour(arm) for arm in arms if arm in ARMS}
    for arm in arms:
        if arm not in chosen:
            start = PALETTE.index(colour(arm))
            order = PALETTE[start:] + PALETTE[:start]
            chosen[arm] = next((c for c in order if c not in chosen.values()), order[0])
    return chosen


def save(fig, name: str, caption: str) -> None:
    """Write figures/<name>.png (and .svg where it stays small) into the results folder, show it once, and close it.

    caption: what is plotted, n, profile, interval, the one thing to see. It stands below the figure and is its
    alternative text. The same figure gives the same bytes: no dates, fixed salt.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image, Markdown, display

    if not caption or not caption.strip():
        raise ValueError(f"figure '{name}' has no caption: say what is plotted, n, interval, and the one thing to see")
    notebook = Path(os.environ.get("JPY_SESSION_NAME") or "scratch").stem  # set by JupyterLab
    path = lib.results_folder(notebook) / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    png = _png(fig)
    path.write_bytes(png)
    vector = io.BytesIO()
    if not any(axes.images for axes in fig.axes):
        fig.savefig(vector, format="svg", metadata={"Date": None, "Creator": None})
    if 0 < vector.tell() <= SVG_LIMIT:
        path.with_suffix(".svg").write_bytes(vector.getvalue())
    else:
        path.with_suffix(".svg").unlink(missing_ok=True)
    width = round(100 * fig.get_size_inches()[0])  # shown at 100 dots an inch: sharp on dense screens
    plt.close(fig)
    display(Image(data=png, width=width, alt=caption))
    display(Markdown(f"*{caption}*"))


def _png(fig) -> bytes:
    """PNG bytes with a palette of 256 colours: a third of the size, no visible difference."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    image = Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(small, format="png", optimize=True, dpi=(DPI, DPI))
    return small.getvalue()


def summary(table, keys: list[str], scale: float = 100.0):
    """Mean and interval of column `value` per combination of `keys`, times `scale`: columns keys, value, low, high, n.

    Where the table has `low` and `high` they are taken over; else the interval is the 95 % t interval over the rows
    (n-1 degrees of freedom), nan for a single row.
    """
    import pandas as pd
    from scipy.stats import t

    rows = []
    for key, part in table.groupby(keys, sort=False, observed=True):
        mean, n = part["value"].mean(), len(part)
        if {"low", "high"} <= set(part.columns):
            if n > 1:
                raise ValueError(f"{dict(zip(keys, key))} has {n} rows with low and high; a summary has one row")
            low, high = part["low"].iloc[0], part["high"].iloc[0]
        else:
            half = t.ppf(0.975, n - 1) * part["value"].std(ddof=1) / n**0.5 if n > 1 else np.nan
            low, high = mean - half, mean + half
        rows.append((*key, mean * scale, low * scale, high * scale, n))
    return pd.DataFrame(rows, columns=[*keys, "value", "low", "high", "n"])


def bars(table, x, hue="arm", *, ylabel=ACCURACY, scale=100.0, paper=None, colours=None, ax=None, legend=True):
    """Grouped bars from zero, one group per value of column `x`, one bar per `hue`, intervals as black lines.

    paper:   {value of x: number in the unit of the axis}, drawn as a grey dashed line across that group.
    colours: {hue: colour} where hues are no arms.
    """
    fig, ax = _axes(ax)
    data = summary(table, [x, hue], scale)
    groups, arms = list(dict.fromkeys(data[x])), list(dict.fromkeys(data[hue]))
    colours, width = colours or palette(arms), 0.8 / len(arms)
    for i, arm in enumerate(arms):
        part = data[data[hue] == arm]
        places = [groups.index(group) + (i - (len(arms) - 1) / 2) * width for group in part[x]]
        whiskers = [part["value"] - part["low"], part["high"] - part["value"]]
        ax.bar(places, part["value"], 0.92 * width, color=colours[arm], label=label(arm), zorder=2, linewidth=0)
        ax.errorbar(places, part["value"], whiskers, fmt="none", ecolor="black", elinewidth=0.9, zorder=3)
    for place, group in enumerate(groups):
        if group in (paper or {}):
            ax.plot([place - 0.45, place + 0.45], [paper[group]] * 2, **PAPER | {"zorder": 4})
    if paper:
        ax.plot([], [], **PAPER, label="paper")
    ax.set_xticks(range(len(groups)), [label(group) for group in groups])
    ax.tick_params(axis="x", length=0)
    ax.set(ylabel=ylabel)
    return _finished(fig, ax, legend)


def curve(
    table, x, hue="arm", *, ylabel=ACCURACY, scale=100.0, log=False, paper=None, colours=None, ax=None, legend=True
):
    """Lines over the numbers in column `x`, one per `hue`, bands for intervals.

    log:   base-2 axis with ticks at the values that occur. colours as in `bars`.
    paper: {name: {x: number in the unit of the axis}}, drawn as grey dashed lines with the name at the right end.
    """
    fig, ax = _axes(ax)
    data = summary(table, [x, hue], scale)
    arms = list(dict.fromkeys(data[hue]))
    colours = colours or palette(arms)
    for arm in arms:
        part = data[data[hue] == arm].sort_values(x)
        ax.fill_between(part[x].astype(float), part["low"], part["high"], color=colours[arm], alpha=0.15, linewidth=0)
        ax.plot(part[x], part["value"], color=colours[arm], marker=marker(arm), label=label(arm), linewidth=1.4, mew=0)
    for name, values in (paper or {}).items():
        end = list(values.items())[-1]
        ax.plot(list(values), list(values.values()), **PAPER)
        ax.annotate(name, end, (3, 0), textcoords="offset points", va="center", fontsize=7, color="#6e6e6e")
    if log:
        ticks = sorted(set(data[x]))
        ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    ax.set(xlabel=label(x), ylabel=ylabel)
    return _finished(fig, ax, legend)


def grid(images, titles=None, *, columns: int = 8, colours=None, width: float = WIDE):
    """Pictures side by side. images u8 [N,H,W,3]; titles and title colours one per picture, or None."""
    import matplotlib.pyplot as plt

    if len(images) == 0:
        raise ValueError("a grid needs at least one image")
    style()
    columns = min(columns, len(images))
    rows, height = -(-len(images) // columns), width / columns * np.shape(images[0])[0] / np.shape(images[0])[1]
    lines = max(str(title).count("\n") + 1 for title in titles) if titles is not None else 0
    fig, axes = plt.subplots(rows, columns, figsize=(width, rows * (height + 0.13 * lines)), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.015, h_pad=0.015)
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i < len(images):
            ax.imshow(images[i], interpolation="nearest" if len(images[i]) <= 96 else "antialiased")
            if titles is not None:
                tint = "black" if colours is None else colours[i]
                ax.set_title(titles[i], fontsize=6.5, loc="center", pad=2, color=tint)
    return fig


def overlay(images, maps, titles=None, *, columns: int = 8, alpha: float = 0.55):
    """Heat maps over pictures. images u8 [N,H,W,3]; maps [N,h,w] of any size, one colour scale for all of them."""
    if len(images) != len(maps):
        raise ValueError(f"{len(images)} images but {len(maps)} maps")
    fig = grid(images, titles, columns=columns)
    low, high = min(m.min() for m in maps), max(m.max() for m in maps)
    for ax, image, heat_map in zip(fig.axes, images, maps):
        extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        ax.imshow(heat_map, cmap="viridis", alpha=alpha, vmin=low, vmax=high, extent=extent, interpolation="bilinear")
    return fig


def heat(shares, rows, columns, ax=None):
    """A small table as colours: shares [R, C] in [0, 1], printed as percentages; names of rows and columns."""
    fig, ax = _axes(ax)
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), share in np.ndenumerate(np.asarray(shares)):
        tint = "white" if share < 0.6 else "black"
        ax.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=7, color=tint)
    ax.set_xticks(range(len(columns)), [str(name) for name in columns])
    ax.set_yticks(range(len(rows)), [str(name) for name in rows])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def forest(table):
    """Verdict table of `claims.record` as intervals, one line a claim, in units of the smallest interesting difference.

    The dotted line at 1 is what an interval must exceed to hold as "better"; colours are verdicts. Numbers at the right
    are the difference and its interval in the paper's unit; a claim that is not tested may have none.
    """
    import matplotlib.pyplot as plt

    style()
    fig, ax = plt.subplots(figsize=(WIDE, 0.75 + 0.32 * len(table)))
    for place, row in enumerate(table.to_dict("records")):
        tint, text = VERDICTS[row["verdict"]], row["verdict"]
        if np.isfinite(row["difference"]):
            middle, low, high = (row[name] / row["margin"] for name in ("difference", "low", "high"))
            ax.plot([low, high], [place, place], color=tint, linewidth=2.4, solid_capstyle="butt")
            ax.plot([middle], [place], "o", color=tint, markersize=6)
            text = f"{row['difference']:+.1f}  [{row['low']:.1f}, {row['high']:.1f}]  {text}"
        ax.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=tint)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.annotate("margin", (1, 1), (2, 1), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=7)
    ax.set_yticks(range(len(table)), list(table["claim"]))
    ax.set(ylim=(len(table) - 0.5, -0.5), xlabel="difference / smallest difference that matters")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return fig


def _axes(ax):
    import matplotlib.pyplot as plt

    style()
    return (ax.figure, ax) if ax is not None else plt.subplots(figsize=(WIDE, 2.6))


def _finished(fig, ax, legend):
    if legend:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig

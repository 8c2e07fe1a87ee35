"""Figures that look alike in every notebook: one style, one colour per method, grey dashes for the paper's values.

Drawing functions take tidy tables (pandas) and return a matplotlib Figure; `save` writes it and shows it once. Colours
and markers belong to the arm, so a method looks the same wherever it stands. Rows of a table are single measurements
(one per seed: the mean and its 95 % t interval are drawn) or summaries with columns `low` and `high` (drawn as they are).
"""

import io
import os
import zlib
from pathlib import Path

import lib

NARROW, WIDE = 3.3, 6.8  # inches: one column, two columns
DPI = 150
SVG_LIMIT = 100_000  # bytes; larger vector files are not kept
PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#b8a800", "#e377a8")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
PAPER = {"color": "#8c8c8c", "linestyle": (0, (4, 2.5)), "linewidth": 1.2, "zorder": 1}
VERDICTS = {
    "holds": "#029e73",
    "does not hold": "#d55e00",
    "inconclusive": "#de8f05",
    "not tested": "#8c8c8c",
}
ARMS = {  # arm: (colour, marker); every other name gets its place by a hash
    "zero_shot": ("#444444", "."),
    "clip": ("#444444", "."),
    "baseline": ("#444444", "."),
    "random": ("#b0b0b0", "x"),
    "chance": ("#b0b0b0", "x"),
    "nearest_mean": (PALETTE[1], "s"),
    "tip_adapter": (PALETTE[2], "D"),
    "gda": (PALETTE[0], "o"),
    "gda_pinv": (PALETTE[3], "v"),
    "gda_no_text": (PALETTE[6], "^"),
    "gda_fixed_alpha": (PALETTE[4], "P"),
    "logistic": (PALETTE[5], "X"),
    "linear_probe": (PALETTE[5], "X"),
}
LABELS = {
    "zero_shot": "zero-shot",
    "tip_adapter": "Tip-Adapter",
    "clip": "CLIP",
    "gda": "GDA",
    "gda_pinv": "GDA, pinv(S)",
    "gda_no_text": "GDA without text",
    "gda_fixed_alpha": "GDA, alpha = 1",
    "logistic": "logistic regression",
}


def style() -> None:
    """Set the look of all figures; safe to call often, called by every function here."""
    import matplotlib
    import seaborn

    seaborn.set_theme(context="paper", style="ticks", palette=list(PALETTE))
    matplotlib.rcParams.update(
        {
            "figure.dpi": DPI,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9,
            "axes.titlelocation": "left",
            "legend.frameon": False,
            "lines.markersize": 4.5,
            "svg.hashsalt": "workbook",
            "font.family": "DejaVu Sans",
            "font.size": 8,
        }
    )


def colour(arm: str) -> str:
    """Colour of an arm, hex: the same in all notebooks."""
    return ARMS[arm][0] if arm in ARMS else PALETTE[zlib.crc32(arm.encode()) % len(PALETTE)]


def marker(arm: str) -> str:
    """Marker of an arm: the same in all notebooks."""
    return ARMS[arm][1] if arm in ARMS else MARKERS[zlib.crc32(arm.encode()) // len(PALETTE) % len(MARKERS)]


def label(arm: str) -> str:
    """Printed name of an arm."""
    return LABELS.get(arm, str(arm).replace("_", " "))


def palette(arms) -> dict[str, str]:
    """Colours for the arms of one figure: `colour` of each; of two unlisted arms with one colour, the later moves on."""
    chosen = {arm: colour(arm) for arm in arms if arm in ARMS}
    for arm in arms:
        if arm not in chosen:
            start = PALETTE.index(colour(arm))
            order = PALETTE[start:] + PALETTE[:start]
            chosen[arm] = next((c for c in order if c not in chosen.values()), order[0])
    return chosen


def save(fig, name: str, caption: str) -> Path:
    """Write figures/<name>.png (and .svg where it stays small) into the results folder, show it once, and close it.

    caption: what is plotted, n, profile, interval, the one thing to see. It stands below the figure and is its
    alternative text. Returns the path of the PNG. Same figure, same bytes: no dates, fixed salt.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image, Markdown, display

    if not caption or not caption.strip():
        raise ValueError(f"figure '{name}' has no caption: say what is plotted, n, interval, and the one thing to see")
    notebook = Path(os.environ.get("JPY_SESSION_NAME") or "scratch").stem  # set by JupyterLab
    folder = lib.results_folder(notebook) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    png = _small_png(fig)
    path.write_bytes(png)
    svg = io.BytesIO()
    if not any(axes.images for axes in fig.axes):
        fig.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    if 0 < svg.tell() <= SVG_LIMIT:
        path.with_suffix(".svg").write_bytes(svg.getvalue())
    else:
        path.with_suffix(".svg").unlink(missing_ok=True)
    width = round(fig.get_size_inches()[0] * 100)  # shown at 100 dots an inch: sharp on dense screens
    plt.close(fig)
    display(Image(data=png, width=width, alt=caption))
    display(Markdown(f"*{caption}*"))
    return path


def _small_png(fig) -> bytes:
    """PNG bytes of a figure with a palette of 256 colours: a third of the size, no visible difference."""
    from PIL import Image

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    image = Image.open(buffer).convert("RGB")
    image = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small = io.BytesIO()
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
            half = t.ppf(0.975, n - 1) * part["value"].std(ddof=1) / n**0.5 if n > 1 else float("nan")
            low, high = mean - half, mean + half
        rows.append((*key, mean * scale, low * scale, high * scale, n))
    return pd.DataFrame(rows, columns=[*keys, "value", "low", "high", "n"])


def bars(
    table, x: str, hue: str = "arm", *, ylabel="top-1 accuracy (%)", scale=100.0, paper=None, ax=None, legend=True
):
    """Grouped bars from zero, one group per value of column `x`, one bar per `hue`, intervals as black lines.

    paper: {value of x: number in the unit of the axis}, drawn as a grey dashed line across that group.
    """
    style()
    fig, ax = _axes(ax)
    data = summary(table, [x, hue], scale)
    groups, arms = list(dict.fromkeys(data[x])), list(dict.fromkeys(data[hue]))
    colours, width = palette(arms), 0.8 / len(arms)
    for i, arm in enumerate(arms):
        part = data[data[hue] == arm]
        places = [groups.index(group) + (i - (len(arms) - 1) / 2) * width for group in part[x]]
        ax.bar(places, part["value"], 0.92 * width, color=colours[arm], label=label(arm), zorder=2)
        ax.errorbar(places, part["value"], _whiskers(part), fmt="none", ecolor="black", elinewidth=0.9, zorder=3)
    for group, value in (paper or {}).items():
        place = groups.index(group)
        ax.plot([place - 0.45, place + 0.45], [value, value], **PAPER | {"zorder": 4})
    if paper:
        ax.plot([], [], **PAPER, label="paper")
    ax.set_xticks(range(len(groups)), [label(group) for group in groups])
    ax.set(ylabel=ylabel, ylim=(min(0, ax.get_ylim()[0]), None))
    ax.tick_params(axis="x", length=0)
    _legend(ax, legend)
    return fig


def curve(
    table,
    x: str,
    hue: str = "arm",
    *,
    xlabel=None,
    ylabel="top-1 accuracy (%)",
    scale=100.0,
    log=False,
    paper=None,
    ax=None,
    legend=True,
):
    """Lines over a number in column `x`, one per `hue`, bands for intervals.

    log: base-2 axis with ticks at the values that occur. paper: {name: {x: number in the unit of the axis}}, drawn as
    grey dashed lines with the name at the right end.
    """
    style()
    fig, ax = _axes(ax)
    data = summary(table, [x, hue], scale)
    arms = list(dict.fromkeys(data[hue]))
    colours = palette(arms)
    for arm in arms:
        part = data[data[hue] == arm].sort_values(x)
        ax.plot(part[x], part["value"], color=colours[arm], marker=marker(arm), label=label(arm), linewidth=1.4, mew=0)
        ax.fill_between(part[x].astype(float), part["low"], part["high"], color=colours[arm], alpha=0.15, linewidth=0)
    for name, values in (paper or {}).items():
        ax.plot(list(values), list(values.values()), **PAPER)
        ax.annotate(
            name,
            (list(values)[-1], list(values.values())[-1]),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color="#6e6e6e",
            annotation_clip=False,
        )
    if log:
        ticks = sorted(set(data[x]))
        ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    ax.set(xlabel=label(x) if xlabel is None else xlabel, ylabel=ylabel)
    _legend(ax, legend)
    return fig


def grid(images, titles=None, *, columns: int = 8, colours=None, width: float = WIDE):
    """Pictures side by side. images u8 [N,H,W,3]; titles and title colours one per picture, or None."""
    style()
    import matplotlib.pyplot as plt

    if len(images) == 0:
        raise ValueError("grid of no images")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max((str(title).count("\n") + 1 for title in titles), default=0) if titles is not None else 0
    side = width / columns
    fig, axes = plt.subplots(rows, columns, figsize=(width, rows * (side + 0.13 * lines)), squeeze=False)
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
    lo, hi = min(m.min() for m in maps), max(m.max() for m in maps)
    for ax, image, heat in zip(fig.axes, images, maps):
        extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        ax.imshow(heat, cmap="viridis", alpha=alpha, vmin=lo, vmax=hi, extent=extent, interpolation="bilinear")
    return fig


def forest(table):
    """Verdict table of `claims.record` as intervals, one line a claim, in units of the smallest interesting difference.

    The dotted line at 1 is what an interval must exceed to hold as "better"; colours are verdicts. Numbers at the right
    are the difference and its interval in the paper's unit; a claim that is not tested has none.
    """
    style()
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(WIDE, 0.55 + 0.34 * len(table)))
    for place, row in enumerate(table.to_dict("records")):
        tint = VERDICTS[row["verdict"]]
        text = row["verdict"]
        if row["difference"] is not None and row["difference"] == row["difference"]:
            middle, low, high = (row[name] / row["margin"] for name in ("difference", "low", "high"))
            ax.plot([low, high], [place, place], color=tint, linewidth=2.4, solid_capstyle="butt")
            ax.plot([middle], [place], "o", color=tint, markersize=6)
            text = f"{row['difference']:+.1f} [{row['low']:.1f}, {row['high']:.1f}]  {text}"
        ax.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=tint)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_yticks(range(len(table)), [label(name) for name in table["claim"]])
    ax.set(ylim=(len(table) - 0.5, -0.5), xlabel="difference / smallest difference that matters")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return fig


def _axes(ax):
    import matplotlib.pyplot as plt

    if ax is not None:
        return ax.figure, ax
    return plt.subplots(figsize=(WIDE, 2.6))


def _whiskers(part):
    """Lengths below and above the values, [2, n]; nan where there is no interval."""
    return [part["value"] - part["low"], part["high"] - part["value"]]


def _legend(ax, legend) -> None:
    """Legend at the right of the axes, in the order of the lines' right ends or of the bars."""
    if legend:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7.5)

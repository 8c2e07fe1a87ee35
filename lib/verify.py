"""Do the results in git hold on this machine? `python -m lib.verify gda` computes one paper from scratch and compares.

From scratch: in the empty folder .work/verify/<slug>/ the corpora of the paper's stage are drawn, features encoded and
the notebook executed; only base models are taken as they lie in models/. A claim agrees if the verdict is the same and
the difference lies within the interval of the results in git. Bytes are compared too, but need not be equal: another
processor adds in another order. `python -m lib.verify --table` prints the verdicts of all results without running any.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import lib
from lib import run

NO_RESULTS = "no results yet: run `dvc repro`"
HEAD = ("paper", "claim", "paper's numbers", "ours", "difference [interval]", "verdict")
MARKS = ("<!-- results: python -m lib.verify --readme -->", "<!-- end of results -->")


def corpora(slug: str) -> list[str]:
    """Corpora that a paper's stage of dvc.yaml depends on: the values of its slots data, data2, ..."""
    for stage in run.read_yaml(lib.ROOT / "dvc.yaml")["stages"].values():
        items = stage.get("foreach")
        slots = items.get(slug) if isinstance(items, dict) else None
        if isinstance(slots, dict):
            return sorted({value for name, value in slots.items() if name.startswith("data")})
    raise run.Problem(f"dvc.yaml has no stage for '{slug}'; {run.nearest(slug, run.notebooks())}")


def recompute(slug: str, profile: str, quiet: bool = False) -> Path:
    """Draw, encode and run everything in .work/verify/<slug>/; returns the folder of results below it."""
    names = corpora(slug)
    scratch = lib.ROOT / ".work" / "verify" / slug
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    variables = {"WORKBOOK_OUT": str(scratch), "WORKBOOK_PROFILE": profile, "PYTHONPATH": str(lib.ROOT)}
    draw = [["lib.world.corpora", *names]] if profile != "paper" else []  # public data are fetched once, by their stage
    for arguments in [*draw, ["lib.run", slug, "--profile", profile, *(["--quiet"] if quiet else [])]]:
        command = [sys.executable, "-m", *arguments]
        code = subprocess.run(command, cwd=lib.ROOT, env=os.environ | variables).returncode
        if code:
            raise run.Problem(f"{slug}: `python -m {' '.join(arguments)}` failed (exit code {code})")
    return scratch / "results" / profile / slug


def claims(folder: Path) -> dict:
    """claims.json of a results folder."""
    try:
        return json.loads((folder / "claims.json").read_text())
    except FileNotFoundError:
        raise run.Problem(f"{folder} has no claims.json; {NO_RESULTS}") from None


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"


def judge(old: dict, new: dict) -> tuple[bool, str]:
    """Whether a claim computed again agrees with the one in git, and in which way."""
    if old["verdict"] != new["verdict"]:
        return False, f"verdict is '{new['verdict']}' here, '{old['verdict']}' in git"
    if old["ours"] is None or new["ours"] is None:
        return (old["ours"] is None) == (new["ours"] is None), f"{new['verdict']}; no numbers on one side or both"
    (low, high), value, before = old["ours"]["interval"], new["ours"]["difference"], old["ours"]["difference"]
    if old["ours"] == new["ours"]:
        return True, f"{new['verdict']}; the same numbers, difference {number(value)}"
    inside = low <= value <= high
    where = "within" if inside else "OUTSIDE"
    return inside, (
        f"{new['verdict']}; difference {number(value)} here, {number(before)} in git:"
        f" {where} its interval {number(low)} to {number(high)}"
    )


def compare(committed: Path, fresh: Path) -> tuple[bool, list[str]]:
    """Whether two results folders agree claim by claim, and the lines that say so."""
    old, new = claims(committed), claims(fresh)
    before, after = ({claim["id"]: claim for claim in document["claims"]} for document in (old, new))
    good, lines = True, []
    if old["rule_digest"] != new["rule_digest"]:
        good, lines = False, [f"rules: {new['rule_digest']} here, {old['rule_digest']} in git: papers.yaml has changed"]
    for name in before | after:
        if name in before and name in after:
            agrees, text = judge(before[name], after[name])
        else:
            agrees, text = False, "only in git" if name in before else "only here"
        good &= agrees
        lines.append(f"{'agrees' if agrees else 'DISAGREES':10} {name}: {text}")
    for name in sorted(set(old["identity"]) | set(new["identity"])):
        there, here = old["identity"].get(name), new["identity"].get(name)
        if there != here:
            lines.append(f"{'identity':10} {name}: {json.dumps(here)} here, {json.dumps(there)} in git")
    files = sorted({p.relative_to(f) for f in (committed, fresh) for p in f.rglob("*") if p.is_file()})
    for file in files:
        sides = committed / file, fresh / file
        there = [side.exists() for side in sides]
        if not all(there):
            state = "only in git" if there[0] else "only here"
        else:
            state = "equal" if sides[0].read_bytes() == sides[1].read_bytes() else "differ"
        lines.append(f"{'bytes':10} {file}: {state}")
    return good, lines


def results(folder: Path, profile: str) -> list[dict]:
    """claims.json of every paper under a profile, in the order of papers.yaml."""
    order = {slug: place for place, slug in enumerate(run.read_yaml(lib.ROOT / "papers.yaml"))}
    documents = [json.loads(file.read_text()) for file in sorted((folder / profile).glob("*/claims.json"))]
    return sorted(documents, key=lambda document: order.get(document["slug"], len(order)))


def table(folder: Path | None = None) -> str:
    """Verdicts of all results, one line a claim, as text; profiles are never mixed."""
    lines = []
    for profile in lib.PROFILES:
        documents = results(folder or lib.out() / "results", profile)
        if not documents:
            continue
        rows = [HEAD, *(_row(document["slug"], claim) for document in documents for claim in document["claims"])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
        lines += [f"profile {profile}", ""]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        counts = Counter(claim["verdict"] for document in documents for claim in document["claims"])
        lines += ["", ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()), ""]
    return "\n".join(lines).rstrip() or NO_RESULTS


def readme(text: str) -> str:
    """README with the table of the default profile's results between its two marks."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for document in results(lib.ROOT / "results", "mini"):
        slug = document["slug"]
        link = f"[{slug}](results/mini/{slug}/{slug}.ipynb)"
        lines += [f"| {' | '.join((link, *_row(slug, claim)[1:]))} |" for claim in document["claims"]]
    first, last = MARKS
    before, found, rest = text.partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed:
        raise run.Problem(f"README.md has no lines '{first}' and '{last}'")
    return f"{before}{first}\n{chr(10).join(lines) if len(lines) > 2 else NO_RESULTS}\n{last}{after}"


def _row(slug: str, claim: dict) -> tuple[str, ...]:
    paper, ours = claim["paper"], claim["ours"]
    sides = [
        f"{number(side['baseline']['value'])} -> {number(side['method']['value'])}" for side in (paper, ours) if side
    ]
    interval = f"{number(ours['difference'])} [{', '.join(map(number, ours['interval']))}]" if ours else "-"
    plain = ours and " + " not in (ours["method"]["name"] or "")  # the sides of a contrast are sums: no level to show
    return slug, claim["id"], sides[0], sides[1] if plain else "-", interval, claim["verdict"]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 0 if all agrees, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m lib.verify", description=__doc__.split("\n")[0])
    parser.add_argument("slug", nargs="?", help="paper to compute from scratch")
    parser.add_argument("--profile", choices=lib.PROFILES, help="default: the profile of params.yaml")
    parser.add_argument("--table", action="store_true", help="print all verdicts, run nothing")
    parser.add_argument("--readme", action="store_true", help="write the verdicts of profile mini into README.md")
    parser.add_argument("--quiet", action="store_true", help="no prints of the notebook's cells")
    options = parser.parse_args(arguments)
    if options.table + options.readme + bool(options.slug) != 1:
        parser.error("give a paper's slug, or --table, or --readme")
    try:
        if options.table:
            print(table())
            return 0
        if options.readme:
            path = lib.ROOT / "README.md"
            path.write_text(readme(path.read_text()))
            return 0
        profile = options.profile or lib.profile()
        committed = lib.ROOT / "results" / profile / options.slug
        corpora(options.slug), claims(committed)  # before an hour of work
        good, lines = compare(committed, recompute(options.slug, profile, options.quiet))
    except run.Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print(
        "\n".join(["", f"{options.slug} ({profile}), computed again against results/{profile}/{options.slug}:", *lines])
    )
    print(f"\n{'every claim agrees' if good else 'at least one claim DISAGREES'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

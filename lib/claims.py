"""Claims as code: `record` judges what a notebook measured by the rules of papers.yaml and writes the verdicts.

Differences are turned so that the side the paper claims is positive; what is printed or written stands in the paper's
unit. `python -m lib.claims` checks papers.yaml. The models behind papers.yaml and the verdict rules are in `lib.rules`.
"""

import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from pydantic import ValidationError

import lib
from lib import stats
from lib.rules import (
    OPEN,
    UNTESTED,
    Claim,
    Paper,
    Rule,
    paper,
    papers,
    reason,
    rule_digest,
    side,
    verdict,
    wide_margins,
)

if TYPE_CHECKING:
    import pandas

    from lib.arms import Result

__all__ = ["Claim", "Gate", "Paper", "Rule", "gate", "paper", "papers", "record", "rule_digest", "verdict"]

OPERATIONS = {
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
    "between": lambda value, limits: limits[0] <= value <= limits[1],
}


@dataclass(frozen=True)
class Gate:
    """A condition without which claims are not tested; `claims` None means all of the paper."""

    name: str
    value: float
    op: str
    threshold: float | tuple[float, float]
    holds: bool
    claims: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.name} is not a number: it was not measured"
        limits = "{:g} and {:g}".format(*self.threshold) if self.op == "between" else f"{self.threshold:g}"
        return f"{self.name} is {self.value:.4g}, asked for {self.op} {limits}"


def gate(name: str, value: float, op: str, threshold, claims: Sequence[str] | None = None) -> Gate:
    """Check a condition: op is <, <=, >, >= with a number, or "between" with a pair (ends included). NaN fails."""
    if op not in OPERATIONS:
        raise ValueError(f"op is '{op}'; choose one of {', '.join(OPERATIONS)}")
    threshold = tuple(float(limit) for limit in threshold) if op == "between" else float(threshold)
    if np.isnan(threshold).any() or (op == "between" and (len(threshold) != 2 or threshold[0] > threshold[1])):
        raise ValueError(f"threshold of gate '{name}' is {threshold}; give a number, or for between a rising pair")
    if isinstance(claims, str):
        raise ValueError(f"claims of gate '{name}' is the string '{claims}'; give a list of claim ids")
    value, claims = float(value), None if claims is None else tuple(claims)
    return Gate(name, value, op, threshold, bool(OPERATIONS[op](value, threshold)), claims)


def record(
    slug: str,
    result: "Result",
    gates: Sequence[Gate],
    encoder,
    corpora: Sequence,
    *,
    path: Path | None = None,
    **identity,
) -> "pandas.DataFrame":
    """Judge every claim of a paper; write claims.json and measurements.csv (not in dev). Returns the verdict table.

    encoder:  what was tested (.name, .identity), a list of such, or None. corpora: list of the same.
    identity: further facts that tell results apart, such as precision="float32".
    path:     another papers.yaml.
    The table has one row per claim: claim, statement, paper_baseline, paper_method, baseline, method, difference, low,
    high, margin, verdict, reason; numbers in the paper's unit, NaN where there are none. Raises ValueError where an arm
    of a claim was not measured (all may be missing where a gate fails) or a gate names an unknown claim.
    """
    import pandas

    entry = paper(slug, path)
    _check_gates(entry, gates)
    judged = [_judge(slug, entry, claim, result, gates) for claim in entry.claims]
    encoders = list(encoder) if isinstance(encoder, (list, tuple)) else [encoder] if encoder is not None else []
    named = {
        "encoder": [{"name": each.name, "identity": each.identity} for each in encoders],
        "data": [{"name": each.name, "identity": each.identity} for each in corpora],
        "precision": identity.pop("precision", None),
        **identity,
        "versions": {"torch": version("torch"), "open_clip": version("open_clip_torch"), "numpy": version("numpy")},
    }
    document = {
        "slug": slug,
        "profile": lib.profile(),
        "rule_digest": rule_digest(slug, path),
        "identity": named,
        "cost": result.cost,
        "gates": [asdict(each) for each in gates],
        "claims": judged,
    }
    document = _plain(document)
    if not lib.dev():
        folder = lib.results_folder(slug)
        _write(folder / "claims.json", json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        _write(folder / "measurements.csv", _measurements(entry, result).to_csv(index=False, float_format="%.6g"))
    return pandas.DataFrame([_row(each) for each in document["claims"]])


def _check_gates(entry: Paper, gates: Sequence[Gate]) -> None:
    known = {claim.id for claim in entry.claims if not claim.rule.same_as}
    for each in gates:
        if unknown := sorted(set(each.claims or ()) - known):
            raise ValueError(f"gate '{each.name}' names {unknown}; claims with a rule of their own: {sorted(known)}")


def _judge(slug: str, entry: Paper, claim: Claim, result: "Result", gates: Sequence[Gate]) -> dict:
    """One claim as it stands in claims.json."""
    origin = entry.origin(claim)
    rule = origin.rule
    failed = [str(each) for each in gates if not each.holds and (each.claims is None or origin.id in each.claims)]
    ours, controls, state = None, [], UNTESTED
    if rule.needs and lib.profile() != "paper":
        why = "the claim is about the paper's own scale or data, which only the paper profile has"
    elif rule.kind is None:
        why = "papers.yaml has no rule for it yet"
    elif failed and not all((arm, rule.metric, group) in result.examples for _, arm, group in rule.terms()):
        why = f"a gate fails: {'; '.join(failed)}"  # and so the experiment was not run, or only in part
    else:
        ours, state, why = _compare(slug, claim, origin, result, rule.terms())
        for control in rule.controls:
            beside, stands, _ = _compare(slug, claim, origin, result, rule.terms(control))
            sides = {key: beside[key]["name"] for key in ("method", "baseline")}
            numbers = {"difference": beside["difference"], "interval": beside["interval"]}
            controls.append({"name": control, **sides, **numbers, "verdict": UNTESTED if failed else stands})
        if failed:
            state, why = UNTESTED, f"a gate fails: {'; '.join(failed)}"
    if claim.rule.same_as:
        why = f"shares experiment and verdict of {origin.id}: {why}"
    numbers = claim.paper
    return {
        "id": claim.id,
        "statement": claim.statement,
        "metric": claim.metric,
        "direction": claim.direction,
        "unit": claim.unit,
        "kind": rule.kind,
        "same_as": claim.rule.same_as,
        "paper": {
            "baseline": numbers.baseline.model_dump(),
            "method": numbers.method.model_dump(),
            "dataset": claim.dataset,
            "source": numbers.source,
        },
        "ours": ours,
        "controls": controls,
        "verdict": state,
        "reason": why + ".",
    }


def _compare(slug: str, claim: Claim, origin: Claim, result: "Result", terms: list) -> tuple[dict, str, str]:
    """Numbers, verdict and reason for one comparison, in the claim's unit and turned towards the claim."""
    rule = origin.rule
    keys = [(arm, rule.metric, group) for _, arm, group in terms]
    if missing := [key for key in dict.fromkeys(keys) if key not in result.examples]:
        there = "; ".join(", ".join(key) for key in result.examples)
        raise ValueError(
            f"claim '{origin.id}' of {slug} needs (arm, metric, group) {'; '.join(', '.join(key) for key in missing)}; "
            f"measured are {there}"
        )
    values = [(weight, result.examples[key]) for (weight, _, _), key in zip(terms, keys)]
    try:
        measured = stats.contrast(values, rule.covers, result.statistics.get(rule.metric))
    except ValueError as error:
        raise ValueError(
            f"claim '{origin.id}' of {slug} ({'; '.join(', '.join(key) for key in keys)}): {error}"
        ) from error
    turned = measured.times(1.0 if origin.direction == "higher" else -1.0)
    state = verdict(rule.kind, turned.low, turned.high, rule.margin)
    size = stats.settle(turned, rule.margin, rule.kind) if state == OPEN else None
    names = [side(terms, 1), side(terms, -1)]
    turned, margin = turned.times(claim.scale), rule.margin * claim.scale
    numbers = {
        "baseline": {"name": names[1], "value": turned.baseline},
        "method": {"name": names[0], "value": turned.method},
        "difference": turned.estimate,
        "interval": [turned.low, turned.high],
        "half_width": turned.half_width,
        "level": turned.level,
        "covers": turned.covers,
        "n": turned.n,
        "seeds": turned.seeds,
        "margin": margin,
    }
    return numbers, state, reason(claim, rule.kind, names, turned, margin, state, size)


def _row(judged: dict) -> dict:
    """One row of the verdict table."""
    ours = judged["ours"] or {"baseline": {"value": None}, "method": {"value": None}, "interval": [None, None]}
    numbers = {
        "paper_baseline": judged["paper"]["baseline"]["value"],
        "paper_method": judged["paper"]["method"]["value"],
        "baseline": ours["baseline"]["value"],
        "method": ours["method"]["value"],
        "difference": ours.get("difference"),
        "low": ours["interval"][0],
        "high": ours["interval"][1],
        "margin": ours.get("margin"),
    }
    numbers = {name: math.nan if value is None else float(value) for name, value in numbers.items()}
    words = {"verdict": judged["verdict"], "reason": judged["reason"]}
    return {"claim": judged["id"], "statement": judged["statement"], **numbers, **words}


def _measurements(entry: Paper, result: "Result") -> "pandas.DataFrame":
    """Tidy table: the rows of each claim in turn, then, with an empty claim, those that no claim uses."""
    import pandas

    keys = pandas.Series(list(zip(result.table["arm"], result.table["metric"], result.table["group"])))
    parts, used = [], np.zeros(len(keys), bool)
    for claim in entry.claims:
        if claim.rule.kind is None:
            continue
        sides = [claim.rule.terms(control) for control in (None, *claim.rule.controls)]
        mine = keys.isin([(arm, claim.rule.metric, group) for terms in sides for _, arm, group in terms]).to_numpy()
        used |= mine
        parts.append(result.table[mine].assign(claim=claim.id))
    table = pandas.concat([*parts, result.table[~used].assign(claim="")])
    return table[["claim", *result.table.columns]]


def _plain(thing):
    """JSON types in the same order; floats to 6 significant digits, NaN as null."""
    if isinstance(thing, dict):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_plain(value) for value in thing]
    if isinstance(thing, (bool, np.bool_, str, type(None))):
        return thing.item() if isinstance(thing, np.bool_) else thing
    if isinstance(thing, (int, np.integer)):
        return int(thing)
    if isinstance(thing, (float, np.floating)):
        return float(f"{thing:.6g}") if math.isfinite(thing) else None
    raise TypeError(f"{thing!r} of type {type(thing).__name__} cannot stand in claims.json; give numbers and strings")


def _write(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def main(arguments: Sequence[str]) -> int:
    """Check papers.yaml, or the file given: one line of summary, or the errors."""
    try:
        entries = papers(Path(arguments[0]) if arguments else None)
        problems = wide_margins(entries)
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    except (ValueError, yaml.YAMLError) as error:
        problems = [str(error)]
    print(
        "\n".join(problems) or f"{len(entries)} papers, {sum(len(entry.claims) for entry in entries.values())} claims"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

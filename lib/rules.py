"""papers.yaml: the papers, their claims, and the rule by which each claim is judged. `lib.claims` applies the rules.

A margin is in the unit of the measurement (a fraction), the paper's numbers are in the unit the claim names.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

import lib

if TYPE_CHECKING:
    from lib import stats

HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "inconclusive", "not tested"
UNIT = {"percent": " points", "points": " points", "cider": " CIDEr points", "fraction": ""}  # others: their own name
Groups = Literal[
    "adaptation", "pretraining", "finetuning", "dense", "captioning", "generation", "scene_text", "records", "analysis"
]
SCALE = {"percent": 100.0, "points": 100.0, "cider": 100.0}  # from measurement to the paper's unit; other units 1

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Side(_Model):
    name: str | None
    value: float | None


class Numbers(_Model):
    baseline: Side
    method: Side
    source: str | None


class Rule(_Model):
    """How a claim is judged: arms, metric, the smallest difference that matters, what the interval covers."""

    kind: Literal["better", "kept", "tie"] | None = None
    metric: Name | None = None
    group: str = "all"
    method: Name | None = None
    baseline: Name | None = None
    controls: list[Name] = []
    margin: Annotated[float, Field(gt=0)] | None = None
    covers: Literal["examples", "seeds", "both"] | None = None
    contrast: Annotated[list[tuple[float, Name, str]], Field(min_length=2)] | None = None
    needs: Literal["paper"] | None = None
    same_as: Name | None = None
    margin_note: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Rule":
        given = self.model_fields_set
        if self.same_as:
            if given != {"same_as"}:
                raise ValueError(f"same_as stands instead of every other key; remove {sorted(given - {'same_as'})}")
            return self
        if self.needs and given <= {"needs", "margin_note"}:
            return self  # nothing below the paper profile can be compared
        if self.contrast and given & {"method", "baseline", "group"}:
            raise ValueError("contrast stands instead of method, baseline and group")
        needed = {"kind", "metric", "margin", "covers"} | (set() if self.contrast else {"method", "baseline"})
        if missing := sorted(key for key in needed if getattr(self, key) is None):
            raise ValueError(f"the rule lacks {', '.join(missing)}")
        weights = [weight for weight, _, _ in self.contrast or []]
        if self.contrast and (abs(sum(weights)) > 1e-9 or weights[0] <= 0 or 0 in weights):
            raise ValueError(f"weights {weights} of the contrast must add up to 0, the first (the method's) above 0")
        arms = [arm for _, arm, _ in self.terms()]
        if not self.contrast and len(set(arms)) < 2:
            raise ValueError(f"method and baseline are both '{self.method}'")
        if len({*arms, *self.controls}) < len(set(arms)) + len(self.controls):
            raise ValueError(f"controls {self.controls} repeat one another or the arms {sorted(set(arms))}")
        if self.controls and len(set(arms)) > 2:
            raise ValueError(f"with controls a contrast has one or two arms; it has {sorted(set(arms))}")
        return self

    def terms(self, control: str | None = None) -> list[tuple[float, str, str]]:
        """Signed (weight, arm, group) terms of the comparison. A control takes the place of the baseline; in a contrast
        of one arm with itself that of the arm, to show whether the control has the effect too.
        """
        terms = self.contrast or [(1.0, self.method, self.group), (-1.0, self.baseline, self.group)]
        arms = [arm for _, arm, _ in terms]
        if control is None:
            return terms
        replaced = {*arms} if len({*arms}) == 1 else {*arms} - {arms[0]}
        return [(weight, control if arm in replaced else arm, group) for weight, arm, group in terms]


class Claim(_Model):
    id: Name
    statement: str
    metric: str
    dataset: str | None
    direction: Literal["higher", "lower"]
    unit: str
    paper: Numbers
    rule: Rule

    @property
    def scale(self) -> float:
        return SCALE.get(self.unit, 1.0)


class Paper(_Model):
    title: str
    year: int
    venue: str | None
    arxiv: str | None
    official_code: str | None
    group: Groups
    claims: Annotated[list[Claim], Field(min_length=1)]

    @model_validator(mode="after")
    def _linked(self) -> "Paper":
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError(f"claim ids repeat: {sorted({name for name in ids if ids.count(name) > 1})}")
        for claim in self.claims:
            if not claim.rule.same_as:
                continue
            origin = next((other for other in self.claims if other.id == claim.rule.same_as), None)
            if origin is None or origin.rule.same_as:
                raise ValueError(
                    f"{claim.id}: same_as '{claim.rule.same_as}' must be a claim of this paper with a rule"
                )
            if origin.rule.kind != "tie" and origin.direction != claim.direction:
                raise ValueError(
                    f"{claim.id}: direction is {claim.direction}, that of '{origin.id}' {origin.direction}"
                )
        return self

    def origin(self, claim: Claim) -> Claim:
        """The claim whose rule decides this one: itself, or the one named by same_as."""
        return next(other for other in self.claims if other.id == (claim.rule.same_as or claim.id))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe YAML in which a key that stands twice is an error: the first would vanish silently."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"'{key}' stands twice in one mapping, at line {node.start_mark.line + 1} of papers.yaml")
        return super().construct_mapping(node, deep)


def _read(path: Path | None) -> dict:
    return yaml.load((path or lib.ROOT / "papers.yaml").read_text(encoding="utf-8"), _Loader)


def papers(path: Path | None = None) -> dict[str, Paper]:
    """All papers by slug. ValidationError names what is wrong, and where."""
    return TypeAdapter(dict[str, Paper]).validate_python(_read(path))


def paper(slug: str, path: Path | None = None) -> Paper:
    """One paper; others are not checked, so that an error elsewhere stops no notebook."""
    entries = _read(path)
    if slug not in entries:
        raise ValueError(f"'{slug}' is not in papers.yaml; it has {', '.join(entries)}")
    return TypeAdapter(dict[str, Paper]).validate_python({slug: entries[slug]})[slug]


def rule_digest(slug: str, path: Path | None = None) -> str:
    """Digest of all that decides a paper's verdicts: id, direction and rule of its claims, not wording or numbers."""
    claims = paper(slug, path).claims
    rules = [[c.id, c.direction, c.rule.model_dump(exclude_defaults=True, exclude={"margin_note"})] for c in claims]
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]


def wide_margins(entries: dict[str, Paper]) -> list[str]:
    """Claims of kind better whose margin exceeds half the paper's own effect, with no margin_note that says why."""
    found = []
    for slug, entry in entries.items():
        for claim in entry.claims:
            rule, sides = claim.rule, (claim.paper.method.value, claim.paper.baseline.value)
            if rule.kind != "better" or rule.contrast or rule.margin_note or rule.margin is None or None in sides:
                continue
            effect = abs(sides[0] - sides[1])
            if rule.margin * claim.scale > effect / 2 + 1e-9:
                found.append(f"{slug}.{claim.id}: margin {rule.margin * claim.scale:g}, the paper's effect {effect:g}")
    return found


def verdict(kind: str, low: float, high: float, margin: float) -> str:
    """Verdict from an interval turned towards the claim; margin > 0 in the same unit. Design: section 9."""
    if math.isnan(low) or math.isnan(high) or not margin > 0:
        raise ValueError(f"interval {low} to {high} with margin {margin}; give numbers and a margin above 0")
    if kind == "better":
        return HOLDS if low > margin else FAILS if high < margin else OPEN
    if kind == "kept":
        return HOLDS if low > -margin else FAILS if high < -margin else OPEN
    if kind == "tie":
        return HOLDS if -margin < low and high < margin else FAILS if low >= margin or high <= -margin else OPEN
    raise ValueError(f"kind is '{kind}'; choose better, kept or tie")


def side(terms: list, sign: int) -> str:
    """Name of one side of a comparison: the arm, or the terms of a contrast that stand on that side."""
    parts = [(abs(weight), arm, group) for weight, arm, group in terms if weight * sign > 0]
    if len(terms) == 2 and terms[0][2] == terms[1][2]:
        return parts[0][1]
    return " + ".join(f"{'' if weight == 1 else f'{weight:g} '}{arm} ({group})" for weight, arm, group in parts)


def reason(claim: Claim, kind: str, names: list, turned: "stats.Interval", margin: float, state: str, size) -> str:
    """One sentence: the numbers in the paper's unit, the half-width beside the margin, and what follows."""
    digits = max(0, 2 - math.floor(math.log10(margin)))
    unit = UNIT.get(claim.unit, f" {claim.unit}")
    higher = (turned.estimate >= 0) == (claim.direction == "higher")
    low, high, half = (f"{number:z.{digits}f}" for number in (turned.low, turned.high, turned.half_width))
    effect = "increase" if claim.direction == "higher" else "decrease"
    small = turned.low > 0 or turned.high < 0
    follows = {
        ("better", HOLDS): "the whole interval lies above the margin",
        ("kept", HOLDS): "a loss as large as the margin is ruled out",
        ("tie", HOLDS): "the two differ by less than the margin",
        ("better", FAILS): "an effect as large as the margin is ruled out",
        ("kept", FAILS): "the loss exceeds the margin",
        ("tie", FAILS): "the two differ by more than the margin",
    }.get((kind, state), f"the interval includes a margin, which {size} would settle")
    if (kind, state) == ("better", FAILS) and turned.high < 0:
        follows = "the effect goes the other way"
    elif (kind, state) == ("better", FAILS) and turned.low > 0:
        follows = "the effect is real but too small to matter"
    elif (kind, state) == ("tie", HOLDS) and small:
        follows = "the difference is real but too small to matter"
    elif (kind, state) == ("kept", HOLDS) and turned.high < 0:
        follows = "the loss is real but too small to matter"
    elif turned.low == turned.high == 0:
        follows += "; both are the same on every example"
    return (
        f"{names[0]} is {abs(turned.estimate):z.{digits}f}{unit} {'higher' if higher else 'lower'} than {names[1]} "
        f"({turned.level * 100:g} % interval of the {effect} {low} to {high}, half-width {half}, "
        f"margin {margin:z.{digits}f}): {follows}"
    )

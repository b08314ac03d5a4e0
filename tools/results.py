"""Write what comparisons measured into a domain's page: tables, figures and verdicts, never by hand.

    SCIZOO_BENCH_DATA=FOLDER python tools/results.py domains/genomics/results.yaml --runs RUNS

The YAML file lists the comparisons: `name` is the heading, `run` the folder under RUNS that `scizoo compare`
wrote, `published` what to stand beside. In place of `run`, `runs` names several folders, of `compare` or of a
`finetune` that writes, whose models (`roles`; all) are shown with all labels by the given `metrics`, and with
what pre-training gains by the main one (`gain: true`). A list of folders is one model with several seeds.
The page is the README.md beside it; what lies between its lines `<!-- results -->` and
`<!-- end of results -->` is replaced. Learning curves go to `figures/`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scizoo.evaluation.table import number
from scizoo.files import atomic_path, write_text

BEGIN, END = "<!-- results -->", "<!-- end of results -->"
_LOCAL = ("run_dir", "jobs", "threads")  # where it ran, not what was run
_ROLES = ("pretrained", "scratch", "baseline", "floor")
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#E69F00", "#56B4E9")
_DASHES = {"pretrained": "-", "scratch": "--", "baseline": "-.", "floor": ":"}


def main() -> int:
    """Parse the command line and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("listing", type=Path, help="a domain's results.yaml")
    parser.add_argument("--runs", type=Path, required=True, help="the folder that holds the runs")
    options = parser.parse_args()
    page = options.listing.parent / "README.md"
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        print(f"{page} has no lines '{BEGIN}' and '{END}'", file=sys.stderr)
        return 2
    parts = []
    for one in yaml.safe_load(options.listing.read_text(encoding="utf-8")):
        if "runs" in one:
            parts.append(several(one, options.runs))
            continue
        run = options.runs / one["run"]
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        figure = options.listing.parent / "figures" / f"{one['run']}.svg"
        parts.append(section(one, report, command_of(run), figure if draw(report, figure) else None))
    before, _, rest = text.partition(BEGIN)
    write_text(page, before + "\n\n".join([BEGIN, *parts, END]) + rest.partition(END)[2])
    return 0


def section(one: Mapping[str, Any], report: Mapping[str, Any], command: str, figure: Path | None) -> str:
    """Write one comparison."""
    verdict, metric = report["verdict"] or {}, report["task"]["metric"]
    test = report["data"]["parts"]["test"]
    seeds = report["reproduce"]["seeds"]
    trials = report["tuning"]["trials"]
    tried = (
        "nothing tuned: settings of the task and the command"
        if trials == 1
        else f"{trials} settings tried for each"
    )
    said = [verdict.get("sentence"), verdict.get("versus_scratch")]
    groups = f"{test['groups']:,} group{'' if test['groups'] == 1 else 's'}"
    facts = (
        f"{metric['title']} on {test['records']:,} test records in {groups}, "
        f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}, 95% intervals; {tried}."
    )
    lines = [f"### {one['name']}", "", " ".join(filter(None, said)), "", table(report, metric), "", facts]
    if one.get("published"):
        lines[-1] += f" Published: {one['published']}"
    if figure is not None:
        lines += ["", f"![Learning curves of {one['name']}](figures/{figure.name})"]
    return "\n".join([*lines, "", "```bash", command, "```"])


def several(one: Mapping[str, Any], runs: Path) -> str:
    """Write several runs into one table: a row a run and model, a column a metric."""
    folders = {title: [given] if isinstance(given, str) else given for title, given in one["runs"].items()}
    reports = {
        title: [json.loads((runs / name / "report.json").read_text(encoding="utf-8")) for name in names]
        for title, names in folders.items()
    }
    first = next(iter(reports.values()))[0]
    titles = {metric["name"]: metric["title"] for metric in first["table"]["metrics"]}
    gain = ["gain over scratch"] if one.get("gain") else []
    lines = [["", "model", *(titles[name] for name in one["metrics"]), *gain]]
    lines.append(["---"] * len(lines[0]))
    for title, seeds in reports.items():
        # What no seed changes, such as a baseline, may stand in the first run alone.
        for place, (name, rows) in enumerate(judged(seeds, one.get("roles", _ROLES)).items()):
            scores = [over_seeds([row["scores"].get(key) for row in rows]) for key in one["metrics"]]
            more = [interval(gains(seeds[0]).get((name, rows[0]["labels"])), "difference") for _ in gain]
            lines.append([title if place == 0 else "", name, *scores, *more])
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    most = max(len(names) for names in folders.values())
    drawn = len(first["reproduce"].get("seeds") or [0])
    facts = f"Test part, {f'{drawn} seeds' if drawn > 1 else 'one seed'} a row, 95% intervals."
    if most > 1:
        facts = f"Test part. Mean and range of {most} seeds, or one seed with its 95% interval."
    facts += f" Published: {one['published']}" if one.get("published") else ""
    named = (name for names in folders.values() for name in names)
    commands = "\n".join(dict.fromkeys(command_of(runs / name) for name in named))
    return "\n".join([f"### {one['name']}", "", body, "", facts, "", "```bash", commands, "```"])


def judged(reports: Sequence[Mapping[str, Any]], roles: Sequence[str]) -> dict[str, list[Any]]:
    """Collect what each model reached with all labels, a row a seed."""
    found: dict[str, list[Any]] = {}
    for report in reports:
        rows = report["table"]["rows"]
        most = max(row["labels"] or 0 for row in rows)
        for row in rows:
            if (row["labels"] or 0) == most and row["role"] in roles:
                found.setdefault(row["name"], []).append(row)
    return found


def over_seeds(scores: Sequence[Mapping[str, Any] | None]) -> str:
    """Write one seed's figure with its interval, or the mean of several with their range."""
    values = [score["value"] for score in scores if score is not None and score.get("value") is not None]
    if len(values) < 2:
        return interval(scores[0])
    return f"{number(sum(values) / len(values), 3)} ({number(min(values), 3)} to {number(max(values), 3)})"


def table(report: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """Write the main metric, a row a contender and a column a label budget, and what pre-training gains."""
    rows = report["table"]["rows"]
    budgets = sorted({row["labels"] for row in rows})
    cells = {(row["name"], row["labels"]): row["scores"].get(metric["name"]) for row in rows}
    forecast = report["task"]["kind"] == "forecast"
    head = ["", *(f"{labels:,} {'training windows' if forecast else 'labels'}" for labels in budgets)]
    lines = [head, ["---"] * len(head)]
    # The floor of forecasts is the field's naive method; elsewhere it is a constant.
    for name in dict.fromkeys(row["name"] for row in rows if forecast or row["role"] != "floor"):
        lines.append([name, *(interval(cells.get((name, labels))) for labels in budgets)])
    gained = gains(report)
    if len(budgets) > 1:
        for name in dict.fromkeys(first for first, _ in gained):
            shown = [interval(gained.get((name, labels)), "difference") for labels in budgets]
            lines.append([f"*{name}, gain over scratch*", *shown])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def gains(report: Mapping[str, Any]) -> dict[tuple[str, int], Any]:
    """Find by how much models are better than the same ones from scratch, by name and labels."""
    compared = report["verdict"]["comparisons"]
    return {(one["first"], one["labels"]): one for one in compared if one["role"] == "scratch"}


def interval(score: Mapping[str, Any] | None, key: str = "value") -> str:
    """Write a figure with its interval."""
    if score is None or score.get(key) is None:
        return ""
    value = f"{number(score[key], 3)}"
    if score.get("low") is None or score.get("high") is None:
        return value
    return f"{value} [{number(score['low'], 3)}, {number(score['high'], 3)}]"


def command_of(run: Path) -> str:
    """Give the command of a run, wrapped, with the benchmark folder by its variable."""
    words = shlex.split((run / "command.txt").read_text(encoding="utf-8"))
    words = [word for word in words if word.partition("=")[0] not in _LOCAL]
    folder = os.environ.get("SCIZOO_BENCH_DATA", "").rstrip("/")
    quoted = [shlex.quote(word) if re.search(r"[^\w@%+=:,./-]", word) else word for word in words]
    if folder:
        quoted = [word.replace(folder, "$SCIZOO_BENCH_DATA") for word in quoted]
    # Of a checkpoint on this machine, the run it came from.
    quoted = [re.sub(r"^(checkpoint=)/.*?([^/]+/checkpoint)$", r"\1\2", word) for word in quoted]
    lines = [""]
    for word in quoted:
        if len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return " \\\n  ".join(lines)


def draw(report: Mapping[str, Any], path: Path) -> bool:
    """Draw the main metric over label budgets; False where there is one budget alone."""
    curves = [curve for curve in report["curves"] if curve["role"] != "floor"]
    budgets = sorted({point["labels"] for curve in curves for point in curve["points"]})
    if len(budgets) < 2:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    metric = report["task"]["metric"]
    with matplotlib.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained", facecolor="white")
        axes = figure.subplots()
        for place, curve in enumerate(curves):
            shift = 1.03 ** (place - len(curves) / 2)  # so that intervals do not hide each other
            points = [point for point in curve["points"] if point["value"] is not None]
            x = [point["labels"] * shift for point in points]
            y = [point["value"] for point in points]
            low = [point["value"] - (point["low"] or point["value"]) for point in points]
            high = [(point["high"] or point["value"]) - point["value"] for point in points]
            axes.errorbar(
                x,
                y,
                [[max(0.0, gap) for gap in low], [max(0.0, gap) for gap in high]],
                color=_COLOURS[place % len(_COLOURS)],
                linestyle=_DASHES.get(curve["role"], "-"),
                marker="o",
                markersize=4,
                label=curve["name"],
            )
        axes.set_xscale("log")
        axes.set_xticks(budgets, [f"{labels:,}" for labels in budgets])
        axes.minorticks_off()
        axes.set_xlabel("training labels")
        axes.set_ylabel(f"{metric['title']} on test")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
    return True


if __name__ == "__main__":
    sys.exit(main())

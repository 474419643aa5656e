"""What bench_move.py found: kept or missed, a table and a plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from move_cases import (
    CASES,
    MEMORY_GROWTH,
    MEMORY_LIMIT,
    OURS,
    PARSE_LIMIT,
    Bound,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-move.md"
PLOT = ROOT / "docs" / "images" / "bench-move.png"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

Found = dict[str, Any]


def speed(result: Found) -> float:
    """Rows a second; 0 where it failed or stored other rows than it should."""
    if result["failed"] or not complete(result):
        return 0.0
    return float(result["expected"] / result["seconds"])


def complete(result: Found) -> bool:
    """Whether all rows arrived, as far as there is something to count."""
    return result["rows"] is None or result["rows"] == result["expected"]


def judge(contenders: dict[str, Found], bound: Bound) -> tuple[float, str] | None:
    """Compare by rows a second.

    Returns:
        How many times as fast it is, and as whom; None where one of them was not measured.
    """
    if bound.contender not in contenders:
        return None
    mine = contenders[bound.contender]
    if bound.against in ("each peer", "best peer"):
        rivals = {
            name: speed(result)
            for name, result in contenders.items()
            if not result["ours"] and not result["limit"] and speed(result)
        }
        # "Each" is kept where the best is.
        rival = max(rivals, key=lambda name: rivals[name], default=None)
    else:
        rival = bound.against if bound.against in contenders else None
    if rival is None or not speed(contenders[rival]):
        return None
    return speed(mine) / speed(contenders[rival]), rival


def verdicts(results: Found) -> Iterator[str]:
    """Each bound, kept or missed."""
    bounds = {case.name: case.bounds for case in CASES}
    for case in results["cases"]:
        for bound in bounds[case["case"]]:
            judged = judge(case["contenders"], bound)
            if judged is None:
                yield f"not measured: {case['title']}: {bound.text}"
                continue
            ratio, rival = judged
            word = "kept" if ratio >= bound.factor else "missed"
            aim = " (an aim)" if bound.target else ""
            yield f"{word}: {case['title']}: {bound.text}{aim}: {ratio:.2f} times {rival}"
    for each in results["memory"]:
        peaks = [peak["memory"] for peak in each["peaks"]]
        named = f"{each['title']}, {each['name']}"
        if any(peak["failed"] or not complete(peak) for peak in each["peaks"]):
            yield f"missed: {named}: it failed, or rows are missing"
            continue
        word = "kept" if max(peaks) <= MEMORY_LIMIT else "missed"
        yield f"{word}: {named}: at most {MEMORY_LIMIT / 1e6:.0f} MB: {max(peaks) / 1e6:.0f} MB"
        if len(peaks) > 1:
            growth = peaks[1] / peaks[0]
            word = "kept" if growth <= MEMORY_GROWTH else "missed"
            yield f"{word}: {named}: the same at four times the rows: {growth:.2f} times"
    for what, seconds in results["parsing"].items():
        word = "kept" if seconds < PARSE_LIMIT else "missed"
        yield f"{word}: `{what}` under {PARSE_LIMIT * 1000:.0f} ms: {seconds * 1000:.0f} ms"


def print_results(results: Found) -> None:
    """Print what was kept and missed."""
    print()
    for verdict in verdicts(results):
        print(verdict)
    print(f"all in {results['minutes']:.1f} minutes", flush=True)


def machine() -> str:
    """Describe this machine."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, Python {platform.python_version()}"


def markdown(results: Found) -> str:
    """Write all of it as Markdown."""
    lines = [
        f"Machine: {machine()}; servers, S3 and contenders share it. "
        f"All of it took {results['minutes']:.0f} minutes.",
        "",
    ]
    for case in results["cases"]:
        contenders = case["contenders"]
        lines += [
            f"### {case['title']}",
            "",
            "| contender | rows | seconds | processor s | peak MB | MB stored | thousand rows/s "
            "| Tradewind is |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        mine = speed(contenders[OURS]) if OURS in contenders else 0.0
        lines += [_row(name, result, mine) for name, result in contenders.items()]
        lines.append("")
    if results["memory"]:
        lines += [
            "### Memory and the number of rows",
            "",
            "| move | peak MB at 3 million rows | at 12 million |",
            "| --- | ---: | ---: |",
        ]
        for each in results["memory"]:
            peaks = [
                "failed" if peak["failed"] else f"{peak['memory'] / 1e6:.0f}"
                for peak in each["peaks"]
            ]
            peaks += ["-"] * (2 - len(peaks))
            lines.append(f"| {each['title']}, {each['name']} | {' | '.join(peaks)} |")
        lines.append("")
    lines += ["### Bounds", ""]
    lines += [
        f"- **{word}**: {rest}"
        for word, _, rest in (verdict.partition(": ") for verdict in verdicts(results))
    ]
    return "\n".join(lines)


def _row(name: str, result: Found, mine: float) -> str:
    bold = "**" if result["ours"] else ""
    if result["failed"]:
        return f"| {name} | failed | - | - | - | - | - | - |"
    rows = f"{result['expected']:,}"
    if not complete(result):
        rows = f"{result['rows']:,} of {rows}"
    size = "-" if result["bytes"] is None else f"{result['bytes'] / 1e6:.0f}"
    faster = f"{mine / speed(result):.1f} times as fast" if speed(result) and mine else "-"
    return (
        f"| {bold}{name}{bold} | {rows} | {result['seconds']:.1f} | {result['cpu']:.1f} | "
        f"{result['memory'] / 1e6:.0f} | {size} | "
        f"{result['expected'] / result['seconds'] / 1000:,.0f} | "
        f"{'' if name == OURS else faster} |"
    )


def write_results(results: Found, page: Path = PAGE, plot: Path = PLOT) -> None:
    """Put the table into the page, between its marks, and draw the plot."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{markdown(results)}\n{END}{after}")
    draw(results, plot)


def draw(results: Found, plot: Path) -> None:
    """Draw rows a second, a panel a case, each axis linear and from zero."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cases = results["cases"]
    heights = [len(case["contenders"]) + 0.9 for case in cases]
    figure, panels = plt.subplots(
        len(cases),
        1,
        figsize=(9, 0.36 * sum(heights) + 1.2),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for panel, case in zip(panels[:, 0], cases, strict=True):
        names = list(case["contenders"])[::-1]
        found = [case["contenders"][name] for name in names]
        values = [speed(result) / 1000 for result in found]
        colours = [
            "#0b6e8f" if result["ours"] else "#c9c9c9" if result["limit"] else "#e0a458"
            for result in found
        ]
        panel.barh(names, values, color=colours, height=0.72)
        most = max(values) or 1.0
        for index, (value, result) in enumerate(zip(values, found, strict=True)):
            said = f"{value:,.0f}   ({result['memory'] / 1e6:,.0f} MB)"
            if result["failed"]:
                said = "failed"
            elif not complete(result):
                said = "lost rows"
            panel.text(value + most * 0.01, index, said, va="center", fontsize=8)
        panel.set_xlim(0, most * 1.22)
        panel.set_title(case["title"], loc="left", fontsize=10, fontweight="bold")
        panel.tick_params(labelsize=8, length=0)
        panel.set_xticks([])
        for side in ("top", "right", "bottom"):
            panel.spines[side].set_visible(False)
    figure.suptitle(
        "Thousand rows a second (peak memory): longer is faster; each panel has its own linear "
        "scale from 0\n"
        "blue: Tradewind   orange: peers   grey: the limit (the database's own tool or the wire)",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(plot, dpi=110)
    plt.close(figure)

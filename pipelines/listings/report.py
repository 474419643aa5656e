"""The month's report: one HTML page with its plots in it, which needs nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["Results", "write"]

_STYLE = """
:root { --ink: #16324f; --soft: #5b7189; --line: #d9e1e8; --up: #b3402e; --down: #1f7a5c; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 24px 20px 48px; color: var(--ink);
  font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; background: #fff; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 10px; }
p { margin: 0 0 10px; color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 0; padding: 0;
  list-style: none; }
.facts li { border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px;
  min-width: 150px; }
.facts b { display: block; font-size: 22px; } .facts span { color: var(--soft); font-size: 13px; }
.hoods { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }
figure { margin: 0; } figcaption { display: flex; justify-content: space-between; font-size: 13px; }
figcaption b { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
figcaption span { padding-left: 8px; white-space: nowrap; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 10px; }
table { border-collapse: collapse; width: 100%; min-width: 720px; font-size: 14px;
  table-layout: fixed; }
th:nth-child(1) { width: 27%; } th:nth-child(2) { width: 22%; } th:nth-child(5) { width: 9%; }
th, td { text-align: left; padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { white-space: pre-line; } .scroll { overflow-x: auto; }
.bar { height: 10px; border-radius: 2px; min-width: 2px; } .rises { background: var(--up); }
.falls { background: var(--down); } td.bars { padding-left: 10px; padding-top: 12px; }
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 260, 96, 30, 16


@dataclass(frozen=True)
class Results:
    """What a report tells.

    Args:
        month: Like ``2019-12``.
        trend: Median prices by month and neighbourhood.
        movers: ``rises`` and ``falls``.
        reviews: The month's reviews.
        rates: The month's exchange rates.
    """

    month: str
    trend: list[dict[str, Any]]
    movers: Mapping[str, list[dict[str, Any]]]
    reviews: list[dict[str, Any]]
    rates: list[dict[str, Any]]

    @classmethod
    def read(cls, month: str, get: Callable[[str], bytes]) -> Results:
        """Read what was exported and found for a month.

        Args:
            month: Like ``2019-12``.
            get: Gives the content of a key.
        """
        where = f"results/{month}"
        return cls(
            month,
            json.loads(get(f"{where}/trend.json")),
            {name: json.loads(get(f"{where}/{name}.json")) for name in ("rises", "falls")},
            _lines(get(f"reviews/{month}.jsonl")),
            _lines(get(f"rates/{month}.jsonl")),
        )


def write(results: Results) -> str:
    """Write the page: the same results make the same page.

    Args:
        results: What it tells.

    Returns:
        HTML.
    """
    title = f"Listings, {results.month}"
    months = sorted({row["month"] for row in results.trend} | {results.month})
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>History from {months[0]} to {months[-1]}. Prices are a night's, in euros.</p>
<ul class="facts">{_facts(results)}</ul>
<h2>Price trend by neighbourhood</h2>
<p>The median price of each month. Grey: the other neighbourhoods.</p>
<div class="hoods">{_trends(results.trend, months)}</div>
<h2>Largest rises</h2>
{_movers("rises", results.movers["rises"])}
<h2>Largest falls</h2>
{_movers("falls", results.movers["falls"])}
</body>
</html>
"""


def _facts(results: Results) -> str:
    now = [row for row in results.trend if row["month"] == results.month]
    listings = sum(row["listings"] for row in now)
    facts = [(f"{listings:,}", "listings with a price")]
    if now:
        mean = sum(row["listings"] * row["median_price"] for row in now) / listings
        facts.append((f"€ {mean:,.0f}", "median price, mean of all"))
        dollars = [row["rate"] for row in results.rates if row["currency"] == "USD"]
        if dollars:
            facts.append((f"$ {mean * sum(dollars) / len(dollars):,.0f}", "the same in dollars"))
    if results.reviews:
        stars = sum(row["stars"] for row in results.reviews) / len(results.reviews)
        facts.append((f"{stars:.2f} ★", f"of {len(results.reviews):,} reviews"))
    return "".join(f"<li><b>{escape(value)}</b><span>{name}</span></li>" for value, name in facts)


def _trends(trend: list[dict[str, Any]], months: list[str]) -> str:
    if not trend:
        return "<p>No listing has had a price yet.</p>"
    place = {month: number for number, month in enumerate(months)}
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in trend:
        points = lines.setdefault(row["neighbourhood"], [])
        points.append((place[row["month"]], row["median_price"]))
    top = max(row["median_price"] for row in trend) * 1.05
    paths = {name: _path(points, len(months), top) for name, points in lines.items()}
    others = "".join(_drawn(path, "#dfe5eb", 1) for path in paths.values())
    figures = []
    for name, points in sorted(lines.items()):
        said = f"€ {points[0][1]:,.0f} to € {points[-1][1]:,.0f}"
        figures.append(
            f"<figure><figcaption><b>{escape(name or 'unknown')}</b><span>{said}</span>"
            "</figcaption>"
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}: {said}">'
            f"{_axes(months, top)}{others}{_drawn(paths[name], '#16324f', 2)}</svg></figure>"
        )
    return "\n".join(figures)


def _path(points: list[tuple[int, float]], size: int, top: float) -> list[tuple[float, float]]:
    width, height = _WIDTH - _LEFT - 4, _HEIGHT - _BOTTOM - 4
    step = width / max(1, size - 1)
    return [(_LEFT + at * step, 4 + height * (1 - value / top)) for at, value in points]


def _drawn(path: list[tuple[float, float]], colour: str, width: int) -> str:
    if len(path) == 1:
        return f'<circle cx="{path[0][0]:.1f}" cy="{path[0][1]:.1f}" r="2.5" fill="{colour}"/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" points="{points}"/>'


def _axes(months: list[str], top: float) -> str:
    step = next(s for s in (10, 25, 50, 100, 250, 1000, 10_000, 10**9) if top / s <= 4)
    marks = []
    for value in range(0, int(top) + 1, step):
        y = 4 + (_HEIGHT - _BOTTOM - 4) * (1 - value / top)
        marks.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 4}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eef2f5"/>'
            f'<text x="{_LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{value}</text>'
        )
    for month, x, anchor in ((months[0], _LEFT, "start"), (months[-1], _WIDTH - 4, "end")):
        marks.append(f'<text x="{x}" y="{_HEIGHT - 3}" text-anchor="{anchor}">{month}</text>')
    return "".join(marks)


def _movers(direction: str, movers: list[dict[str, Any]]) -> str:
    if not movers:
        return "<p>No price has changed in this direction yet.</p>"
    most = max(abs(row["change_per_day"]) for row in movers)
    rows = "".join(
        f'<tr><td class="name">{escape(row["name"])}</td><td>{escape(row["neighbourhood"])}</td>'
        f'<td class="number">{row["first_date"]}<br>€ {row["first_price"]:,.2f}</td>'
        f'<td class="number">{row["last_date"]}<br>€ {row["last_price"]:,.2f}</td>'
        f'<td class="number">{row["change_per_day"]:+,.2f}</td>'
        f'<td class="bars"><div class="bar {direction}" '
        f'style="width: {100 * abs(row["change_per_day"]) / most:.0f}%"></div></td></tr>'
        for row in movers
    )
    return (
        '<div class="scroll"><table><thead><tr><th>Listing</th><th>Neighbourhood</th>'
        '<th class="number">First seen</th><th class="number">Last seen</th>'
        f'<th class="number">€ a day</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines() if line]

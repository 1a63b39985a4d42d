"""Plots as SVG, with nothing but text."""

import math
from html import escape

COLOURS = {"floor": "#999999", "Throng": "#1b6ca8", "ejabberd": "#d1495b", "Prosody": "#edae49"}
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 860, 300, 90, 14, 12, 46
FONT = "font-family='system-ui, sans-serif' font-size='12'"
TICKS = "fill='#666666' text-anchor='middle'"


def bars(title: str, groups: list[tuple[str, list[tuple[str, float]]]], unit: str) -> str:
    """Groups of bars on a logarithmic scale: each group's name with values by server."""
    values = [value for _, group in groups for _, value in group if value > 0]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values) * 1.01))
    place = lambda value: LEFT + (WIDTH - LEFT - RIGHT) * math.log(max(value, low) / low) / math.log(high / low)
    height = TOP + sum(len(group) * BAR + GAP for _, group in groups) + 30
    parts = [text(10, 22, title, "font-weight='bold'")]
    tick = low
    while tick <= high:
        x = place(tick)
        parts.append(f"<line x1='{x:.1f}' y1='{TOP - 6}' x2='{x:.1f}' y2='{height - 26}' stroke='#dddddd'/>")
        parts.append(text(x, height - 10, f"{tick:,g}", TICKS))
        tick *= 10
    y = TOP
    for name, group in groups:
        parts.append(text(LEFT - 76, y + len(group) * BAR / 2 + 4, name, "text-anchor='end'"))
        for server, value in group:
            end = place(value)
            parts.append(text(LEFT - 8, y + BAR - 3, server, "text-anchor='end' fill='#666666'"))
            parts.append(f"<rect x='{LEFT}' y='{y + 1}' width='{max(end - LEFT, 1):.1f}' height='{BAR - 2}' fill='{COLOURS[server]}'/>")
            parts.append(text(end + 4, y + BAR - 3, f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"))
            y += BAR
        y += GAP
    parts.append(text(WIDTH - 10, 22, unit + ", logarithmic; shorter is better", "text-anchor='end' fill='#666666'"))
    return document(height, parts)


POINTS = [("p50_us", "50"), ("p90_us", "90"), ("p95_us", "95"), ("p99_us", "99"), ("p999_us", "99.9"), ("max_us", "max")]


def percentiles(title: str, spreads: dict[str, dict]) -> str:
    """A line for each server over the percentiles of its latencies."""
    height, bottom, left = 380, 340, 70
    values = [spread[key] / 1000 for spread in spreads.values() for key, _ in POINTS]
    low, high = 10 ** math.floor(math.log10(max(min(values), 0.001))), 10 ** math.ceil(math.log10(max(values) * 1.01))
    across = lambda at: left + at * (WIDTH - left - RIGHT) / (len(POINTS) - 1)
    up = lambda ms: bottom - (bottom - TOP) * math.log(max(ms, low) / low) / math.log(high / low)
    parts = [text(10, 22, title, "font-weight='bold'"), text(WIDTH - 10, 22, "ms, logarithmic, by percentile", "text-anchor='end' fill='#666666'")]
    tick = low
    while tick <= high:
        parts.append(f"<line x1='{left}' y1='{up(tick):.1f}' x2='{WIDTH - RIGHT}' y2='{up(tick):.1f}' stroke='#dddddd'/>")
        parts.append(text(left - 8, up(tick) + 4, f"{tick:g}", "text-anchor='end' fill='#666666'"))
        tick *= 10
    for at, (_, name) in enumerate(POINTS):
        parts.append(text(across(at), bottom + 20, name, TICKS))
    for server, spread in spreads.items():
        line = " ".join(f"{across(at):.1f},{up(spread[key] / 1000):.1f}" for at, (key, _) in enumerate(POINTS))
        parts.append(f"<polyline points='{line}' fill='none' stroke='{COLOURS[server]}' stroke-width='2'/>")
        parts.append(text(across(len(POINTS) - 1) + 6, up(spread["max_us"] / 1000) + 4, server, f"fill='{COLOURS[server]}'"))
    return document(height, parts)


def text(x: float, y: float, words: str, attributes: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {attributes}>{escape(words)}</text>"


def document(height: float, parts: list[str]) -> str:
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0f}' {FONT}>\n" \
        f"<rect width='{WIDTH}' height='{height:.0f}' fill='white'/>\n" + "\n".join(parts) + "\n</svg>\n"

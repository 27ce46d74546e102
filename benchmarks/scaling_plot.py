#!/usr/bin/env python3
"""Plots the results of scaling.py: samples per second relative to one GPU, over the number of GPUs.

    python3 benchmarks/scaling_plot.py scaling.svg scaling.json [more.json ...]

One panel per work, one line per contender, and the ideal as a dashed line. The plot has no background; its colours are
legible on light and dark pages.
"""

import html
import json
import pathlib
import statistics
import sys

WIDTH, HEIGHT = 640, 400  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 60, 30, 46, 52  # margins
GREY = "#808080"
COLOURS = ("#3b82c4", "#d9822b", "#2f9e62", "#b0569f", "#c0504d")


def panels(files):
    """Samples per second by title, contender and number of GPUs."""
    found = {}
    for results in files:
        for row in results["rows"]:
            strong = results["scaling"] == "strong"
            batch = f"{row['batch'] * row['gpus']} in all" if strong else f"{row['batch']} per GPU"
            lines = found.setdefault(f"{row['work']}, {row['size']} px, {batch}", {})
            for name, result in row["contenders"].items():
                if "seconds" in result:
                    rate = row["gpus"] * row["batch"] / statistics.median(result["seconds"])
                    lines.setdefault(name, {})[row["gpus"]] = rate
    return found


def text(x, y, words, anchor="middle", colour=GREY):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(words)}</text>'


def polyline(points, colour, more=""):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{more}/>'


def panel(title, lines, top):
    # Without a measurement on one GPU there is no reference for a relative rate.
    lines = {name: {n: rate / rates[1] for n, rate in rates.items()} for name, rates in lines.items() if 1 in rates}
    counts = sorted({n for rates in lines.values() for n in rates})
    most = max(counts, default=1)

    def at(gpus, factor):
        x = LEFT + (gpus - 1) / max(1, most - 1) * (WIDTH - LEFT - RIGHT)
        return x, top + HEIGHT - BOTTOM - factor / most * (HEIGHT - TOP - BOTTOM)

    yield text(WIDTH / 2, top + 24, title)
    bottom = at(1, 0)[1]
    for n in counts:
        yield text(at(n, 0)[0], bottom + 20, str(n))
        yield text(LEFT - 12, at(1, n)[1] + 4, f"{n}", "end")
        yield polyline([at(1, n), at(most, n)], GREY, ' opacity="0.25"')
    yield text(WIDTH / 2, bottom + 40, "GPUs")
    middle = top + HEIGHT / 2
    yield f'<g transform="rotate(-90 18 {middle})">{text(18, middle, "samples/s, times one GPU")}</g>'
    yield polyline([at(1, 0), at(most, 0)], GREY)
    yield polyline([at(1, 1), at(most, most)], GREY, ' stroke-dasharray="6 5"')
    key = [("ideal", GREY)]
    for i, (name, factors) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = [at(n, factors[n]) for n in sorted(factors)]
        yield polyline(points, colour)
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in points)
        key.append((f"{name}: {factors[max(factors)]:.2f} on {max(factors)}", colour))
    for i, (words, colour) in enumerate(key):
        yield text(LEFT + 16, top + TOP + 14 + 19 * i, words, "start", colour)


def drawing(files):
    found = panels(files)
    parts = [part for i, (title, lines) in enumerate(found.items()) for part in panel(title, lines, i * HEIGHT)]
    size = f'width="{WIDTH}" height="{HEIGHT * len(found)}" viewBox="0 0 {WIDTH} {HEIGHT * len(found)}"'
    style = 'font-family="system-ui, sans-serif" font-size="14"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', *parts, "</svg>", ""])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    svg, *files = map(pathlib.Path, sys.argv[1:])
    svg.write_text(drawing([json.loads(file.read_text()) for file in files]))


if __name__ == "__main__":
    main()

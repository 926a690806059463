"""The HTML of the pages that commands write: their frame, style sheet and elements.

Holds: what is named ``html`` goes in as it is, everything else is escaped; nothing is loaded from
elsewhere. The plots take their colours from the variables of the style sheet.
"""

from __future__ import annotations

from html import escape


def page(title: str, html: str) -> str:
    """The whole document."""
    return _PAGE.format(title=escape(title), style=_STYLE, body=html)


def section(title: str, *html: str) -> str:
    """A heading and what is under it."""
    return f"<section><h2>{escape(title)}</h2>{''.join(html)}</section>"


def table(head: tuple[str, ...], html: list[str]) -> str:
    """A table of ``<tr>`` elements; on a narrow screen it scrolls by itself."""
    cells = "".join(f"<th scope='col'>{escape(cell)}</th>" if cell else "<td></td>" for cell in head)
    head_row = f"<thead><tr>{cells}</tr></thead>"
    return f"<div class='table' tabindex='0'><table>{head_row}<tbody>{''.join(html)}</tbody></table></div>"


def figure(html: str, caption: str, css: str = "") -> str:
    """A drawing above its caption."""
    return f"<figure class='{css}'>{html}<figcaption>{escape(caption)}</figcaption></figure>"


def facts(pairs: list[tuple[str, str]]) -> str:
    """A list of names and what is so named."""
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in pairs)}</dl>"


def warning(text: str) -> str:
    """A paragraph that stands out."""
    return f"<p class='warning'>{escape(text)}</p>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root {
  --paper: #fdfdfb; --ink: #1c1f24; --muted: #6a717c; --grid: #e4e5e3; --accent: #0b63c5; --tint: #eef4fb;
  --loss: #c2570c;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #15181c; --ink: #e6e8ea; --muted: #959da8; --grid: #2c3138; --accent: #6db3ff; --tint: #1b2530;
  --loss: #f0883e;
} }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 3.5rem 1.5rem 4rem; }
.kicker { margin: 0; color: var(--accent); font-weight: 600; letter-spacing: .02em; }
h1 { margin: .2rem 0 .8rem; font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; text-wrap: balance; }
h2 { margin: 0 0 .6rem; font-size: 1.25rem; }
p { max-width: 46rem; }
.lead { margin: 0; font-size: 1.12rem; }
section { margin-top: 2.6rem; padding-top: 1.4rem; border-top: 1px solid var(--grid); }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0 1rem; }
th, td { padding: .5rem .9rem; border-bottom: 1px solid var(--grid); text-align: right; }
th, td { vertical-align: baseline; }
th:first-child { padding-left: .6rem; }
td { white-space: nowrap; }
th[scope=row] { text-align: left; font-weight: 400; min-width: 10rem; }
thead th { color: var(--muted); font-weight: 500; font-size: .86rem; line-height: 1.3; }
small { display: block; color: var(--muted); font-size: .82rem; font-weight: 400; }
.ours { background: var(--tint); }
.ours th[scope=row], .ours td { font-weight: 600; }
.absent td, .absent th[scope=row] { color: var(--muted); text-align: left; white-space: normal; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem 2rem; }
h3 { margin: .6rem 0 0; font-size: 1rem; }
.heat th[scope=row] { min-width: 4rem; text-align: right; color: var(--muted); }
.heat th, .heat td { padding: .4rem .6rem; border: 2px solid var(--paper); font-size: .88rem; }
.faster { background: color-mix(in srgb, var(--accent) var(--strength), var(--paper)); }
.slower { background: color-mix(in srgb, var(--loss) var(--strength), var(--paper)); }
.warning { padding: .6rem .9rem; border-left: 3px solid var(--accent); background: var(--tint); }
td.text { text-align: left; white-space: normal; }
th[scope=row].name { min-width: 7rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0 0; }
.wide { overflow-x: auto; } .wide svg { min-width: 34rem; }
figcaption { color: var(--muted); font-size: .9rem; margin-top: .3rem; max-width: 42rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
svg text { fill: var(--ink); font-variant-numeric: tabular-nums; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(16.5rem, 1fr)); gap: 1.2rem 1.6rem; }
.figures svg { max-width: 27rem; } .figures .large svg { max-width: 44rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1.2rem; margin: 0; }
dl { max-width: 52rem; }
dt { color: var(--muted); } dd { margin: 0; }
details { margin-top: 1rem; } summary { cursor: pointer; color: var(--accent); }
details p { max-width: none; font-size: .88rem; color: var(--muted); }
@media (min-width: 56rem) { th[scope=row] { min-width: 19rem; } }
@media (max-width: 40rem) {
  main { padding: 2rem 1rem; } th, td { padding: .45rem .5rem; }
  dl { grid-template-columns: minmax(0, 1fr); } dd { margin-bottom: .4rem; }
}
@media print { body { font-size: 11pt; } main { padding: 0; } section { break-inside: avoid; } }
"""

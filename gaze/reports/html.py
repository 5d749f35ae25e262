"""A page as HTML in one file, with its pictures inside: it can be mailed."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from gaze.reports.blocks import Block, Code, Heading, Picture, Row, Table, Text

LONGEST = 60  # letters of a cell
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
       max-width: 1200px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; } h3 { font-size: 1em; margin: 1.6em 0 .4em; }
table { border-collapse: collapse; font-size: 13px; } .wide { overflow-x: auto; }
td { padding: .35em .8em; text-align: left; border-bottom: 1px solid #d8dee4; white-space: nowrap; }
tr.head td { font-weight: 600; } td.figure { text-align: right; font-variant-numeric: tabular-nums; }
tr.first td { background: #eef6ee; } tr.bad td { background: #fdf1ef; }
img { max-width: 100%; } .charts img { display: block; margin: 0 0 14px; width: auto; max-height: 620px; }
.pictures img { height: 220px; margin: 0 6px 6px 0; border-radius: 4px; }
pre { background: #f6f8fa; border-radius: 6px; padding: .7em 1em; font-size: 13px;
      white-space: pre-wrap; overflow-wrap: anywhere; }
.note { color: #656d76; font-size: 13px; }
"""


def html_page(title: str, blocks: Sequence[Block]) -> str:
    """The whole file. Scripts, even if one came in by a mistake of ours, are not run."""
    body = "\n".join(_block(block) for block in blocks)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>\n{body}\n</html>\n'
    )


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p{' class=note' if block.quiet else ''}>{html.escape(block.text)}</p>"
    if isinstance(block, Code):
        return f"<pre>{html.escape(block.text)}</pre>"
    if isinstance(block, Table):
        rows = [Row(block.headings, "head"), *block.rows]
        return f'<div class="wide"><table>{"".join(_row(row, block.figures) for row in rows)}</table></div>'
    kind = "charts" if block.charts else "pictures"
    return f'<div class="{kind}">{"".join(_image(picture) for picture in block.items)}</div>'


def _row(row: Row, figures: frozenset[int]) -> str:
    cells = "".join(
        f"<td{' class=figure' if place in figures else ''}{_title(text)}>{html.escape(_short(text))}</td>"
        for place, text in enumerate(row.cells)
    )
    return f"<tr{f' class={row.mark}' if row.mark else ''}>{cells}</tr>"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _title(text: str) -> str:
    """What was cut off shows when the pointer rests on the cell."""
    return f' title="{html.escape(text[:1000])}"' if len(text) > LONGEST else ""


def _image(picture: Picture) -> str:
    kind = "png" if picture.name.endswith(".png") else "jpeg"
    name = html.escape(picture.name)
    data = base64.b64encode(picture.data).decode()
    return f'<img alt="{name}" title="{name}" src="data:image/{kind};base64,{data}">'

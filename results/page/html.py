"""The leaderboard as one self-contained HTML file: it loads nothing from the network or the disk."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ...protocols.files import write_atomic

FILE = "index.html"
TITLE = "fernoise-bench leaderboard"

_SCRIPTS = (
    *("dom", "table", "charts", "provenance", "rivals", "results", "views", "claims", "methods", "meta", "overview"),
    *("protocol", "app", "pages"),
)
# characters that could end the element that holds the data, or a line of JavaScript
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write_report(data: dict[str, Any], folder: Path) -> Path:
    """Writes the page into a folder, atomically; the same data give the same bytes.

    Args:
        data: what `page_data` returns.
        folder: made when missing.

    Returns:
        The file.
    """
    path = folder / FILE
    write_atomic(path, html(data).encode())
    return path


def html(data: dict[str, Any]) -> str:
    """The page. All data are in one JSON element; the content security policy allows only the page's own script.

    Args:
        data: what `page_data` returns.
    """
    script = "\n".join(["'use strict';", *(_text(f"report/{name}.js") for name in _SCRIPTS)])
    style = _text("report/style.css")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("report.html.j2")).render(
        title=TITLE,
        subtitle=_subtitle(data["counts"]),
        footer=f"Made by fernoise-bench {version('fernoise-bench')}. The page is one file and loads nothing else.",
        version=version("fernoise-bench"),
        policy=_policy(script, style),
        style=Markup(style),
        script=Markup(script),
        data=Markup(embedded(data)),
    )


def embedded(data: object) -> str:
    """Data as JSON that is safe inside a script element, whatever its strings hold.

    Raises:
        ValueError: NaN or an infinity.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter, escaped in _ESCAPES.items():
        text = text.replace(letter, escaped)
    return text


def _subtitle(counts: dict[str, int]) -> str:
    methods, protocols = _plural(counts["methods"], "method"), _plural(counts["protocols"], "protocol")
    finished = f"{counts['done']:,} of {_plural(counts['trials'], 'trial')} finished"
    return f"{methods} on {protocols}, learning from noisy labels: {finished}"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _policy(script: str, style: str) -> str:
    """The content security policy: nothing is fetched, and only the page's own script runs."""
    return f"default-src 'none'; script-src '{source_hash(script)}'; style-src '{source_hash(style)}'; base-uri 'none'"


def source_hash(text: str) -> str:
    """How a content security policy names a script or a style that stands in the page.

    Args:
        text: all that is between the tags.
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _text(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")

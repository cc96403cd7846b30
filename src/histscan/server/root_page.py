"""The HTML page at /: what the server is, how to use it, and a list of its runs."""

from __future__ import annotations

import base64
import hashlib
import html
import shlex
from collections.abc import Sequence

from histscan.common.printable import printable
from histscan.errors import HistoryError
from histscan.server.served_run import ServedRun

__all__ = ["PAGE_HEADERS", "root_page"]

MOST_RUNS = 1000
"""The maximum number of runs on the page."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: CanvasText; background: Canvas; }
h1, h2 { line-height: 1.2; }
pre { padding: .75rem 1rem; border: 1px solid GrayText; border-radius: .4rem; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid GrayText;
  overflow-wrap: anywhere; }
@media (min-width: 40rem) { td.time { white-space: nowrap; } }
"""

PAGE_HEADERS = {
    # No scripts, no external files, no framing: even if escaping failed, a run's name could not execute.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Headers to send with the page."""


def root_page(runs: Sequence[ServedRun], base_url: str, *, needs_key: bool, any_key: str) -> str:
    """Writes the page.

    Args:
        runs: The runs, of which the first `MOST_RUNS` are listed.
        base_url: The server's URL as the browser wrote it.
        needs_key: True if clients must send the server's key.
        any_key: A placeholder key that wandb accepts, for a server that does not check keys.

    Returns:
        HTML.
    """
    key = "<the server's key>" if needs_key else any_key
    path = "/".join(runs[0].key) if runs else "entity/project/run"
    shell = f"export WANDB_BASE_URL={shlex.quote(base_url)}\nexport WANDB_API_KEY={shlex.quote(key)}"
    script = f"import wandb\n\nrun = wandb.Api().run({path!r})\nfor row in run.scan_history():\n    print(row)"
    count = "There are no runs yet" if not runs else f"{len(runs)} run{'s' * (len(runs) != 1)}"
    rows = "\n".join(_row(run) for run in runs[:MOST_RUNS])
    table = f"<table>\n<tr><th>Run</th><th>Name</th><th>Started</th></tr>\n{rows}\n</table>" if runs else ""
    more = f"<p>Only the first {MOST_RUNS} are listed.</p>" if len(runs) > MOST_RUNS else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>histscan serve</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>histscan serve</h1>
<p>This is a local, read-only W&amp;B server: it serves runs from files to <code>wandb.Api()</code>. It has no web app.
Set these environment variables in the shell of your script:</p>
<pre>{html.escape(shell)}</pre>
<p>Then read runs as from any other W&amp;B server:</p>
<pre>{html.escape(script)}</pre>
<h2>{count}</h2>
{table}
{more}
</body>
</html>
"""


def _row(run: ServedRun) -> str:
    try:
        description = run.description()
        name, started = description.name, f"{description.created_at:%Y-%m-%d %H:%M} UTC"
    except (HistoryError, OSError):
        name, started = "can't be read", ""
    return f'<tr><td>{_text("/".join(run.key))}</td><td>{_text(name)}</td><td class="time">{started}</td></tr>'


def _text(text: str) -> str:
    """Escapes untrusted text, and isolates its writing direction from the text around it."""
    return f"<bdi>{html.escape(printable(text))}</bdi>"

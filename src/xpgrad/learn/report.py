"""The summary of an inference, as text and as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

HEADINGS = ("", "coef", "std err", "statistic", "p", "2.5 %", "97.5 %")


def _facts(found: Any) -> list[tuple[str, str]]:
    return [
        ("model", found.model),
        ("fitted on", found.fitted_on),
        ("covariance", found.covariance),
        ("samples", f"{found.n:g}"),
        ("residual degrees of freedom", f"{found.df_resid:g}"),
        ("scale", f"{found.scale:.6g}"),
        ("deviance", f"{found.deviance:.6g}"),
        ("log-likelihood", f"{found.log_likelihood:.6g}"),
        ("AIC", f"{found.aic:.6g}"),
        ("BIC", f"{found.bic:.6g}"),
    ]


def _rows(found: Any) -> list[tuple[str, ...]]:
    intervals = found.conf_int()
    return [
        (name, f"{c:.6g}", f"{s:.4g}", f"{z:.3f}", f"{p:.3g}", f"{low:.6g}", f"{high:.6g}")
        for name, c, s, z, p, (low, high) in zip(
            found.names, found.params, found.bse, found.statistic, found.pvalues, intervals, strict=True
        )
    ]


def text(found: Any) -> str:
    """The facts, then a row for each coefficient with its 95 % interval."""
    facts = _facts(found)
    wide = max(len(name) for name, _ in facts)
    lines = [f"{name:<{wide}}  {value}" for name, value in facts]
    rows = [HEADINGS, *_rows(found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines.append("")
    for name, *cells in rows:
        numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"{name:<{widths[0]}}  {numbers}")
    return "\n".join(lines)


def html(found: Any) -> str:
    """Two tables, without a style of their own."""
    facts = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _facts(found)
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
    body = "".join(
        f"<tr><th>{escape(name)}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for name, *cells in _rows(found)
    )
    return f"<table>{facts}</table><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

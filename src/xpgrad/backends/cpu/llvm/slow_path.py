"""The slow path of functions for rare arguments, which leaves loops vectorised.

    y = ...                        ; the fast path, NaN for |x| >= 2^49
    y = call @xg.slow.sin(y, x)    ; sin(x) of the C library if y is NaN and x is finite

LLVM does not vectorise a loop with a branch, or with a call of an unknown function. So the call names vector
variants of it in an attribute, which look for such an argument in any lane and hardly ever find one. They are
inlined after the loops are vectorised (`build`). The slow function is the C library's, or one of `RARE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

WIDTHS = (2, 4, 8, 16)
_INFINITE = "0x7FF0000000000000"


def with_slow_path(function: str, y: str, xs: Sequence[str]) -> str:
    """The call that gives ``y``, or the slow ``function`` of ``xs`` if y is NaN and they are finite."""
    name = f"xg.slow.{function}"
    kinds = "v" * (len(xs) + 1)
    variants = ",".join(f"_ZGV_LLVM_N{n}{kinds}_{name}({name}.v{n})" for n in WIDTHS)
    operands = ", ".join(f"double {v}" for v in (y, *xs))
    attributes = f'nounwind willreturn memory(none) "vector-function-abi-variant"="{variants}"'
    return f"call double @{name}({operands}) {attributes}"


def slow_paths(wanted: Iterable[tuple[str, int]], ours: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Declarations, and the text of the slow paths for ``wanted`` (name, number of operands).

    ``ours`` has the symbols of the slow functions that the module itself defines.
    """
    declared: list[str] = []
    texts: list[str] = []
    kept: list[str] = []
    for function, count in sorted(wanted):
        if function not in ours:
            operands = ", ".join(["double"] * count)
            declared.append(f"declare double @{function}({operands}) nounwind willreturn memory(none)")
        texts.append(_scalar(function, ours.get(function, f"@{function}"), count))
        for n in WIDTHS:
            texts.append(_vector(function, count, n))
            kept.append(f"ptr @xg.slow.{function}.v{n}")
    if kept:
        # The vectoriser must find them, before anything calls them.
        texts.append(f"@llvm.compiler.used = appending global [{len(kept)} x ptr] [{', '.join(kept)}]\n")
    return declared, texts


def _condition(kind: str, flags: str, suffix: str, count: int, infinite: str) -> list[str]:
    """``%c{count}``: y is NaN, and all operands are finite."""
    lines = [f"  %c0 = fcmp uno {kind} %y, %y"]
    for k in range(count):
        lines += [
            f"  %a{k} = call {kind} @llvm.fabs.{suffix}({kind} %x{k})",
            f"  %f{k} = fcmp olt {kind} %a{k}, {infinite}",
            f"  %c{k + 1} = and {flags} %c{k}, %f{k}",
        ]
    return lines


def _scalar(function: str, called: str, count: int) -> str:
    operands = ", ".join(f"double %x{k}" for k in range(count))
    lines = _condition("double", "i1", "f64", count, _INFINITE)
    return "\n".join(
        [
            f"define internal double @xg.slow.{function}(double %y, {operands}) "
            "noinline nounwind willreturn memory(none) {",
            *lines,
            f"  br i1 %c{count}, label %far, label %near",
            "far:",
            f"  %z = call double {called}({operands})",
            "  ret double %z",
            "near:",
            "  ret double %y",
            "}",
            "",
        ]
    )


def _vector(function: str, count: int, n: int) -> str:
    kind = f"<{n} x double>"
    operands = ", ".join(f"{kind} %x{k}" for k in range(count))
    infinite = "<" + ", ".join([f"double {_INFINITE}"] * n) + ">"
    lines = [
        f"define internal {kind} @xg.slow.{function}.v{n}({kind} %y, {operands}) "
        "alwaysinline nounwind willreturn memory(none) {",
        "near:",
        *_condition(kind, f"<{n} x i1>", f"v{n}f64", count, infinite),
        f"  %any = call i1 @llvm.vector.reduce.or.v{n}i1(<{n} x i1> %c{count})",
        "  br i1 %any, label %far, label %done",
        "far:",
    ]
    held = "%y"
    for lane in range(n):
        given = [f"%y.{lane}", *[f"%x{k}.{lane}" for k in range(count)]]
        for v, name in zip(["%y", *[f"%x{k}" for k in range(count)]], given, strict=True):
            lines.append(f"  {name} = extractelement {kind} {v}, i64 {lane}")
        called = ", ".join(f"double {v}" for v in given)
        lines.append(f"  %r.{lane} = call double @xg.slow.{function}({called})")
        lines.append(f"  %h.{lane} = insertelement {kind} {held}, double %r.{lane}, i64 {lane}")
        held = f"%h.{lane}"
    lines += [
        "  br label %done",
        "done:",
        f"  %z = phi {kind} [ %y, %near ], [ {held}, %far ]",
        f"  ret {kind} %z",
        "}",
        "",
    ]
    return "\n".join(lines)

"""What HIPS autograd differentiates, beside xpgrad: ``python -m bench.coverage [--json OUT]``.

The list is read off an installed autograd: the functions of its ``numpy``, ``numpy.linalg``,
``numpy.fft`` and ``scipy.special`` that have a pullback there.
"""

import argparse
import importlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from xpgrad.core import OPS
from xpgrad.trace.functions import METHODS, TABLE

MODULES = {
    "numpy": (np, "autograd.numpy"),
    "numpy.linalg": (np.linalg, "autograd.numpy.linalg"),
    "numpy.fft": (np.fft, "autograd.numpy.fft"),
    "scipy.special": (None, "autograd.scipy.special"),
}


def theirs(module):
    """The public names of an autograd module whose function has a pullback."""
    from autograd.core import primitive_vjps

    found = importlib.import_module(module)
    ours = {id(f) for f in primitive_vjps}
    return sorted(n for n, f in vars(found).items() if id(f) in ours and not n.startswith("_"))


def covered(module, name):
    """Whether a call of that name on a traced array leads to one of our functions."""
    if module is None:
        return name in OPS or {"psi": "digamma", "jn": "jv"}.get(name) in OPS or name in special()
    return getattr(module, name, None) in TABLE or name in METHODS or name in OPS or name in NAMESPACE


# Reached through ``x.__array_namespace__()``: NumPy does not dispatch these.
NAMESPACE = {"full", "array"}


def special():
    import xpgrad.special

    return {n for n, f in vars(xpgrad.special).items() if getattr(f, "__module__", "") == "xpgrad.special"}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="OUT")
    args = parser.parse_args(argv)
    report = {"autograd": version("autograd"), "numpy": np.__version__, "modules": {}}
    for name, (module, peer) in MODULES.items():
        names = theirs(peer)
        private = [n for n in names if module is not None and not hasattr(module, n)]  # helpers of autograd's
        names = [n for n in names if n not in private]
        missing = [n for n in names if not covered(module, n)]
        extra = {n for n, f in vars(module).items() if callable(f) and f in TABLE} if module else set(special())
        report["modules"][name] = {
            "autograd": len(names),
            "of these covered": len(names) - len(missing),
            "missing": missing,
            "autograd's own helpers, not counted": private,
            "xpgrad": len(extra),
        }
        print(
            f"{name:14} autograd {len(names):4}, of these covered {len(names) - len(missing):4}, "
            f"xpgrad {len(extra):4}; missing: {', '.join(missing) or 'none'}"
        )
    report["ops"] = len(OPS)
    print(f"{len(OPS)} ops in all")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

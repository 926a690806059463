"""Programs as people write them, in plain NumPy: with ``start()``, the parameters, and ``loss(parameters)``."""

from pathlib import Path

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith(("_", "test_"))
)

"""What ``nvidia-smi`` reads off a card: driver, clocks, power, temperature. Nothing is set.

In:  the card's PCI address.
Out: a dict for the JSON; where there is no answer, why.
"""

import subprocess
from typing import Any

FIELDS = (
    "name driver_version clocks.sm clocks.mem clocks.max.sm clocks.max.mem power.draw power.limit "
    "temperature.gpu utilization.gpu pstate"
).split()
WITHIN_S = 20


def read(pci_bus_id: str | None) -> dict[str, Any]:
    """The fields, as numbers where they are numbers: MHz, W, degrees Celsius, per cent."""
    if pci_bus_id is None:
        return {"unknown": "there is no card"}
    command = [
        "nvidia-smi",
        "-i",
        pci_bus_id,
        f"--query-gpu={','.join(FIELDS)}",
        "--format=csv,noheader,nounits",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WITHIN_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stdout", None) or "").strip()  # that is where it complains
        return {"unknown": f"{type(error).__name__}: {said or error}"}
    return parse(done.stdout)


def parse(line: str) -> dict[str, Any]:
    """One line of its CSV."""
    values = [value.strip() for value in line.strip().split(",")]
    if len(values) != len(FIELDS):
        return {"unknown": line.strip()}
    return {name: _number(value) for name, value in zip(FIELDS, values, strict=True)}


def _number(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return value

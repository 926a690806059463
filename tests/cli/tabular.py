"""Tables for the tests of `xpgrad train`, and the command run on them."""

import json

import numpy as np
import pandas as pd

from xpgrad.cli import main


def mixed(rows=400, seed=3):
    """Numbers, one with gaps, truth values, texts, dates, and targets of three kinds that follow them."""
    rng = np.random.default_rng(seed)
    size = rng.normal(50, 10, rows)
    weight = rng.normal(3, 0.5, rows)
    weight[rng.random(rows) < 0.1] = np.nan
    kind = rng.choice(["bus", "car", "train"], rows, p=[0.2, 0.5, 0.3])
    paid = rng.random(rows) < 0.4
    eta = 0.08 * (size - 50) + 0.9 * (kind == "train") - 0.6 * paid + 0.3 * np.nan_to_num(weight - 3)
    return pd.DataFrame(
        {
            "size": size,
            "weight": weight,
            "kind": kind,
            "paid": paid,
            "on": pd.date_range("2024-01-01 06:00", periods=rows, freq="31h"),
            "late": np.where(rng.random(rows) < 1 / (1 + np.exp(-eta)), "yes", "no"),
            "cost": 10 + 3 * eta + rng.normal(0, 1, rows),
            "count": rng.poisson(np.exp(0.5 + 0.4 * eta)),
        }
    )


def numbers(rows=300, seed=4):
    """Three columns of numbers, and targets that follow them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3)) * (1, 10, 0.1) + (0, 50, 2)
    eta = 0.7 * X[:, 0] - 0.05 * (X[:, 1] - 50)
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(
        two=(rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(int),
        three=rng.integers(0, 3, rows) + 0,
        y=eta + rng.normal(size=rows),
        counts=rng.poisson(np.exp(0.3 * eta)),
        positive=rng.gamma(2.0, np.exp(0.3 * eta) / 2),
    )


def write(frame, path):
    """Write a table in the format of the ending."""
    name = str(path)
    if name.endswith((".parquet", ".pq")):
        frame.to_parquet(path)
    elif name.endswith((".feather", ".arrow")):
        frame.to_feather(path)
    elif name.endswith(".npz"):
        np.savez(path, **{c: frame[c].to_numpy() for c in frame.columns})
    else:
        frame.to_csv(path, index=False)
    return path


def run(*words):
    return main([str(word) for word in words])


def trained(folder, frame, *words, name="t.csv", status=0):
    """The record of a training."""
    path = write(frame, folder / name)
    out = folder / "record.json"
    assert run("train", path, "--json", out, *words) == status
    return json.loads(out.read_text())


def coefficients(record):
    """Per standard deviation, by name; of several outputs as arrays."""
    rows = record["coefficients"]["rows"]
    many = len(record["coefficients"]["outputs"]) > 1
    return {row["name"]: np.array(row["per_deviation"]) if many else row["per_deviation"][0] for row in rows}


def refused(capsys, *words):
    """What is printed where a command ends with status 2 and no traceback."""
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err

"""Write `data/statsmodels.json`: what statsmodels says of models that `test_inference` fits.

    python tests/learn/reference.py    with statsmodels installed

The data are drawn again from the same seed by `data()`.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("data") / "statsmodels.json"
COVARIANCES = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster")


def data():
    """A design with two numbers and three levels, and a target for each family."""
    rng = np.random.default_rng(7)
    n = 240
    X = rng.normal(size=(n, 2))
    kind = rng.integers(0, 3, size=n)
    eta = 0.3 + X @ [0.5, -0.4] + np.array([0.0, 0.4, -0.3])[kind]
    return {
        "X": X,
        "kind": kind,
        "groups": np.arange(n) % 24,
        "normal": eta + rng.normal(size=n) * (1 + 0.5 * np.abs(X[:, 0])),
        "bernoulli": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float),
        "poisson": rng.poisson(np.exp(eta)).astype(float),
        "gamma": rng.gamma(2.0, np.exp(eta) / 2),
        "multinomial": (np.c_[0 * eta, eta, -X[:, 0]] + rng.gumbel(size=(n, 3))).argmax(axis=1),
    }


def main():
    import statsmodels.api as sm

    d = data()
    levels = (d["kind"][:, None] == np.arange(1, 3)).astype(float)
    exog = np.c_[np.ones(len(levels)), d["X"], levels]
    families = {
        "bernoulli": sm.families.Binomial(),
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
    }
    out = {}
    for name in ("normal", *families):
        for covariance in COVARIANCES:
            # For other families statsmodels has no leverages, and HC1 without its factor; its gamma sandwiches
            # have the observed Hessian too.
            if name != "normal" and covariance in ("HC1", "HC2", "HC3"):
                continue
            options = {"cov_type": covariance}
            if covariance == "cluster":
                options["cov_kwds"] = {"groups": d["groups"]}
            if name == "normal":
                model = sm.OLS(d[name], exog).fit(**options, use_t=True)
            else:
                model = sm.GLM(d[name], exog, family=families[name]).fit(**options, tol=1e-12, maxiter=200)
            out[f"{name} {covariance}"] = {
                "params": model.params.tolist(),
                "bse": model.bse.tolist(),
                "pvalues": model.pvalues.tolist(),
                "conf_int": model.conf_int().tolist(),
                "llf": model.llf,
                "aic": model.aic,
                "deviance": model.ssr if name == "normal" else model.deviance,
                "scale": model.scale,
            }
    for covariance in ("nonrobust", "HC0", "cluster"):
        options = {"cov_type": covariance}
        if covariance == "cluster":
            options["cov_kwds"] = {"groups": d["groups"]}
        model = sm.MNLogit(d["multinomial"], exog).fit(**options, method="newton", tol=1e-12, disp=0)
        out[f"multinomial {covariance}"] = {
            "params": model.params.T.ravel().tolist(),
            "bse": model.bse.T.ravel().tolist(),
            "pvalues": model.pvalues.T.ravel().tolist(),
            "conf_int": model.conf_int().reshape(-1, 2).tolist(),
            "llf": model.llf,
            "aic": model.aic,
            "deviance": -2 * model.llf,
            "scale": 1.0,
        }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Calls of SciPy's and scikit-learn's own functions on a traced array ``x``, and which of them differentiate.

    python -m tests.cases.library_calls            run them, in the mode that SCIPY_ARRAY_API says
    python -m tests.cases.library_calls --write    put the table into the page

A verdict is ``works``, or the reason why not:

plain
    The library makes a plain NumPy array of its argument, for code in C, Cython or Fortran.
number
    It makes a Python number of what it has computed.
mixed
    It makes plain arrays of other arguments itself, and refuses arrays of two kinds.
nan
    It divides 0 by 0 and overwrites the NaN, of which the derivative keeps 0 times NaN.
"""

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

import xpgrad as xg

PAGE = Path(__file__).resolve().parents[2] / "docs" / "libraries.md"
BEGIN, END = "<!-- the table: python -m tests.cases.library_calls --write -->\n", "<!-- end of the table -->\n"
REASONS = {
    "plain": "makes a plain array of it",
    "number": "makes a Python number of it",
    "mixed": "makes plain arrays beside it",
    "nan": "gives NaN, which it makes and overwrites",
}


class Call(NamedTuple):
    """A call.

    Attributes
    ----------
    text : str
        Of the expression in ``x``.
    start : str
        Of ``x``: a matrix ``X``, a symmetric one ``A``, a vector ``v``, or an expression of these.
    without : bool
        Whether it works where SCIPY_ARRAY_API is not set.
    verdict : str
        What it does where that is set.
    instead : str
        What to write where it does not work.
    """

    text: str
    start: str
    without: bool
    verdict: str
    instead: str = ""


MODULES = {
    "sp": "scipy.special",
    "st": "scipy.stats",
    "sg": "scipy.signal",
    "sl": "scipy.linalg",
    "si": "scipy.integrate",
    "ss": "scipy.spatial",
    "sd": "scipy.spatial.distance",
    "nd": "scipy.ndimage",
    "ip": "scipy.interpolate",
    "sf": "scipy.fft",
    "vq": "scipy.cluster.vq",
    "so": "scipy.optimize",
    "diff": "scipy.differentiate",
    "rotation": "scipy.spatial.transform",
    "pw": "sklearn.metrics.pairwise",
    "sm": "sklearn.metrics",
    "pp": "sklearn.preprocessing",
    "em": "sklearn.utils.extmath",
    "gk": "sklearn.gaussian_process.kernels",
    "sc": "sklearn.covariance",
    "dec": "sklearn.decomposition",
    "lm": "sklearn.linear_model",
}

CALLS = {
    "PCA": Call('dec.PCA(2, svd_solver="full").fit_transform(x)', "X", False, "works"),
    "Ridge": Call('lm.Ridge(solver="svd").fit(x, x[:, 0]).coef_', "X", False, "works"),
    "Rotation.from_euler": Call('rotation.Rotation.from_euler("xyz", x[:3]).as_matrix()', "v", False, "works"),
    "Rotation.from_quat": Call("rotation.Rotation.from_quat(x[:4]).as_matrix()", "v", False, "works"),
    "Rotation.from_rotvec.apply": Call(
        "rotation.Rotation.from_rotvec(x[:3]).apply(x[3:6])", "v", False, "works"
    ),
    "covariance.empirical": Call("sc.empirical_covariance(x)", "X", False, "works"),
    "covariance.ledoit_wolf": Call("sc.ledoit_wolf(x)[0]", "X", False, "works"),
    "differentiate.derivative": Call("diff.derivative(np.sin, x).df", "v", False, "works"),
    "distance.braycurtis": Call("sd.braycurtis(x, x ** 2)", "v", False, "plain"),
    "distance.canberra": Call("sd.canberra(x, x ** 2)", "v", False, "plain"),
    "distance.cdist": Call("sd.cdist(x, x + 1)", "X", False, "plain"),
    "distance.chebyshev": Call("sd.chebyshev(x, x ** 2)", "v", False, "plain"),
    "distance.cityblock": Call("sd.cityblock(x, x ** 2)", "v", False, "plain"),
    "distance.correlation": Call("sd.correlation(x, x ** 2)", "v", False, "plain"),
    "distance.cosine": Call("sd.cosine(x, x ** 2)", "v", False, "plain"),
    "distance.euclidean": Call("sd.euclidean(x, x ** 2)", "v", False, "plain"),
    "distance.jensenshannon": Call("sd.jensenshannon(x, x ** 2)", "v", False, "plain"),
    "distance.mahalanobis": Call("sd.mahalanobis(x[:4], x[4:], A)", "v", False, "plain"),
    "distance.minkowski": Call("sd.minkowski(x, x ** 2, 3)", "v", False, "plain"),
    "distance.pdist": Call("sd.pdist(x)", "X", False, "plain"),
    "distance.sqeuclidean": Call("sd.sqeuclidean(x, x ** 2)", "v", False, "plain"),
    "extmath.randomized_svd": Call("em.randomized_svd(x, 2, random_state=0)[1]", "X", False, "works"),
    "extmath.row_norms": Call("em.row_norms(x)", "X", False, "works"),
    "extmath.safe_sparse_dot": Call("em.safe_sparse_dot(x, x.T)", "X", True, "works"),
    "extmath.softmax": Call("em.softmax(x)", "X", False, "works"),
    "fft.dct": Call("sf.dct(x)", "v", False, "plain"),
    "fft.dst": Call("sf.dst(x)", "v", False, "plain"),
    "fft.fft": Call("abs(sf.fft(x))", "v", False, "works"),
    "fft.fft2": Call("abs(sf.fft2(x))", "X", False, "works"),
    "fft.fftshift": Call("sf.fftshift(x)", "v", True, "works"),
    "fft.fht": Call("sf.fht(x, 0.1, 0.5)", "v", False, "works"),
    "fft.hfft": Call("sf.hfft(x)", "v", False, "works"),
    "fft.ifft": Call("abs(sf.ifft(x))", "v", False, "works"),
    "fft.rfft": Call("abs(sf.rfft(x))", "v", False, "works"),
    "gp.RBF": Call("gk.RBF()(x)", "X", False, "plain"),
    "integrate.cubature": Call(
        "si.cubature(lambda t: t[:, 0] * x[0], [0.0], [1.0]).estimate", "v", True, "works"
    ),
    "integrate.cumulative_simpson": Call("si.cumulative_simpson(x, dx=1.0)", "v", False, "works"),
    "integrate.cumulative_trapezoid": Call("si.cumulative_trapezoid(x)", "v", False, "works"),
    "integrate.fixed_quad": Call("si.fixed_quad(lambda t: x[0] * t, 0, 1)[0]", "v", True, "works"),
    "integrate.quad_vec": Call("si.quad_vec(lambda t: x * t, 0, 1)[0]", "v", False, "number"),
    "integrate.romb": Call("si.romb(np.concatenate([x, x[:1]]))", "v", False, "works"),
    "integrate.simpson": Call("si.simpson(x)", "v", False, "plain", "xg.integrate.simpson"),
    "integrate.tanhsinh": Call(
        "si.tanhsinh(lambda t, a: a * t, 0.0, 1.0, args=(x,)).integral", "v", False, "plain"
    ),
    "integrate.trapezoid": Call("si.trapezoid(x)", "v", False, "works", "xg.integrate.trapezoid"),
    "interpolate.AAA": Call("ip.AAA(np.arange(8.0), x)(2.5)", "v", False, "plain"),
    "interpolate.BSpline": Call("ip.BSpline(np.arange(12.0), x, 3)(4.5)", "v", False, "mixed"),
    "interpolate.CubicSpline": Call(
        "ip.CubicSpline(np.arange(8.0), x)(2.5)", "v", False, "mixed", "xg.interpolate.CubicSpline"
    ),
    "interpolate.PchipInterpolator": Call(
        "ip.PchipInterpolator(np.arange(8.0), x)(2.5)", "v", False, "mixed", "xg.interpolate.PchipInterpolator"
    ),
    "interpolate.RBF": Call("ip.RBFInterpolator(np.arange(8.0)[:, None], x)([[2.5]])", "v", False, "mixed"),
    "interpolate.RGI": Call(
        "ip.RegularGridInterpolator((np.arange(8.0),), x)([[2.5]])",
        "v",
        False,
        "mixed",
        "xg.interpolate.RegularGridInterpolator",
    ),
    "interpolate.interp1d": Call(
        "ip.interp1d(np.arange(8.0), x)(2.5)", "v", False, "plain", "xg.interpolate.interp1d"
    ),
    "linalg.block_diag": Call("sl.block_diag(x, x)", "A", False, "works"),
    "linalg.cho_solve": Call(
        "sl.cho_solve(sl.cho_factor(x), x[0])", "A", False, "number", "xg.linalg.cho_solve"
    ),
    "linalg.cholesky": Call("sl.cholesky(x, lower=True)", "A", False, "number", "np.linalg.cholesky"),
    "linalg.det": Call("sl.det(x)", "A", False, "plain", "np.linalg.det"),
    "linalg.eigh": Call("sl.eigh(x)[0]", "A", False, "plain", "np.linalg.eigh"),
    "linalg.expm": Call("sl.expm(x)", "A", False, "plain", "xg.linalg.expm"),
    "linalg.hankel": Call("sl.hankel(x[0])", "A", False, "plain"),
    "linalg.inv": Call("sl.inv(x)", "A", False, "plain", "np.linalg.inv"),
    "linalg.khatri_rao": Call("sl.khatri_rao(x, x)", "A", False, "plain"),
    "linalg.kron": Call("np.kron(x, x)", "A", True, "works"),
    "linalg.logm": Call("sl.logm(x)", "A", False, "plain", "xg.linalg.logm"),
    "linalg.lstsq": Call("sl.lstsq(x, x[:, 0])[0]", "A", False, "plain", "np.linalg.lstsq"),
    "linalg.norm": Call("sl.norm(x)", "A", True, "works"),
    "linalg.pinv": Call("sl.pinv(x)", "A", False, "plain", "np.linalg.pinv"),
    "linalg.qr": Call("sl.qr(x)[1]", "A", False, "number", "np.linalg.qr"),
    "linalg.solve": Call("sl.solve(x, x[0])", "A", False, "plain", "np.linalg.solve"),
    "linalg.solve_triangular": Call(
        "sl.solve_triangular(x, x[0])", "A", False, "plain", "xg.linalg.solve_triangular"
    ),
    "linalg.sqrtm": Call("sl.sqrtm(x)", "A", False, "plain", "xg.linalg.sqrtm"),
    "linalg.svd": Call("sl.svd(x)[1]", "A", False, "plain", "np.linalg.svd"),
    "linalg.toeplitz": Call("sl.toeplitz(x[0])", "A", False, "plain", "xg.linalg.toeplitz"),
    "linalg.vander": Call("np.vander(x[0])", "A", True, "works"),
    "metrics.brier": Call("sm.brier_score_loss(y, x)", "v", False, "number"),
    "metrics.d2": Call("sm.d2_tweedie_score(x ** 2, x)", "v", False, "number"),
    "metrics.explained_variance": Call("sm.explained_variance_score(x ** 2, x)", "v", False, "number"),
    "metrics.hinge": Call("sm.hinge_loss(y * 2 - 1, x)", "v", False, "number"),
    "metrics.log_loss": Call("sm.log_loss(y, x)", "v", False, "number"),
    "metrics.mape": Call("sm.mean_absolute_percentage_error(x ** 2, x)", "v", False, "number"),
    "metrics.mean_absolute_error": Call("sm.mean_absolute_error(x ** 2, x)", "v", False, "number"),
    "metrics.mean_gamma": Call("sm.mean_gamma_deviance(x ** 2, x)", "v", False, "number"),
    "metrics.mean_pinball": Call("sm.mean_pinball_loss(x ** 2, x)", "v", False, "number"),
    "metrics.mean_poisson_deviance": Call("sm.mean_poisson_deviance(x ** 2, x)", "v", False, "number"),
    "metrics.mean_squared_error": Call("sm.mean_squared_error(x ** 2, x)", "v", False, "number"),
    "metrics.mean_tweedie": Call("sm.mean_tweedie_deviance(x ** 2, x, power=1.5)", "v", False, "number"),
    "metrics.median_ae": Call("sm.median_absolute_error(x ** 2, x)", "v", False, "number"),
    "metrics.msle": Call("sm.mean_squared_log_error(x ** 2, x)", "v", False, "number"),
    "metrics.r2_score": Call("sm.r2_score(x ** 2, x)", "v", False, "number"),
    "metrics.rmse": Call("sm.root_mean_squared_error(x ** 2, x)", "v", False, "number"),
    "ndimage.convolve1d": Call("nd.convolve1d(x, [1.0, 2.0, 1.0])", "v", False, "mixed"),
    "ndimage.gaussian_filter": Call("nd.gaussian_filter(x, 1.0)", "v", False, "plain"),
    "ndimage.laplace": Call("nd.laplace(x)", "X", False, "plain"),
    "ndimage.map_coordinates": Call("nd.map_coordinates(x, [[1.5], [1.5]])", "X", False, "mixed"),
    "ndimage.sum": Call("nd.sum(x)", "X", False, "plain"),
    "ndimage.uniform_filter": Call("nd.uniform_filter(x, 3)", "v", False, "plain"),
    "ndimage.zoom": Call("nd.zoom(x, 2)", "v", False, "plain"),
    "optimize.nnls": Call("so.nnls(A, x[:4])[0]", "v", False, "plain"),
    "optimize.rosen": Call("so.rosen(x)", "v", False, "works"),
    "pairwise.additive_chi2": Call("pw.additive_chi2_kernel(x, x)", "X", False, "works"),
    "pairwise.chi2": Call("pw.chi2_kernel(x, x)", "X", False, "works"),
    "pairwise.cosine_distances": Call("pw.cosine_distances(x, x)", "X", False, "works"),
    "pairwise.cosine_similarity": Call("pw.cosine_similarity(x, x)", "X", False, "works"),
    "pairwise.euclidean_distances": Call("pw.euclidean_distances(x, x + 1)", "X", False, "works"),
    "pairwise.laplacian_kernel": Call("pw.laplacian_kernel(x, x)", "X", False, "works"),
    "pairwise.linear_kernel": Call("pw.linear_kernel(x, x)", "X", False, "works"),
    "pairwise.manhattan": Call("pw.manhattan_distances(x, x)", "X", False, "works"),
    "pairwise.paired_euclidean": Call("pw.paired_euclidean_distances(x, x + 1)", "X", False, "works"),
    "pairwise.polynomial_kernel": Call("pw.polynomial_kernel(x, x)", "X", False, "works"),
    "pairwise.rbf_kernel": Call("pw.rbf_kernel(x, x)", "X", False, "works"),
    "pairwise.sigmoid_kernel": Call("pw.sigmoid_kernel(x, x)", "X", False, "works"),
    "preprocessing.MaxAbsScaler": Call("pp.MaxAbsScaler().fit_transform(x)", "X", False, "works"),
    "preprocessing.MinMaxScaler": Call("pp.MinMaxScaler().fit_transform(x)", "X", False, "works"),
    "preprocessing.PolynomialFeatures": Call("pp.PolynomialFeatures(2).fit_transform(x)", "X", False, "works"),
    "preprocessing.StandardScaler": Call("pp.StandardScaler().fit_transform(x)", "X", False, "nan"),
    "preprocessing.minmax_scale": Call("pp.minmax_scale(x)", "X", False, "works"),
    "preprocessing.normalize": Call("pp.normalize(x)", "X", False, "works"),
    "preprocessing.power_transform": Call("pp.power_transform(x, standardize=False)", "X", False, "plain"),
    "preprocessing.scale": Call("pp.scale(x)", "X", False, "plain"),
    "procrustes": Call("ss.procrustes(x[:3], x[3:])[2]", "X", False, "plain"),
    "signal.chirp": Call("sg.chirp(x, 1.0, 1.0, 2.0)", "v", False, "plain"),
    "signal.convolve": Call("sg.convolve(x, x)", "v", False, "number", "xg.signal.convolve"),
    "signal.correlate": Call("sg.correlate(x, x)", "v", False, "number", "xg.signal.correlate"),
    "signal.decimate": Call("sg.decimate(x, 2)", "np.tile(v, 8)", False, "plain"),
    "signal.detrend": Call("sg.detrend(x)", "v", False, "plain"),
    "signal.envelope": Call("sg.envelope(x)[0]", "v", False, "works"),
    "signal.fftconvolve": Call("sg.fftconvolve(x, x)", "v", False, "works"),
    "signal.filtfilt": Call(
        "sg.filtfilt([1.0], [1.0, 0.5], x, padlen=2)", "v", False, "mixed", "xg.signal.filtfilt"
    ),
    "signal.freqz": Call("abs(sg.freqz(x)[1])", "v", False, "works"),
    "signal.gaussian": Call("sg.windows.gaussian(5, 1) * x[0]", "v", True, "works"),
    "signal.gausspulse": Call("sg.gausspulse(x)", "v", True, "works"),
    "signal.hilbert": Call("abs(sg.hilbert(x))", "v", False, "works"),
    "signal.lfilter": Call("sg.lfilter([1.0], [1.0, 0.5], x)", "v", False, "mixed", "xg.signal.lfilter"),
    "signal.medfilt": Call("sg.medfilt(x)", "v", False, "plain"),
    "signal.oaconvolve": Call("sg.oaconvolve(x, x)", "v", False, "works"),
    "signal.periodogram": Call("sg.periodogram(x)[1]", "v", False, "plain"),
    "signal.resample": Call("sg.resample(x, 4)", "v", False, "works"),
    "signal.savgol_filter": Call("sg.savgol_filter(x, 5, 2)", "v", False, "plain"),
    "signal.sawtooth": Call("sg.sawtooth(x)", "v", False, "plain"),
    "signal.sosfilt": Call(
        'sg.sosfilt(sg.butter(2, 0.3, output="sos"), x)', "v", False, "mixed", "xg.signal.sosfilt"
    ),
    "signal.square": Call("sg.square(x)", "v", False, "plain"),
    "signal.stft": Call("abs(sg.stft(x, nperseg=4)[2])", "v", False, "plain"),
    "signal.welch": Call("sg.welch(x, nperseg=4)[1]", "v", False, "plain"),
    "special.erf": Call("sp.erf(x)", "X", True, "works"),
    "special.expit": Call("sp.expit(x)", "X", True, "works"),
    "special.gammaln": Call("sp.gammaln(x)", "X", True, "works"),
    "special.log_softmax": Call("sp.log_softmax(x, axis=1)", "X", False, "works"),
    "special.logsumexp": Call("sp.logsumexp(x, axis=0)", "X", False, "works"),
    "special.softmax": Call("sp.softmax(x, axis=0)", "X", False, "works"),
    "special.xlogy": Call("sp.xlogy(x, x)", "X", True, "works"),
    "stats.bartlett": Call("st.bartlett(x[:4], x[4:]).statistic", "v", False, "works"),
    "stats.boxcox_llf": Call("st.boxcox_llf(0.5, x)", "v", False, "works"),
    "stats.chisquare": Call("st.chisquare(x * 8 / x.sum()).statistic", "v", False, "works"),
    "stats.circmean": Call("st.circmean(x)", "v", False, "works"),
    "stats.describe": Call("st.describe(x).variance", "v", False, "works"),
    "stats.differential_entropy": Call("st.differential_entropy(x)", "v", False, "works"),
    "stats.directional_stats": Call("st.directional_stats(x).mean_direction", "X", False, "works"),
    "stats.entropy": Call("st.entropy(x)", "v", False, "works"),
    "stats.f_oneway": Call("st.f_oneway(x[:4], x[4:]).statistic", "v", False, "works"),
    "stats.gmean": Call("st.gmean(x)", "v", False, "works"),
    "stats.gstd": Call("st.gstd(x)", "v", False, "works"),
    "stats.hmean": Call("st.hmean(x)", "v", False, "works"),
    "stats.iqr": Call("st.iqr(x)", "v", False, "works"),
    "stats.jarque_bera": Call("st.jarque_bera(x).statistic", "v", False, "works"),
    "stats.kstat": Call("st.kstat(x, 2)", "v", False, "works"),
    "stats.kurtosis": Call("st.kurtosis(x)", "v", False, "works"),
    "stats.linregress": Call("st.linregress(x, x ** 2).slope", "v", False, "plain"),
    "stats.lmoment": Call("st.lmoment(x, order=2)", "v", False, "works"),
    "stats.moment": Call("st.moment(x, 3)", "v", False, "works"),
    "stats.norm.pdf": Call("st.norm.pdf(x)", "v", False, "plain", "xg.stats.norm.pdf"),
    "stats.pearsonr": Call("st.pearsonr(x, x ** 2).statistic", "v", False, "works"),
    "stats.pmean": Call("st.pmean(x, 2)", "v", False, "works"),
    "stats.quantile": Call("st.quantile(x, 0.3)", "v", False, "works"),
    "stats.sem": Call("st.sem(x)", "v", False, "works"),
    "stats.skew": Call("st.skew(x)", "v", False, "works"),
    "stats.spearmanr": Call("st.spearmanr(x, x ** 2).statistic", "v", False, "works"),
    "stats.tmean": Call("st.tmean(x)", "v", False, "works"),
    "stats.trim_mean": Call("st.trim_mean(x, 0.2)", "v", False, "works"),
    "stats.ttest_1samp": Call("st.ttest_1samp(x, 0.0).statistic", "v", False, "works"),
    "stats.ttest_ind": Call("st.ttest_ind(x[:4], x[4:]).statistic", "v", False, "works"),
    "stats.variation": Call("st.variation(x)", "v", False, "works"),
    "stats.xp_mean": Call("st._stats_py._xp_mean(x)", "v", False, "works"),
    "stats.zmap": Call("st.zmap(x, x)", "v", False, "works"),
    "stats.zscore": Call("st.zscore(x)", "v", False, "works"),
    "vq.kmeans": Call("vq.kmeans(x, x[:2])[0]", "X", False, "plain"),
    "vq.vq": Call("vq.vq(x, x[:2])[1]", "X", False, "plain"),
    "vq.whiten": Call("vq.whiten(x)", "X", False, "works"),
    "signal.convolve by a method": Call('sg.convolve(x, x, method="fft")', "v", False, "works"),
    "signal.correlate by a method": Call('sg.correlate(x, x, method="fft")', "v", False, "works"),
}


def names():
    """What the expressions refer to."""
    found = {name: importlib.import_module(module) for name, module in MODULES.items()}
    rng = np.random.default_rng(0)
    X, v = rng.uniform(0.2, 0.9, (6, 4)), rng.uniform(0.2, 0.9, 8)
    A = X[:4] @ X[:4].T + 2 * np.eye(4)
    return found | {"np": np, "X": X, "v": v, "A": A, "y": (v > 0.5) * 1.0}


def check(call, given, rng):
    """What the call does: ``works``, or a reason; an AssertionError where a value or derivative is wrong."""
    f = eval(f"lambda x: {call.text}", given)
    x = eval(call.start, given)
    expected = np.asarray(f(x))
    try:
        out, pullback = xg.vjp(f, x)
    except xg.TraceError as error:
        text = str(error)
        number = text.startswith(("float()", "int()"))
        return "number" if number else "mixed" if "traced arrays and others" in text else "plain"
    assert np.shape(out) == expected.shape
    assert np.allclose(out, expected, rtol=1e-9, atol=1e-12)
    seed, along, step = rng.normal(size=expected.shape), rng.normal(size=x.shape), 1e-6
    (g,) = pullback(seed if expected.shape else float(seed))
    if np.isnan(g).any():
        return "nan"
    change = np.asarray(f(x + step * along)) - np.asarray(f(x - step * along))
    assert np.isclose(np.sum(g * along), np.sum(seed * change) / (2 * step), rtol=1e-4, atol=1e-6)
    return "works"


def run(found=None):
    """The calls whose verdict in this mode is another than the table says, with what they do."""
    dispatched = os.environ.get("SCIPY_ARRAY_API") == "1"
    given, rng, wrong = names(), np.random.default_rng(1), {}
    if dispatched:
        importlib.import_module("sklearn").set_config(array_api_dispatch=True)
    for name, call in CALLS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                verdict = check(call, given, rng)
            except AssertionError as error:
                verdict = f"wrong: {error}"
        said = call.verdict if dispatched else "works" if call.without else verdict
        if verdict != said or (not dispatched and verdict == "works" and not call.without):
            wrong[name] = verdict
    return wrong


def table():
    """The table of the page."""
    rows = ["| call | with `SCIPY_ARRAY_API=1` | without | instead |", "|---|---|---|---|"]
    for name, call in sorted(CALLS.items()):
        with_ = "works" if call.verdict == "works" else REASONS[call.verdict]
        instead = ", ".join(f"`{part}`" for part in call.instead.split(", ")) if call.instead else ""
        rows.append(f"| `{name}` | {with_} | {'works' if call.without else ''} | {instead} |")
    works, without = (
        sum(c) for c in zip(*((c.verdict == "works", c.without) for c in CALLS.values()), strict=True)
    )
    total = f"\nOf {len(CALLS)} calls {works} work with `SCIPY_ARRAY_API=1`, and {without} without.\n"
    return "\n".join(rows) + "\n" + total


def page(text):
    """``text`` with the present table between the two markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, "the page has no marker before the table"
    assert end, "the page has no marker after the table"
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        for name, verdict in run().items():
            print(f"{name}: {verdict}")

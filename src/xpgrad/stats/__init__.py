"""Probability distributions by SciPy's names, differentiable in their parameters.

``stats.norm.logpdf(x, loc, scale)`` and its like, on NumPy, CuPy and traced arrays alike. The logarithms are
computed as such, so that the tails keep their digits; outside of the support density and derivative are 0.
"""

from xpgrad.stats._discrete import Bernoulli, Binom, NBinom, Poisson
from xpgrad.stats._gamma import Beta, Chi2, Gamma, InvGamma, T, VonMises
from xpgrad.stats._line import (
    Cauchy,
    Expon,
    HalfNorm,
    Laplace,
    Logistic,
    LogNorm,
    Norm,
    Pareto,
    TruncNorm,
    Uniform,
    WeibullMin,
)
from xpgrad.stats._multivariate import Dirichlet, Multinomial, MultivariateNormal, MultivariateT, Wishart

bernoulli = Bernoulli()
beta = Beta()
binom = Binom()
cauchy = Cauchy()
chi2 = Chi2()
dirichlet = Dirichlet()
expon = Expon()
gamma = Gamma()
halfnorm = HalfNorm()
invgamma = InvGamma()
laplace = Laplace()
logistic = Logistic()
lognorm = LogNorm()
multinomial = Multinomial()
multivariate_normal = MultivariateNormal()
multivariate_t = MultivariateT()
nbinom = NBinom()
norm = Norm()
pareto = Pareto()
poisson = Poisson()
t = T()
truncnorm = TruncNorm()
uniform = Uniform()
vonmises = VonMises()
weibull_min = WeibullMin()
wishart = Wishart()

__all__ = [
    "bernoulli",
    "beta",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "gamma",
    "halfnorm",
    "invgamma",
    "laplace",
    "logistic",
    "lognorm",
    "multinomial",
    "multivariate_normal",
    "multivariate_t",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "t",
    "truncnorm",
    "uniform",
    "vonmises",
    "weibull_min",
    "wishart",
]

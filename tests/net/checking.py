"""One random program, held against NumPy, difference quotients, and every way that it can be run.

The forward pass is NumPy's own: the program is NumPy source. Derivatives in both modes, and second ones,
are held against differences of NumPy's values where these converge; compiled ones against eager ones.
"""

import re
import zlib

import numpy as np

import xpgrad as xg
from net import differences
from net.comparing import Difference, fits, same, signs_matter
from net.outcomes import Outcome, quiet
from net.rounding import rounding
from net.world import check_world
from xpgrad._trees import flatten
from xpgrad.backends import choose
from xpgrad.compiler import compile
from xpgrad.plan import Target

_ROUNDING = re.compile(r"floor|ceil|trunc|rint|round|fix|//|%|mod|remainder|astype")

# Of three operands some are multiplied first, which may overflow, or have no terms.
_OF_THREE = re.compile(r"einsum\('[^',]*,[^',]*,")
_PRODUCTS = re.compile(
    r"@|einsum|dot|inner|outer|kron|prod|convolve|correlate|var|std|cov|norm|cross|trapezoid"
)


def check(program, generators=("interpreter",)):
    """Hold ``program`` against everything; raises `Difference` where it does not hold."""
    if program.changes:
        return check_world(program)
    with quiet():
        return _Check(program, generators).run()


class _Check:
    def __init__(self, program, generators):
        self.program, self.generators = program, generators
        self.scope = program.scope()
        self.f = self.scope["program"]
        self.nums = [k for k, x in enumerate(program.inputs) if _is_float(x)]
        self.rng = np.random.default_rng(zlib.crc32(program.source.encode()))
        self.chance = int(self.rng.integers(0, 1 << 30))
        self.outcome = Outcome()
        self.long = any(np.prod(x.shape) > 20_000 for x in program.inputs)

    def run(self):
        args = self.program.args
        try:
            want = self._wanted(args)
        except Exception as error:
            self._fails_too(error)
            return self.outcome
        if want is None:
            return self.outcome
        self.single = any(x.dtype in ("float32", "complex64") for x in self.program.inputs) or any(
            np.asarray(x).dtype in (np.float32, np.complex64) for x in flatten(want)[0]
        )
        self.single |= any(word in self.program.source for word in ("float32", "complex64"))
        self.coarse = np.float32 if self.single else np.float64
        self.moved = self._try("trace", lambda: rounding(self.f, self.program.args))
        # Written anew by a compiler, so as to stay finite where NumPy's lines do not.
        self.stable = any(word in self.program.source for word in ("log(", "exp(", "log1p("))
        self.overflows = _OF_THREE.search(self.program.source) is not None
        self.overflows |= self._is_far() and _PRODUCTS.search(self.program.source) is not None
        self.signs = signs_matter(self.program.source)
        self._eager(want)
        if self.moved is not None:
            self._compiled("value", self.f, args, want, self.moved)
        if self.nums:
            self._derivatives()
        return self.outcome

    def _wanted(self, args):
        """NumPy's result; at a pole of Python's floats, which raise or turn complex, that of NumPy's scalars.

        None where these would change the dtypes.
        """
        floats = any(type(x) is float for x in args)
        try:
            want = self.f(*args)
            if not floats or "complex" in self.program.source or not _any_complex(want):
                return want
        except (ZeroDivisionError, OverflowError):
            if not floats:
                raise
        if any(word in self.program.source for word in ("float32", "complex64")):
            self.outcome.refused.append("value: DTypeError: a pole at a Python float beside float32")
            return None
        return self.f(*[np.float64(x) if type(x) is float else x for x in args])

    def _is_far(self):
        """Whether a product of four entries can overflow."""
        held = [*self.program.args, *(v for v in self.scope.values() if isinstance(v, np.ndarray))]
        bound = np.finfo(np.float32 if self.single else np.float64).max ** 0.25
        return any(np.any(~(np.abs(x) <= bound)) for x in map(np.atleast_1d, held) if x.dtype.kind in "fc")

    # ── values ───────────────────────────────────────────────────────────────────────────────
    def _eager(self, want):
        out = self._try("eager", lambda: xg.vjp(self._of_floats(self.program.args), *self._floats())[0])
        if out is not None:
            self._same(out, want, self.moved, "eager value")

    def _compiled(self, what, f, args, want, moved):
        for name in self.generators:
            run = compile(f)
            with choose.use(name, self._target()):
                for _ in range(2):
                    out = self._try(f"{what}, {name}", lambda run=run: run(*args))
                    if out is None:
                        break
                    self._same(out, want, moved, f"{what}, {name}", finite_only=self.stable)

    def _same(self, got, want, moved, what, finite_only=False):
        self.outcome.skipped += same(
            got,
            want,
            moved,
            what=what,
            coarse=self.coarse,
            finite_only=finite_only,
            signs=self.signs,
            overflows=self.overflows,
        )
        self.outcome.compared.append(what)

    def _fails_too(self, expected):
        """NumPy refuses the program: so do we, with an error of its class."""
        runs = {"eager": lambda: xg.vjp(self._of_floats(self.program.args), *self._floats())[0]}
        for name in self.generators:
            runs[name] = lambda name=name: self._with(name, self.f, self.program.args)
        for name, run in runs.items():
            try:
                out = run()
            except Exception as error:
                if not fits(error, expected):
                    raise Difference(f"{name}: {error!r}\n  where NumPy raises {expected!r}") from error
                self.outcome.compared.append(f"error, {name}")
            else:
                raise Difference(f"{name}: {out!r}\n  where NumPy raises {expected!r}")

    def _with(self, name, f, args):
        with choose.use(name, self._target()):
            return compile(f)(*args)

    # ── derivatives ──────────────────────────────────────────────────────────────────────────
    def _derivatives(self):
        """Of the floats, in float64: what the rules say is one thing, what rounding does another."""
        wide = self._wide(self.program.args)
        xs = [wide[k] for k in self.nums]
        f = self._of_floats(wide, inexact=True)
        ts = [self._direction(x) for x in xs]
        outs = self._try("vjp", lambda: xg.vjp(f, *xs))
        if outs is None or not outs[0]:
            return
        out, pull = outs
        gs = [self._random(y) for y in out]
        cs = self._try("pullback", lambda: pull(gs))
        pushed = self._try("jvp", lambda: xg.jvp(f, xs, ts)[1])
        for x, c in zip(xs, cs or (), strict=False):
            dtypes = np.asarray(x).dtype, np.asarray(c).dtype
            # That of a Python float is the dtype of what it gave way to.
            if np.shape(x) != np.shape(c) or (hasattr(x, "dtype") and dtypes[0] != dtypes[1]):
                raise Difference(
                    f"gradient: {np.asarray(c).dtype}{np.shape(c)} for {np.asarray(x).dtype}{np.shape(x)}"
                )
        smooth = self._is_smooth(wide, xs, ts)
        if pushed is not None and smooth:
            self._near(pushed, differences.along(f, xs, ts), "jvp")
        if pushed is not None and cs is not None:
            self._paired(gs, out, pushed, cs, ts)
        if cs is None:
            return
        self._compiled_derivatives(f, xs, gs)
        if not self.long:
            self._second(f, xs, ts, gs, smooth)

    def _is_smooth(self, wide, xs, ts):
        """Whether each line is smooth here: the chain rule asks it of all, not of the result alone."""
        steps = self.program.steps

        def trail(*xs):
            shifts = iter(xs[len(self.nums) :])
            env = {x.name: np.copy(y)[()] for x, y in zip(self.program.inputs, wide, strict=True)}
            env |= {self.program.inputs[k].name: np.copy(x)[()] for k, x in zip(self.nums, xs, strict=False)}
            seen = []
            for step in steps:
                exec(step.text, self.scope, env)
                made = env[step.target]
                if step.kind == "new" and _can_be_shifted(made):
                    env[step.target] = made + next(shifts, 0.0) * _uneven(np.shape(made))
                seen.append(np.copy(env[step.target]))
            return seen, eval(self.program.result, self.scope, env)

        # Each line in any direction: what it reads may be constant along ts, and at a pole of it all the same.
        xs = [*xs, *(0.0 for _ in steps)]
        ts = [*ts, *(float(x) for x in self.rng.normal(size=len(steps)))]
        # Far out numbers are whole, and what rounds to whole numbers has no steps to be seen.
        if self.long:  # of these the error of the sums is asked, not the rules
            return False
        if any(np.size(x) and not np.max(np.abs(x)) < 1e15 for x in xs) and _ROUNDING.search(
            self.program.source
        ):
            return False
        try:
            return all(np.all(np.isfinite(x)) for x in xs) and differences.is_smooth(trail, xs, ts)
        except Exception:  # a neighbour is outside of a domain
            return False

    def _compiled_derivatives(self, f, xs, gs):
        def pulled(gs, *xs):
            return xg.vjp(f, *xs)[1](gs)

        moved = self._try("trace of vjp", lambda: rounding(pulled, (gs, *xs)))
        want = self._try("vjp", lambda: pulled(gs, *xs))
        if moved is not None and want is not None:
            self._compiled("gradient", pulled, (gs, *xs), want, moved)

    def _second(self, f, xs, ts, gs, smooth):
        def pulled(*xs):
            return xg.vjp(f, *xs)[1](gs)

        product = self._try("hvp", lambda: xg.jvp(pulled, xs, ts)[1])
        if product is None:
            return
        wanted = differences.along(pulled, xs, ts) if smooth else None
        if wanted is not None:
            self._near(list(product), wanted, "second derivative, forward over reverse")
        real = all(np.asarray(x).dtype.kind == "f" for x in (*xs, *gs))
        again = self._try("reverse over reverse", lambda: xg.vjp(pulled, *xs)[1](tuple(ts))) if real else None
        if again is not None and wanted is not None:
            self._near(list(again), wanted, "second derivative, reverse over reverse")
        if self.chance % 4 == 0:

            def pushed(gs, ts, *xs):
                return xg.jvp(lambda *xs: xg.vjp(f, *xs)[1](gs), xs, ts)[1]

            moved = self._try("trace of hvp", lambda: rounding(pushed, (gs, ts, *xs)))
            if moved is not None:
                self._compiled("second derivative", pushed, (gs, ts, *xs), product, moved)

    def _near(self, got, wanted, what):
        for k, (a, (b, allowed)) in enumerate(zip(map(np.asarray, got), wanted, strict=True)):
            if a.shape != b.shape:
                raise Difference(f"{what}, output {k}: shape {a.shape}, not {b.shape}")
            with np.errstate(all="ignore"):
                wrong = ~(np.abs(a - b) <= allowed) & np.isfinite(allowed)
            if np.any(wrong):
                e = tuple(np.argwhere(wrong)[0])
                with np.printoptions(threshold=12, precision=10):
                    raise Difference(
                        f"{what}, output {k}: {a}\n  where differences give {b}"
                        f"\n  first at {e}: {a[e]!r}, not {b[e]!r}, allowed {allowed[e]:.1e} apart"
                    )
            self.outcome.skipped += int(np.sum(~np.isfinite(allowed)))
        self.outcome.compared.append(what)

    def _paired(self, gs, out, pushed, cs, ts):
        """Both modes give one number."""
        with np.errstate(all="ignore"):
            forward = [np.real(np.asarray(g) * p) for g, p in zip(gs, pushed, strict=True)]
            back = [np.real(np.asarray(c) * t) for c, t in zip(cs, ts, strict=True)]
            a, b = sum(float(np.sum(x)) for x in forward), sum(float(np.sum(x)) for x in back)
            size = sum(float(np.sum(np.abs(x))) for x in (*forward, *back))
            slack = sum(float(np.sum(np.abs(g * y))) for g, y in zip(gs, out, strict=True))
            slack += sum(float(np.sum(np.abs(g))) for g in gs) * sum(float(np.sum(np.abs(t))) for t in ts)
        relative = 1e-5 if self.single else 1e-8
        if np.isfinite(size + slack) and not abs(a - b) <= relative * size + 1e-12 * slack:
            raise Difference(f"vjp and jvp: {b!r} in reverse, {a!r} forward")
        self.outcome.compared.append("vjp and jvp")

    # ── what goes in ─────────────────────────────────────────────────────────────────────────
    def _floats(self):
        made = self.program.args
        return [made[k] for k in self.nums]

    def _of_floats(self, args, inexact=False):
        def f(*xs):
            every = [x.copy() if isinstance(x, np.ndarray) else x for x in args]
            for k, x in zip(self.nums, xs, strict=True):
                every[k] = x
            out = self.f(*every)
            if inexact:
                return [y for y in flatten(out)[0] if np.asarray(_aval(y)).dtype.kind in "fc"]
            return out

        return f

    def _wide(self, args):
        wider = {np.dtype(np.float32): np.float64, np.dtype(np.complex64): np.complex128}
        return [
            np.asarray(x, dtype=wider[x.dtype])[()] if getattr(x, "dtype", None) in wider else x for x in args
        ]

    def _direction(self, x):
        """A tangent; for entries far from 1, or every other time, of their own size."""
        t = self._random(x)
        size = np.abs(x)
        with np.errstate(all="ignore"):
            if self.chance % 2 and np.all((size == 0) | np.isfinite(size)):
                size = np.where(size == 0, 1.0, size)
            else:
                size = np.where((size > 1e3) & np.isfinite(size), size, 1.0)
        return t * size if np.ndim(t) else type(t)(t * size)

    def _random(self, x):
        x = np.asarray(x)
        t = self.rng.normal(size=x.shape)
        if x.dtype.kind == "c":
            t = t + 1j * self.rng.normal(size=x.shape)
        return np.asarray(t, dtype=x.dtype) if x.shape else x.dtype.type(t)

    def _target(self):
        """This machine, or, for every other program, a cache so small that a few entries fill it."""
        chance = self.chance
        if chance % 2:
            return None
        return Target((64, 256, 1024, 4096)[chance // 2 % 4], grain=(1, 4, 16)[chance // 8 % 3], run=1, small=0)

    def _try(self, what, run):
        """``run()``; None where it is refused by name; any other exception is a difference."""
        try:
            return run()
        except (xg.TraceError, xg.DTypeError, xg.NotDifferentiableError) as error:
            self.outcome.refused.append(f"{what}: {type(error).__name__}: {str(error).splitlines()[0]}")
            return None
        except Difference:
            raise
        except Exception as error:
            if "setting an array element with a sequence" in str(error):  # NumPy's own, of a plain array
                self.outcome.refused.append(f"{what}: {error}")
                return None
            raise Difference(f"{what}: {type(error).__name__}: {error}") from error


def _is_float(x):
    """Whether an input can be differentiated: a float or complex array, or a Python float."""
    return x.dtype == "python" or np.dtype(x.dtype).kind in "fc"


def _uneven(shape):
    """Ones that differ from entry to entry, so that a shift by them parts equal entries."""
    return (1 + 0.3 * np.cos(1.7 * np.arange(int(np.prod(shape))))).reshape(shape)[()]


def _any_complex(tree):
    return any(np.asarray(x).dtype.kind == "c" for x in flatten(tree)[0])


def _aval(y):
    return np.empty((), y.dtype) if hasattr(y, "dtype") else y


def _can_be_shifted(x):
    """Whether no other name sees it when it is replaced by what lies next to it."""
    owned = isinstance(x, (np.floating, np.complexfloating, float)) or (
        isinstance(x, np.ndarray) and x.base is None and x.dtype in (np.float64, np.complex128)
    )
    return owned and not isinstance(x, (np.float32, np.complex64))

"""A program that reads the world, held against the plain function as the world changes."""

import numpy as np

import xpgrad as xg
from net.comparing import Difference, same
from net.outcomes import Outcome, quiet
from xpgrad.backends import choose
from xpgrad.compiler import compile


def check_world(program):
    """A compiled function gives what the plain one gives, before and after each change of the world."""
    outcome = Outcome()
    with quiet():
        plain, held = program.scope(), program.scope()

        def loss(f):
            return lambda *xs: np.sum(f(*xs))

        try:
            f, df = compile(held["program"]), compile(xg.value_and_grad(loss(held["program"])))
            for k, change in enumerate((None, *program.changes)):
                if change is not None:
                    exec(change, plain)
                    exec(change, held)
                for what, run, wanted in (
                    ("value", f, plain["program"]),
                    ("gradient", df, xg.value_and_grad(loss(plain["program"]))),
                ):
                    args = program.args
                    with choose.use("interpreter"):
                        got = run(*args)
                    same(got, wanted(*args), what=f"{what} after {k} changes")
                    outcome.compared.append(f"world, {what}")
        except (xg.TraceError, xg.DTypeError, xg.NotDifferentiableError) as error:
            outcome.refused.append(f"world: {type(error).__name__}: {str(error).splitlines()[0]}")
        except Difference:
            raise
        except Exception as error:
            raise Difference(f"world: {type(error).__name__}: {error}") from error
    return outcome

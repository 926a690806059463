"""compile: from a user's function to a program, with both caches."""

from xpgrad.compiler.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]

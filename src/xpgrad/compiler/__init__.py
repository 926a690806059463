"""`compile`: from a user's function to a program for each signature."""

from xpgrad.compiler.compiled import Compiled, compile, compile_step

__all__ = ["Compiled", "compile", "compile_step"]

"""Derivatives of recorded programs, in reverse and forward mode, and batches of samples.

`pull` is reverse mode, `Duals` forward mode, `Batch` a batch of samples. Un-broadcasting, the chain rule and
the transpose of a linear program are written here, once.
"""

from xpgrad.autodiff.batching import Batch
from xpgrad.autodiff.custom import call_with_rule, custom_vjp, stopped, untaped
from xpgrad.autodiff.pullback import copied, pull
from xpgrad.autodiff.pushforward import Duals

__all__ = ["Batch", "Duals", "call_with_rule", "copied", "custom_vjp", "pull", "stopped", "untaped"]

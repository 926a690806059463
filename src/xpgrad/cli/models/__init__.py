"""Prepare the columns of a table, fit an estimator of `xpgrad.learn`, judge it, keep it."""

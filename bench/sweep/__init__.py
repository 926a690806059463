"""Compiled steps against NumPy by hand and the peers, over features, samples, dtypes and layouts."""

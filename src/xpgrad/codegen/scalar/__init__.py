"""Scalar code: what ops compute of single entries, stated once for every device.

`ops` has the body of each op and what its operands are brought to, `monoids` what reductions combine by,
`functions` the elementary and special functions with their errors. All are written as arithmetic on `ir.Value`,
of which a generator prints the instructions.
"""

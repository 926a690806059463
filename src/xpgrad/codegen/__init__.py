"""The kernel IR and the scalar functions, which all generators share."""

"""From a plan to the text of kernels: what all targets share."""

"""xpgrad on a GPU against its peers on the same card, and the CPU: see ``bench/gpu/__main__.py``."""

"""xpgrad on the CPU against its peers, each in a process of its own: see ``bench/peers/__main__.py``."""

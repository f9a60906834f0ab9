"""How much of alpha each look may use, so that many looks raise no more false alarms than one.

By time *t* (the share of the analysis that is over) alpha * ln(1 + (e - 1) t) may be spent: the function of Lan and DeMets (1983, Biometrika 70, "Discrete sequential boundaries for
clinical trials") that is like Pocock's boundaries. A look uses what has come since the look before. That the sum stays below alpha then needs nothing but the addition
of probabilities, at the price of somewhat wide bounds; the joint distribution of the looks is not used.
"""

import math


def spent(alpha: float, time: float) -> float:
    """What may be spent by *time* (0 to 1)."""
    return alpha * math.log1p((math.e - 1) * min(max(time, 0.0), 1.0))


def of_pass(alpha: float, tried: int) -> float:
    """What a look for a pass may use when *tried* have failed: a half, a quarter, an eighth, ..."""
    return alpha / float(1 << (tried + 1))

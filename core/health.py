"""Is this server healthy: active checks, outlier ejection, circuit breaker.

Outlier ejection follows Envoy's documentation ("Outlier detection"): consecutive failures eject for the base time multiplied by
the number of ejections so far, which falls again by one for each base time without one; never more than a share of the listed
servers is ejected, so that a lone server stays (Envoy's ``always_eject_one_host`` is off).
"""

from .decision import decision
from .table import Table, refresh_available


@decision
def check(servers: Table, slot: int, passed: bool, healthy_threshold: int, unhealthy_threshold: int) -> int:
    """Count one active check; 1 if the server has just become healthy, -1 if unhealthy, 0 if nothing changed."""
    if passed:
        servers["passed"][slot] += 1
        servers["failed"][slot] = 0
        if servers["healthy"][slot] == 0 and servers["passed"][slot] >= healthy_threshold:
            servers["healthy"][slot] = 1
            refresh_available(servers, slot)
            return 1
        return 0
    servers["failed"][slot] += 1
    servers["passed"][slot] = 0
    if servers["healthy"][slot] == 1 and servers["failed"][slot] >= unhealthy_threshold:
        servers["healthy"][slot] = 0
        refresh_available(servers, slot)
        return -1
    return 0


@decision
def may_eject(servers: Table, count: int, max_percent: int) -> bool:
    """Whether one more listed server may be ejected under *max_percent*."""
    listed = 0
    ejected = 0
    for slot in range(count):
        if servers["listed"][slot] == 1:
            listed += 1
            if servers["ejected_until"][slot] > 0:
                ejected += 1
    return (ejected + 1) * 100 <= max_percent * listed


@decision
def record_result(
    servers: Table, count: int, slot: int, failed: bool, now: int, consecutive: int,
    base_ejection: int, max_percent: int,
) -> int:  # fmt: skip
    """Count one answer for outlier detection (*consecutive* 0: off); the ejection's end in ns, or 0 for none."""
    if not failed:
        servers["errors"][slot] = 0
        return 0
    servers["errors"][slot] += 1
    if consecutive == 0 or servers["errors"][slot] < consecutive:
        return 0
    if servers["available"][slot] == 0 or not may_eject(servers, count, max_percent):
        return 0
    servers["errors"][slot] = 0
    quiet = (now - servers["ejected_end"][slot]) // base_ejection
    servers["ejections"][slot] = max(0, servers["ejections"][slot] - quiet) + 1
    until = now + base_ejection * int(servers["ejections"][slot])
    servers["ejected_until"][slot] = until
    servers["ejected_end"][slot] = until
    refresh_available(servers, slot)
    return until


@decision
def uneject(servers: Table, slot: int, now: int) -> bool:
    """End the ejection that is due at *now*; False if it was another one."""
    if servers["ejected_until"][slot] == 0 or servers["ejected_until"][slot] > now:
        return False
    servers["ejected_until"][slot] = 0
    refresh_available(servers, slot)
    return True


@decision
def breaker(opened: int, in_flight: int, cap: int) -> int:
    """The breaker of a server, for the log: opens at the cap of requests in flight, closes at half of it."""
    if cap < 0:
        return 0
    if opened == 0:
        return 1 if in_flight >= cap else 0
    return 0 if in_flight * 2 <= cap else 1

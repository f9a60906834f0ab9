"""What tc is told of a link, so that the kernel does to its messages what a fault says."""

from collections.abc import Mapping

from ....core.model import SECOND

CARRIED = frozenset({"latency", "loss", "bandwidth", "partition"})
"""The faults of links that the kernel carries out in namespaces; the others are about connections and content, of which it knows nothing."""

Wrong = Mapping[str, float]
"""Fields of core.toxics.TOXIC for one direction."""

_LEAST_BURST = 3200
"""Bytes that tbf sends at once: two packets, or what the rate carries in two milliseconds. Content waits as it does in the rehearsal, from its first bytes on."""
_LIMIT = "1gb"
"""A queue that loses nothing: what is too much waits, as in the rehearsal."""
_PACKETS = 1_000_000
_RANDOM = 0xFFFFF038
"""Where a classic BPF program finds a random number of 32 bits (SKF_AD_OFF + SKF_AD_RANDOM)."""
_PASS, _DROP = 0xFFFFFFFF, 2
"""What it returns: TC_ACT_UNSPEC, TC_ACT_SHOT."""


def leaving(device: str, wrong: Wrong) -> str:
    """A line of ``tc -batch``: how messages leave by *device*. Latency with its jitter is netem's, and the rate beside it; a rate alone tbf's. Nothing to be done: no queue, as on every veth device."""
    latency, jitter, rate = (wrong.get(name, 0) for name in ("latency", "jitter", "rate"))
    if latency:
        words = f"netem limit {_PACKETS} delay {_microseconds(latency)}"
        words += f" {_microseconds(jitter)}" if jitter else ""
        words += f" rate {_bits(rate)}" if rate else ""
    elif rate:
        words = f"tbf rate {_bits(rate)} burst {max(_LEAST_BURST, round(rate / 500))} limit {_LIMIT}"
    else:
        # Deleting is an error where there is none.
        words = "noqueue"
    return f"qdisc replace dev {device} root {words}"


def arriving(device: str, wrong: Wrong) -> list[str]:
    """Lines of ``tc -batch``: which messages that arrive at *device* are lost. It has a qdisc ``clsact``, and a filter that these replace."""
    if wrong.get("until", 0):
        return drop(device, [(6, 0, 0, _DROP)])
    share = round(wrong.get("loss", 0.0) * 2**32)
    if not share:
        return drop(device, [(6, 0, 0, _PASS)])
    # ld rand; jge share, pass, drop.
    return drop(device, [(32, 0, 0, _RANDOM), (53, 0, 1, min(share, 2**32 - 1)), (6, 0, 0, _PASS), (6, 0, 0, _DROP)])  # fmt: skip


def without_ports(device: str, ports: list[int], source: bool) -> list[str]:
    """Likewise: TCP segments from (*source*) or to one of these ports are lost."""
    # ldb protocol; jeq TCP; ldh port; jeq each. Ethernet, and IPv4 without options: our own.
    tests = [(21, len(ports) - place, 0, port) for place, port in enumerate(ports)]
    program = [(48, 0, 0, 23), (21, 0, len(ports) + 1, 6), (40, 0, 0, 34 if source else 36), *tests]
    return drop(device, [*program, (6, 0, 0, _PASS), (6, 0, 0, _DROP)] if ports else [(6, 0, 0, _PASS)])


def drop(device: str, program: list[tuple[int, int, int, int]]) -> list[str]:
    """Have the classic BPF *program* say of each IPv4 packet that arrives whether it is lost."""
    code = ",".join(" ".join(map(str, line)) for line in program)
    return [
        f'filter replace dev {device} ingress pref 1 protocol ip handle 1 bpf da bytecode "{len(program)},{code}"'
    ]


def _microseconds(length: float) -> str:
    return f"{round(length * 1_000_000 / SECOND)}us"


def _bits(rate: float) -> str:
    """Bytes a second, as tc calls them."""
    return f"{max(8, round(8 * rate))}bit"

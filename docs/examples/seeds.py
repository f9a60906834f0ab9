"""A replay script: the same outage under three seeds, and what it does to the users."""

from windtunnel import Scenario, replay

scenario = Scenario.load("server-dies", ["duration=60s"])
for seed in (1, 2, 3):
    run = replay(scenario, seed=seed)
    (killed,) = [event for event in run.events if event["event"] == "killed"]
    retried = sum(tries > 1 for tries in run.attempts.column("tries").to_pylist())
    p99 = run.summary["latency_ns"]["p99"] / 1e6
    print(
        f"seed {seed}: server {killed['server']} died with {killed['lost']} in flight; "
        f"{retried} requests went to another server; p99 {p99:.1f} ms; {'passed' if run.passed else 'violated'}"
    )

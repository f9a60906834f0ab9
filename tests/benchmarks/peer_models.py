"""Other simulators on the same work: Poisson arrivals, a round-robin load balancer, four servers of one worker, 4 ms of service.

Run by test_kernel.py in an environment of its own (both need Python 3.12 or later). Prints "name requests seconds".
"""

import sys
import time

RATE, SECONDS = 800, 30


def asyncflow() -> tuple[int, float]:
    """asyncflow-sim, as its documented example with a load balancer; its CPU steps take a constant time."""
    import simpy
    from asyncflow import AsyncFlow
    from asyncflow.components import Client, Edge, Endpoint, LoadBalancer, Server
    from asyncflow.runtime.simulation_runner import SimulationRunner
    from asyncflow.settings import SimulationSettings
    from asyncflow.workload import RqsGenerator

    names = [f"srv-{number}" for number in range(4)]
    instant = {"mean": 0.0001, "distribution": "exponential"}
    step = {"kind": "initial_parsing", "step_operation": {"cpu_time": 0.004}}
    pairs = [
        ("gen", "client"),
        ("client", "lb"),
        *(("lb", name) for name in names),
        *((name, "client") for name in names),
    ]
    flow = AsyncFlow()
    flow = flow.add_generator(
        RqsGenerator(
            id="gen",
            avg_active_users={"mean": RATE},
            avg_request_per_minute_per_user={"mean": 60},
            user_sampling_window=30,
        )
    )
    flow = flow.add_client(Client(id="client")).add_load_balancer(
        LoadBalancer(id="lb", algorithms="round_robin", server_covered=set(names))
    )
    flow = flow.add_servers(
        *(
            Server(
                id=name,
                server_resources={"cpu_cores": 1, "ram_mb": 2048},
                endpoints=[Endpoint(endpoint_name="/", steps=[step])],
            )
            for name in names
        )
    )
    flow = flow.add_edges(
        *(Edge(id=f"{a}-{b}", source=a, target=b, latency=instant, dropout_rate=0.0) for a, b in pairs)
    )
    flow = flow.add_simulation_settings(
        SimulationSettings(
            total_simulation_time=SECONDS,
            sample_period_s=0.1,
            enabled_sample_metrics=set(),
            enabled_event_metrics=["rqs_clock"],
        )
    )
    runner = SimulationRunner(env=simpy.Environment(), simulation_input=flow.build_payload())
    start = time.perf_counter()
    found = runner.run()
    elapsed = time.perf_counter() - start
    return len(found.get_latency_stats() and found._client.rqs_clock), elapsed


def happysim() -> tuple[int, float]:
    """happysim, with its source, load balancer, servers and sink."""
    from happysimulator import Instant, Server, Simulation, Sink, Source
    from happysimulator.components.load_balancer import LoadBalancer, RoundRobin
    from happysimulator.distributions import ExponentialLatency

    sink = Sink()
    servers = [
        Server(f"server{number}", service_time=ExponentialLatency(0.004), downstream=sink)
        for number in range(4)
    ]
    balancer = LoadBalancer("balancer", backends=servers, strategy=RoundRobin())
    source = Source.poisson(rate=RATE, target=balancer)
    simulation = Simulation(
        sources=[source], entities=[balancer, *servers, sink], end_time=Instant.from_seconds(SECONDS)
    )
    start = time.perf_counter()
    simulation.run()
    return sink.events_received, time.perf_counter() - start


if __name__ == "__main__":
    requests, elapsed = {"asyncflow-sim": asyncflow, "happysim": happysim}[sys.argv[1]]()
    print(sys.argv[1], requests, elapsed)

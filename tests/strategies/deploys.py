"""Random versions and deploys, and steps of a deploy one by one."""

from hypothesis import strategies as st
from windtunnel.core.distributions import constant
from windtunnel.core.model import NONE, Memory, VersionSpec

from .values import durations

DEPLOYED = {
    "v2": {"service_time": 2, "boot_time": "200ms"},
    "v3": {"error_share": "40%", "memory": {"leak": "256KiB"}, "crash_after": "1500ms"},
}
DEPLOY_STEP = st.one_of(
    st.sampled_from(["0%", "10%", "100%"]).map(lambda share: {"set_weight": share}),
    st.just({"pause": "1s"}),
    st.just(
        {"analysis": {"for": "1s", "every": "1s", "timeout": "2s", "min_requests": 5, "error_margin": "20%"}}
    ),
)
DEPLOY = st.one_of(
    st.fixed_dictionaries(
        {
            "at": durations(0, 2000), "version": st.sampled_from(["v1", "v2", "v3"]), "strategy": st.sampled_from(["rolling", "all_at_once"]),
            "max_surge": st.sampled_from([0, 1, "50%"]), "max_unavailable": st.sampled_from([1, "100%"]), "drain": st.sampled_from([None, 0]),
        }
    ),
    st.fixed_dictionaries(
        {
            "at": durations(0, 2000), "version": st.sampled_from(["v2", "v3"]), "strategy": st.just("canary"),
            "branch": st.sampled_from(["master", "canary"]), "steps": st.lists(DEPLOY_STEP, max_size=2),
        }
    ),
    st.fixed_dictionaries({"at": durations(0, 2000), "version": st.just("v2"), "strategy": st.just("blue_green"), "keep": st.just("1s")}),
    st.fixed_dictionaries({"at": durations(0, 2000), "version": st.just("p"), "branch": st.just("proxy"), "connections": st.sampled_from(["lost", "handed_over"])}),
    st.fixed_dictionaries({"at": durations(0, 2000), "version": st.just("r"), "branch": st.just("redis")}),
).map(lambda deploy: {**deploy, "install": "300ms", "min_ready": "200ms", "deadline": "2s"})  # fmt: skip


MIB = 1 << 20
VERSION = st.builds(
    VersionSpec,
    name=st.sampled_from(["1", "2", "bad"]),
    cpu_factor=st.sampled_from([1.0, 0.5, 3.0]),
    error_share=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    error_status=st.sampled_from([500, 503]),
    memory=st.sampled_from(
        [None, None, Memory(base=10 * MIB, each=9 * MIB), Memory(base=90 * MIB, leak=MIB // 4)]
    ),
    boot_time=st.sampled_from([None, constant(300_000_000)]),
    crash_after=st.sampled_from([NONE, NONE, NONE, NONE, 0, 400_000_000, 1_500_000_000]),
)
"""A version of the app servers."""

SOUND = st.builds(VersionSpec, name=st.just("1"), cpu_factor=st.sampled_from([1.0, 2.0]))
VERSIONS = st.tuples(SOUND, st.one_of(SOUND, VERSION), VERSION)
"""What runs at the start works."""

RARE = ("share", "release", "launch", "updating", "terminate")
OFTEN = ("drain", "update", "update", "update", "update", "register", "register", "register")
STEPS = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.sampled_from(RARE + OFTEN),
        st.integers(0, 7),
        st.integers(0, 2),
        st.sampled_from([0, 0, 3, 20, 300, 1000]),
    ),
    min_size=6,
    max_size=30,
)
"""Steps of a deploy (tests.sim.deploying), sensible or not."""

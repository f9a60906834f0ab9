"""A run that the tests of traces share."""

import pytest
from windtunnel import Run
from windtunnel.reports.trace.traces import Traces
from windtunnel.tests.reports.trace.fleets import TROUBLED, traces_of_document


@pytest.fixture(scope="session")
def troubled() -> tuple[Run, Traces]:
    """A run in which much goes wrong, and its traces."""
    return traces_of_document(TROUBLED)

"""What every test has: async tests run on asyncio, and folders have budgets of time."""

import signal

import hypothesis
import pytest

from tests.budgets import Budgets

# The same examples in every run, and no verdict by the clock: a busy machine does not make a test wrong.
hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    # A background job of a shell ignores Ctrl-C, as the lanes of .ci/run do, and so would the programs that tests start
    # and interrupt: what is ignored stays so in children, a handler does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Budgets(), "budgets")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"

"""What every test has: async tests run on asyncio, and folders have budgets of time."""

import pytest

from tests.budgets import Budgets


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Budgets(), "budgets")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"

"""How long the tests of each folder may take: seconds on two cores, in `.ci/run`, where three lanes share them.

Prints at the end of a run what each folder took, and says so loudly where that is more than its budget. A folder over
its budget does not fail: machines differ, and one slow day is no defect. A folder that stays over it is.
"""

from __future__ import annotations

from collections import Counter

import pytest

BUDGET_SECONDS = {
    "unit/apimachinery": 5,
    "unit/apiserver": 30,
    "unit/cloud_controller_manager": 3,
    "unit/cloudprovider": 3,
    "unit/cluster_autoscaler": 10,
    "unit/clusterdns": 8,
    "unit/componentbase": 15,
    "unit/controller_manager": 20,
    "unit/deploy": 5,
    "unit/docs": 3,
    "unit/etcdclient": 5,
    "unit/ingress": 10,
    "unit/kubeapi": 10,
    "unit/kubecel": 5,
    "unit/kubeclient": 5,
    "unit/kubectl": 10,
    "unit/kubelet": 20,
    "unit/kubeproxy": 3,
    "unit/netagent": 5,
    "unit/metrics_server": 3,
    "unit/mini_cluster": 10,
    "unit/scheduler": 15,
    "golden": 120,
    "integration/api": 240,
    "integration/clients": 20,
    "integration/controllers": 75,
    "integration/ingress": 20,
    "integration/kubectl": 80,
    "integration/kubelet": 30,
    "integration/mini_cluster": 120,
    "integration/mini_kubectl": 330,
    "integration/recipes": 20,
    "integration/scheduler": 45,
    "integration/storage": 60,
    "cluster": 480,
    "cluster/clients": 60,
    "cluster/clusterdns": 20,
    "cluster/kubelet": 120,
    "cluster/kubeproxy": 60,
    "cluster/netagent": 20,
    "cluster/operators": 20,
}
"""By folder under tests/; the tests right in a folder count for it alone."""


class Budgets:
    """A pytest plugin."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a fixture of a file or a session for the folder of the first test that needs it."""
        folders = report.nodeid.split("::")[0].split("/")[1:-1]
        self.seconds["/".join(folders[:2])] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_sep("-", "seconds by folder, of its budget")
        for folder, seconds in sorted(self.seconds.items()):
            budget = BUDGET_SECONDS.get(folder)
            line = f"tests/{folder:<26} {seconds:7.1f} s"
            if budget is None:
                terminalreporter.write_line(f"{line}  has no budget: give it one in tests/budgets.py", red=True)
            elif seconds > budget:
                terminalreporter.write_line(f"{line} of {budget} s  OVER BUDGET", red=True)
            else:
                terminalreporter.write_line(f"{line} of {budget} s")

"""What every test run shares: how far hypothesis looks. Streams to test with come from `tests.corpus`."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Derandomised: whether a run passes depends on the code, not on luck. HYPOTHESIS_PROFILE=fuzz looks further.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz", deadline=None, max_examples=5_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

SLOW = (
    *("tests/gateway/", "tests/cli/test_run.py", "tests/cli/test_serve.py", "tests/cli/test_demo.py"),
    *(
        "tests/cli/test_main.py",
        "tests/cli/test_io.py",
        "tests/cli/test_config_command.py",
        "tests/llms/test_corpus.py",
    ),
    *(
        "tests/laws/test_array.py",
        "tests/laws/test_bad_input.py",
        "tests/laws/test_bad_requests.py",
        "tests/laws/test_cut.py",
        "tests/laws/test_fuzz.py",
        "tests/laws/test_garbage.py",
        "tests/laws/test_linear_requests.py",
        "tests/laws/test_toy.py",
    ),
)
"""Where tests talk over sockets, start processes, or go through every stream a second time: not for `make check`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)

"""Settings that every test shares."""

import signal
from typing import Any

from hypothesis import HealthCheck, settings

settings.register_profile(
    "relumodel", deadline=None, derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("relumodel")

# a shell starts background jobs with Ctrl-C ignored; the tests of Ctrl-C want Python's own handler
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line that says which of the independent readers of our files ran, and which are not installed."""
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for outcome, readers in found.items():
        for report in terminalreporter.stats.get(outcome, []):
            readers.update(value for name, value in getattr(report, "user_properties", []) if name == "file reader")
    if any(found.values()):
        told = {"passed": "ran", "failed": "failed", "skipped": "not installed"}
        parts = [f"{told[outcome]}: {', '.join(sorted(readers))}" for outcome, readers in found.items() if readers]
        terminalreporter.write_line(f"file readers {'; '.join(parts)}")

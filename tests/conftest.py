"""Settings that every test shares."""

import signal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "relumodel", deadline=None, derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("relumodel")

# a shell starts background jobs with Ctrl-C ignored; the tests of Ctrl-C want Python's own handler
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits of the same steps, and few of each: for what holds after any number of them."""
    from relumodel.fit import loop, price, three_layer

    for name, value in {"FIRST": 200, "LATER": 100}.items():
        monkeypatch.setattr(loop, name, value)
        monkeypatch.setattr(three_layer, name, value)
    monkeypatch.setattr(three_layer, "STARTS", 3)
    for name, value in {"STEPS": 3, "PATIENT": 3, "CLIMB": 6, "NARROW": (0.01, 1e-4), "FINE": 6}.items():
        monkeypatch.setattr(price, name, value)


NO_DEVICE = "no CUDA device is here"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `cuda` are skipped without a device."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if marked:
        import torch

        for item in marked if not torch.cuda.is_available() else []:
            item.add_marker(pytest.mark.skip(reason=NO_DEVICE))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line that says which of the independent readers of our files ran, and which are not installed; one of CUDA tests that did not."""
    skipped = sum(NO_DEVICE in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"CUDA: {skipped} tests did NOT run, {NO_DEVICE}", yellow=True)
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for outcome, readers in found.items():
        for report in terminalreporter.stats.get(outcome, []):
            readers.update(value for name, value in getattr(report, "user_properties", []) if name == "file reader")
    if any(found.values()):
        told = {"passed": "ran", "failed": "failed", "skipped": "not installed"}
        parts = [f"{told[outcome]}: {', '.join(sorted(readers))}" for outcome, readers in found.items() if readers]
        terminalreporter.write_line(f"file readers {'; '.join(parts)}")

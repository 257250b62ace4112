"""What the installed environment must be, whoever installed it."""

from importlib.metadata import distributions


def test_onnxruntime_is_installed_in_exactly_one_of_its_packages():
    installed = sorted(name for name in {d.name.lower() for d in distributions()} if name.startswith("onnxruntime"))
    assert len(installed) == 1, f"these overwrite each other's files, keep one: pip uninstall {' '.join(installed)}"
    assert installed[0] in ("onnxruntime", "onnxruntime-gpu")

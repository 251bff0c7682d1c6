"""What this package is called where packages are installed from, and its version. Imports nothing.

The name `scorer` is somebody else's there, so every message that tells a person to install
something takes it from here.
"""

DISTRIBUTION = "scorer-onnx"
VERSION = "0.1.0"


def install_command(extra: str) -> str:
    """The command that installs this package with an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"

# Licensed under a 3-clause BSD style license - see LICENSE
"""
onnxruntime, imported here and nowhere else, with its telemetry off.

Newer versions ask for the name of a telemetry host, leave a device's number and a database under the user's cache, and
write into the temporary folder, all on the import. What turns that off is an environment variable, which is read on the
import; ``disable_telemetry_events`` comes too late.
"""

import os
from importlib import import_module

__all__ = ["onnxruntime"]

_SWITCH = "ORT_DISABLE_TELEMETRY"


def onnxruntime(part=""):
    """
    Import onnxruntime, or a part of it such as ``"quantization"``, with its telemetry off.

    The environment variable ``ORT_DISABLE_TELEMETRY`` is left alone where the user has set it. If onnxruntime was
    imported before by other code, its telemetry is as that code left it.

    Raise an ImportError if it cannot be imported.

    Examples
    --------
    >>> import os
    >>> from astro_photz.utils._onnxruntime import onnxruntime
    >>> onnxruntime().__name__, "ORT_DISABLE_TELEMETRY" in os.environ
    ('onnxruntime', True)
    """
    os.environ.setdefault(_SWITCH, "1")
    import onnxruntime as whole

    return import_module(f"onnxruntime.{part}") if part else whole

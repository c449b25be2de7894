"""fernoise-bench from Python: `import fernoise_bench as fb`. Each name is loaded when it is first used.

This folder is the package `fernoise_bench` itself; the packages beside it are mapped into it in pyproject.toml.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark.api.comparison import compare as compare
    from .benchmark.api.listing import MethodInfo as MethodInfo
    from .benchmark.api.listing import ProtocolInfo as ProtocolInfo
    from .benchmark.api.listing import list_methods as list_methods
    from .benchmark.api.listing import list_protocols as list_protocols
    from .benchmark.api.protocol_data import Faces as Faces
    from .benchmark.api.protocol_data import OpenProtocol as OpenProtocol
    from .benchmark.api.protocol_data import open_protocol as open_protocol
    from .benchmark.api.records import Records as Records
    from .benchmark.api.records import load_records as load_records
    from .benchmark.api.training import run as run
    from .benchmark.models.model import TrainedModel as TrainedModel
    from .benchmark.models.model import load_model as load_model
    from .protocols.errors import BadInput as BadInput

    __version__: str

# where each name is defined; nothing is imported before it is used
_PLACES = {
    "BadInput": "protocols.errors",
    "Faces": "benchmark.api.protocol_data",
    "MethodInfo": "benchmark.api.listing",
    "OpenProtocol": "benchmark.api.protocol_data",
    "ProtocolInfo": "benchmark.api.listing",
    "Records": "benchmark.api.records",
    "TrainedModel": "benchmark.models.model",
    "compare": "benchmark.api.comparison",
    "list_methods": "benchmark.api.listing",
    "load_model": "benchmark.models.model",
    "list_protocols": "benchmark.api.listing",
    "load_records": "benchmark.api.records",
    "open_protocol": "benchmark.api.protocol_data",
    "run": "benchmark.api.training",
}

__all__ = ["__version__", *_PLACES]

if __spec__ is not None:
    # As a namespace's: tools that look for the packages of fernoise_bench, import-linter among them, then take each for
    # a folder of its own, which it is in an editable install.
    __spec__.has_location = False


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("fernoise-bench")
    elif name in _PLACES:
        found = getattr(_import_module(f".{_PLACES[name]}", __name__), name)
    else:
        raise AttributeError(f"module 'fernoise_bench' has no attribute '{name}'")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)

"""Ids and folders of trials.

A trial is the folder `OUT/<protocol>@<version>/<method>/<trial_id>/`; its id is a hash of what is in identity.json.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ...protocols.files import canonical_json


def trial_id(identity: Mapping[str, Any]) -> str:
    """The trial's name: the first 16 hex digits of the SHA-256 of its identity's canonical JSON."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]


def trial_folder(out: Path, identity: Mapping[str, Any]) -> Path:
    """The folder of a trial: `out/<protocol>@<version>/<method>/<trial_id>`. It is not created.

    A colon in a name becomes a full stop, any other special character an underscore.
    """
    protocol, method = identity["protocol"], identity["method"]
    return out / _slug(f"{protocol['name']}@{protocol['version']}") / _slug(method["name"]) / trial_id(identity)


def _slug(name: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9._@+-]", "_", name.replace(":", "."))
    if not slug.strip("."):
        raise BadInput(f"'{name}' cannot name a folder: use letters, digits, '-' and '_'")
    return slug


def unreadable_folders(root: Path) -> list[Path]:
    """An output folder or the folders of protocols and methods below it, sorted, in which trials would not be found."""
    folders = (path for path in (root, *root.glob("*"), *root.glob("*/*")) if path.is_dir())
    return sorted(folder for folder in folders if not os.access(folder, os.R_OK | os.X_OK))


def find_trials(root: Path) -> list[Path]:
    """The trial folders below an output folder, sorted; an output folder that does not exist has none."""
    return sorted(path for path in root.glob("*/*/*") if re.fullmatch(r"[0-9a-f]{16}", path.name) and path.is_dir())

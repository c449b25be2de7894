"""The methods by name, loaded when they are used; other packages add methods by entry point, users by file."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..protocols.activity import doing
from ..protocols.base import Protocol
from ..protocols.errors import BadInput, unknown
from ..protocols.files import canonical_json
from .disk_cache import lookup, store
from .isolation.imports import as_bad_input, import_errors, importing
from .method_source import file_hashes, source_digest, source_files

if TYPE_CHECKING:
    from ..methods.base import Method

METHODS: dict[str, str] = {
    "asymmetric_loss": "fernoise_bench.baselines.asymmetric_loss:AsymmetricLoss",
    "bootstrapping": "fernoise_bench.baselines.bootstrapping:Bootstrapping",
    "co_teaching": "fernoise_bench.baselines.co_teaching:CoTeaching",
    "co_teaching_multi": "fernoise_bench.baselines.co_teaching_multi:CoTeachingMulti",
    "co_teaching_plus": "fernoise_bench.baselines.co_teaching_plus:CoTeachingPlus",
    "cocuring": "fernoise_bench.methods.cocuring:CoCuring",
    "cocuring_multi": "fernoise_bench.baselines.cocuring_multi:CoCuringMulti",
    "conal": "fernoise_bench.baselines.conal:CoNAL",
    "cores": "fernoise_bench.baselines.cores:CORES",
    "crowd_layer": "fernoise_bench.baselines.crowd_layer:CrowdLayer",
    "decoupling": "fernoise_bench.baselines.decoupling:Decoupling",
    "deep_co_training": "fernoise_bench.baselines.deep_co_training:DeepCoTraining",
    "disc": "fernoise_bench.baselines.disc:DISC",
    "distillation": "fernoise_bench.baselines.distillation:Distillation",
    "dividemix": "fernoise_bench.baselines.dividemix:DivideMix",
    "eac": "fernoise_bench.baselines.eac:EAC",
    "elr": "fernoise_bench.baselines.elr:ELR",
    "ensemble": "fernoise_bench.baselines.ensemble:Ensemble",
    "equal_compute": "fernoise_bench.baselines.equal_compute:EqualCompute",
    "fixmatch_multi": "fernoise_bench.baselines.fixmatch_multi:FixMatchMulti",
    "forward_correction": "fernoise_bench.baselines.forward_correction:ForwardCorrection",
    "forward_correction_multi": "fernoise_bench.baselines.forward_correction_multi:ForwardCorrectionMulti",
    "frequency_weighting": "fernoise_bench.baselines.frequency_weighting:FrequencyWeighting",
    "gce": "fernoise_bench.baselines.gce:GCE",
    "hill": "fernoise_bench.baselines.hill:Hill",
    "hlc": "fernoise_bench.baselines.hlc:HLC",
    "jocor": "fernoise_bench.baselines.jocor:JoCoR",
    "jocor_multi": "fernoise_bench.baselines.jocor_multi:JoCoRMulti",
    "label_smoothing": "fernoise_bench.baselines.label_smoothing:LabelSmoothing",
    "man": "fernoise_bench.baselines.man:MAN",
    "mean_teacher": "fernoise_bench.baselines.mean_teacher:MeanTeacher",
    "mixup": "fernoise_bench.baselines.mixup:Mixup",
    "mlcr": "fernoise_bench.methods.mlcr:MLCR",
    "nct": "fernoise_bench.baselines.nct:NCT",
    "nla": "fernoise_bench.baselines.nla:NLA",
    "noise_rate_reweighting": "fernoise_bench.baselines.noise_rate_reweighting:NoiseRateReweighting",
    "noise_regularization": "fernoise_bench.baselines.noise_regularization:NoiseRegularization",
    "recot": "fernoise_bench.methods.recot:ReCoT",
    "resup": "fernoise_bench.baselines.resup:ReSup",
    "rhls": "fernoise_bench.methods.rhls:RHLS",
    "rul": "fernoise_bench.baselines.rul:RUL",
    "sce": "fernoise_bench.baselines.sce:SCE",
    "scn": "fernoise_bench.baselines.scn:SCN",
    "soft_labels": "fernoise_bench.baselines.soft_labels:SoftLabels",
    "sop": "fernoise_bench.baselines.sop:SOP",
    "splc": "fernoise_bench.baselines.splc:SPLC",
    "supervised": "fernoise_bench.baselines.supervised:Supervised",
    "ulc_ag": "fernoise_bench.methods.ulc_ag:ULCAG",
    "volminnet": "fernoise_bench.baselines.volminnet:VolMinNet",
}
ENTRY_POINTS = "fernoise_bench.methods"
TEACHER = "teacher:"
OWN = "fernoise_bench."  # how the names of this package's modules begin


@dataclass(frozen=True)
class MethodSpec:
    """A method or variant with its hyper-parameters, without its class, which is loaded when it is needed.

    Attributes:
        name: as in the records: "cocuring", "recot:no-tlr", or "file.Class" for a user's file.
        target: "module:Class", or "path/to/file.py:Class".
        variant: the variant's name, or "".
        values: hyper-parameters as plain data, with the variant's changes.
        needs: what it needs of a protocol, with the variant's changes.
        digest: `method_source.source_digest` of the method's code when it was looked up.
        unstated: names of the hyper-parameters that neither the paper nor the authors' code states.
    """

    name: str
    target: str
    variant: str
    values: Mapping[str, Any]
    needs: frozenset[str]
    digest: str
    unstated: tuple[str, ...] = ()

    @property
    def params(self) -> Any:
        """The frozen dataclass of its hyper-parameters; loads the class, and with it torch."""
        return _params(self.name, self.load(), self.variant)

    def load(self) -> type[Method]:
        """The method's class.

        Raises:
            BadInput: its code no longer has the digest, so that a mean over trials would mix two versions of it.
        """
        cls = load_class(self.target)
        if {_loaded_digest(self.target), _digest_on_disk(self.target)} != {self.digest}:
            raise BadInput(
                f"{self.name}: its code has changed since the run began (edited, or this machine has another version): "
                "start the run again to train the present code"
            )
        return cls

    @property
    def is_own(self) -> bool:
        """Whether it is a method of this package, and not of a user's file or of another package."""
        return self.target.startswith(OWN)

    @property
    def base(self) -> str:
        """The name without the variant; random streams are keyed by it, so that all variants draw the same."""
        return self.name.removesuffix(f":{self.variant}") if self.variant else self.name

    @property
    def teacher(self) -> str:
        """The method whose probabilities it learns from, or an empty string."""
        return next((need.removeprefix(TEACHER) for need in sorted(self.needs) if need.startswith(TEACHER)), "")

    def params_as_json(self) -> dict[str, Any]:
        """Hyper-parameters as plain data."""
        return dict(self.values)

    def missing(self, protocol: Protocol, offers: frozenset[str] | None = None) -> str:
        """Why the method is not applicable to a protocol, or an empty string.

        Args:
            protocol: the protocol.
            offers: what the data at hand offer; None: what the protocol says it offers.
        """
        reason = lacking(self.needs, protocol, protocol.offers if offers is None else offers)
        if not self.teacher or reason:
            return reason
        teacher = find(self.teacher)
        why = "needs a teacher itself" if teacher.teacher else teacher.missing(protocol, offers)
        return f"needs the teacher {self.teacher}, which {why}" if why else ""


def lacking(needs: frozenset[str], protocol: Protocol, offers: frozenset[str]) -> str:
    """What a method needs that a protocol lacks whose data offer this, as "needs …"; an empty string for nothing."""
    kinds = needs & {"single", "multi"}
    if protocol.kind not in kinds:
        return f"needs {'one label a face' if 'single' in kinds else 'action unit labels'}"
    words = {
        "verified": "verified rows",
        "noise_rate": "a known noise rate",
        "transition": "known shares of wrong labels by class",
        "votes": "the votes of several annotators for each face",
        "annotators": "who gave each face which label (finishedResponses.csv of CREMA-D)",
        "aux": "auxiliary AU labels (OpenFace output under openface/)",
    }
    missing = sorted(need for need in needs - kinds - offers if not need.startswith(TEACHER))
    return f"needs {', '.join(words.get(need, need) for need in missing)}" if missing else ""


def names() -> dict[str, str]:
    """Names without variants and their targets, those of other packages' entry points included."""
    others = {point.name.replace("-", "_"): point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**others, **METHODS}


def find(name: str) -> MethodSpec:
    """The method of a name ("cocuring", "cocuring:no-relabel") or of a file ("path/to/file.py:Class").

    Raises:
        BadInput: no such method, variant or file; a file that cannot be imported; a class that is no complete method.
    """
    if ".py" in name:
        return _from_file(name)
    typed, _, variant = name.partition(":")
    base = typed.replace("-", "_")
    known = names()
    if base not in known:
        raise unknown("method", name, known)
    return _specification(f"{base}:{variant}" if variant else base, known[base], variant)


def find_each(names: Iterable[str]) -> list[MethodSpec]:
    """The methods of some names; BadInput also where two files give one name, since one would replace the other."""
    found = [find(name) for name in names]
    for method in found:
        for other in found:
            if other.name == method.name and other.target != method.target:
                files = f"{method.target.rpartition(':')[0]} and {other.target.rpartition(':')[0]}"
                raise BadInput(f"--method: {files} both give {method.name}; rename one of the files or classes")
    return found


def all_base() -> Iterator[MethodSpec]:
    """Every method without its variants, in the registry's order."""
    for name, target in names().items():
        yield _specification(name, target, "")


def _specification(name: str, target: str, variant: str) -> MethodSpec:
    digest = _loaded_digest(target)
    return replace(_of_files(name, target, variant, digest, (*file_hashes(target), _digest_of_rules())))


@functools.lru_cache(maxsize=512)
def _of_files(name: str, target: str, variant: str, digest: str, files: tuple[str, ...]) -> MethodSpec:
    """The specification of a method or variant; its class is loaded unless these very files were described before."""
    key = {"method": target, "variant": variant, "files": list(files)}
    found = lookup(key)
    if found is None:
        found = _describe(name, target, variant)
        store(key, found)
    needs, unstated = frozenset(found["needs"]), tuple(found["unstated"])
    return MethodSpec(name, target, variant, found["values"], needs, digest, unstated)


def _describe(name: str, target: str, variant: str) -> dict[str, Any]:
    """Hyper-parameters, needs and unstated values of a method as plain data; BadInput where it is not complete."""
    cls = load_class(target)
    if variant and variant not in cls.variants:
        raise unknown(f"variant of {name.removesuffix(f':{variant}')}", variant, cls.variants)
    needs = frozenset(cls.needs)
    if variant:
        needs = (needs - cls.variants[variant].without) | cls.variants[variant].needs
    params = _params(name, cls, variant)
    try:
        values = json.loads(canonical_json(asdict(params)))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}: a hyper-parameter cannot be written as JSON ({error}); use plain values") from error
    unstated = [f.name for f in fields(params) if "unstated" in f.metadata.get("source", "unstated")]
    return {"values": values, "needs": sorted(needs), "unstated": unstated}


@functools.cache
def _digest_of_rules() -> str:
    """Of the code that describes methods, so that what another version of it found is not used."""
    own = Path(__file__)
    rules = (
        own,
        own.with_name("method_check.py"),
        own.parent / "isolation" / "imports.py",
        own.parents[1] / "methods" / "base.py",
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in rules)).hexdigest()


def _params(name: str, cls: type[Method], variant: str) -> Any:
    """The hyper-parameters of a method with the changes of a variant, if any."""
    changes = dict(cls.variants[variant].params) if variant else {}
    with as_bad_input(f"{name}: its hyper-parameters, {cls.__name__}.Params, raise", "give them values they accept"):
        return replace(cls.Params(), **changes) if changes else cls.Params()


def _loaded_digest(target: str) -> str:
    """Digest of the code that would train: as it was imported where it has been, else as it is on disk now."""
    module = target.rpartition(":")[0]
    return _import(module)[1] if module in sys.modules else _digest_on_disk(target)


def _digest_on_disk(target: str) -> str:
    place = target.rpartition(":")[0]
    if place.endswith(".py") and not Path(place).is_file():
        raise BadInput(f"--method {place}: no such file")
    with import_errors(place):
        return source_digest(target)


def _from_file(name: str) -> MethodSpec:
    path, _, rest = name.rpartition(".py")
    file = Path(f"{path}.py")
    if not rest.startswith(":") or not rest[1:]:
        raise BadInput(f"--method {name}: add the name of the class, as in {file}:MyMethod")
    class_name, _, variant = rest[1:].partition(":")
    if not name.isprintable():
        raise BadInput(f"--method {name}: control characters, or bytes that are not UTF-8, in the path; rename it")
    full = f"{file.stem}.{class_name}" + (f":{variant}" if variant else "")
    return _specification(full, f"{file.resolve()}:{class_name}", variant)


def load_class(target: str) -> type[Method]:
    """The class of "module:Class" or "path/to/file.py:Class"; BadInput where it is not a complete method."""
    try:
        with doing("loading PyTorch"):
            from ..methods.base import Method
    except ModuleNotFoundError as error:  # as after `pip install --no-deps`
        raise BadInput(f"methods need {error.name}, which is not installed here: pip install {error.name}") from error
    from .method_check import check_class

    place, _, class_name = target.rpartition(":")
    module = _load_file(Path(place)) if place.endswith(".py") else _import(place)[0]
    cls = getattr(module, class_name, None)
    if cls is None:
        items = vars(module).items()
        classes = [name for name, item in items if isinstance(item, type) and issubclass(item, Method)]
        raise unknown(f"class in {place}", class_name, [name for name in classes if name != "Method"] or ["no method"])
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise BadInput(f"{place}: {class_name} is not a Method; derive it from fernoise_bench.methods.base.Method")
    check_class(place, class_name, cls)
    return cls


@functools.cache
def _import(name: str) -> tuple[Any, str]:
    """A method's module, and the digest of its code as it was imported."""
    with import_errors(name), contextlib.nullcontext() if name.startswith(OWN) else _importing(name, f"{name}:"):
        module = importlib.import_module(name)
    return module, source_digest(f"{name}:")


def _load_file(path: Path) -> Any:
    digest = _digest_on_disk(f"{path}:")
    with import_errors(str(path)):
        module, beside = _execute(path, digest)
        _open_home(path)  # it may import while it trains, when another file has imported modules of the same names
        sys.modules.update(beside)
        return module


def _open_home(path: Path) -> None:
    """Lets a user's file import the modules beside it, as a script can, and none that was imported before."""
    for name in _modules_beside(path):
        sys.modules.pop(name, None)  # an earlier version, or a module of the same name in another folder
    folder = str(path.parent)
    sys.path[:] = [folder, *(place for place in sys.path if place != folder)]


@functools.cache
def _execute(path: Path, digest: str) -> tuple[Any, Mapping[str, Any]]:
    """Runs a user's file as a module; returns it, and by name the modules beside it that it imported."""
    specification = importlib.util.spec_from_file_location(f"fernoise_user_{path.stem}_{digest[:8]}", path)
    if specification is None or specification.loader is None:
        raise BadInput(f"--method {path}: not a Python file; write path/to/file.py:Class")
    module = importlib.util.module_from_spec(specification)
    _open_home(path)
    sys.modules[module.__name__] = module  # dataclasses and inspect look for it there
    try:
        with _importing(f"--method {path}", f"{path}:"):
            specification.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(module.__name__, None)
        raise
    return module, {name: sys.modules[name] for name in _modules_beside(path) if name in sys.modules}


def _importing(place: str, target: str) -> contextlib.AbstractContextManager[None]:
    return importing(place, {str(path) for path in source_files(target)})


def _modules_beside(path: Path) -> list[str]:
    """The names under which a user's file imports the modules beside it, and those of the packages they are in."""
    files = [file for file in source_files(f"{path}:")[1:] if file.is_relative_to(path.parent)]
    places = [file.parent if file.name == "__init__.py" else file.with_suffix("") for file in files]
    inside = [place.relative_to(path.parent).parts for place in places]
    return list(dict.fromkeys(".".join(parts[:depth]) for parts in inside for depth in range(1, len(parts) + 1)))

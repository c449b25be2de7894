"""Every method by name, loaded when used; methods from outside by entry point or by file."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..protocols.base import Protocol
from ..protocols.errors import BadInput, unknown
from ..results.store import canonical_json

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
    "decoupling": "fernoise_bench.baselines.decoupling:Decoupling",
    "deep_co_training": "fernoise_bench.baselines.deep_co_training:DeepCoTraining",
    "distillation": "fernoise_bench.baselines.distillation:Distillation",
    "dividemix": "fernoise_bench.baselines.dividemix:DivideMix",
    "eac": "fernoise_bench.baselines.eac:EAC",
    "elr": "fernoise_bench.baselines.elr:ELR",
    "ensemble": "fernoise_bench.baselines.ensemble:Ensemble",
    "equal_compute": "fernoise_bench.baselines.equal_compute:EqualCompute",
    "frequency_weighting": "fernoise_bench.baselines.frequency_weighting:FrequencyWeighting",
    "gce": "fernoise_bench.baselines.gce:GCE",
    "jocor": "fernoise_bench.baselines.jocor:JoCoR",
    "jocor_multi": "fernoise_bench.baselines.jocor_multi:JoCoRMulti",
    "label_smoothing": "fernoise_bench.baselines.label_smoothing:LabelSmoothing",
    "mean_teacher": "fernoise_bench.baselines.mean_teacher:MeanTeacher",
    "mixup": "fernoise_bench.baselines.mixup:Mixup",
    "mlcr": "fernoise_bench.methods.mlcr:MLCR",
    "nct": "fernoise_bench.baselines.nct:NCT",
    "noise_regularization": "fernoise_bench.baselines.noise_regularization:NoiseRegularization",
    "recot": "fernoise_bench.methods.recot:ReCoT",
    "rhls": "fernoise_bench.methods.rhls:RHLS",
    "rul": "fernoise_bench.baselines.rul:RUL",
    "sce": "fernoise_bench.baselines.sce:SCE",
    "scn": "fernoise_bench.baselines.scn:SCN",
    "supervised": "fernoise_bench.baselines.supervised:Supervised",
    "ulc_ag": "fernoise_bench.methods.ulc_ag:ULCAG",
}
ENTRY_POINTS = "fernoise_bench.methods"
TEACHER = "teacher:"


@dataclass(frozen=True)
class MethodSpec:
    """A method as a run names it.

    Attributes:
        name: as the records keep it: "cocuring", "recot:no-tlr", or "file.Class" for a user's file.
        target: "module:Class", or "path/to/file.py:Class".
        variant: the variant's name, or "".
        params: the frozen dataclass of its hyper-parameters, the variant's changes made.
        needs: what it needs of a protocol, with the variant's changes made.
        digest: of the method's source (comments and docstrings do not count).
    """

    name: str
    target: str
    variant: str
    params: Any
    needs: frozenset[str]
    digest: str

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to a worker by name: a user's file is loaded there, since its classes cannot be imported by name."""
        return _specification, (self.name, self.target, self.variant)

    def load(self) -> type[Method]:
        """The method's class."""
        return load_class(self.target)

    @property
    def base(self) -> str:
        """The name without the variant: what a method draws is keyed by it, so that its variants draw the same."""
        return self.name.removesuffix(f":{self.variant}") if self.variant else self.name

    @property
    def teacher(self) -> str:
        """The method whose probabilities it learns from, or an empty string."""
        return next((need.removeprefix(TEACHER) for need in sorted(self.needs) if need.startswith(TEACHER)), "")

    def params_as_json(self) -> dict[str, Any]:
        """Hyper-parameters as plain data."""
        return asdict(self.params)

    @property
    def unstated(self) -> tuple[str, ...]:
        """Hyper-parameters no paper and no authors' code states."""
        return tuple(f.name for f in fields(self.params) if "unstated" in f.metadata.get("source", "unstated"))

    def missing(self, protocol: Protocol, offers: frozenset[str] | None = None) -> str:
        """Why the method is not applicable to a protocol, or an empty string.

        Args:
            protocol: the protocol.
            offers: what its data offer, where they are open; None: what the protocol promises.
        """
        reason = lacking(self.needs, protocol, protocol.offers if offers is None else offers)
        if not self.teacher or reason:
            return reason
        teacher = find(self.teacher)
        why = "needs a teacher itself" if teacher.teacher else teacher.missing(protocol, offers)
        return f"needs the teacher {self.teacher}, which {why}" if why else ""


def lacking(needs: frozenset[str], protocol: Protocol, offers: frozenset[str]) -> str:
    """What a protocol whose data offer this lacks of a method's needs, in words; an empty string for nothing."""
    kinds = needs & {"single", "multi"}
    if protocol.kind not in kinds:
        return f"needs {'one label a face' if 'single' in kinds else 'action unit labels'}"
    words = {
        "verified": "verified rows",
        "noise_rate": "a known noise rate",
        "aux": "auxiliary AU labels (OpenFace output under openface/)",
    }
    missing = sorted(need for need in needs - kinds - offers if not need.startswith(TEACHER))
    return f"needs {', '.join(words.get(need, need) for need in missing)}" if missing else ""


def names() -> dict[str, str]:
    """Base names and their targets, outsiders' entry points included."""
    outside = {point.name.replace("-", "_"): point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**outside, **METHODS}


def find(name: str) -> MethodSpec:
    """The method of a name ("cocuring", "cocuring:no-relabel") or of a file ("path/to/file.py:Class").

    Raises:
        BadInput: no such method, variant or file; a file that does not import; a class that is no complete method.
    """
    if ".py" in name:
        return _from_file(name)
    typed, _, variant = name.partition(":")
    base = typed.replace("-", "_")
    known = names()
    if base not in known:
        raise unknown("method", name, known)
    return _specification(f"{base}:{variant}" if variant else base, known[base], variant)


def all_base() -> Iterator[MethodSpec]:
    """Every base name, in the registry's order."""
    for name, target in names().items():
        yield _specification(name, target, "")


def _specification(name: str, target: str, variant: str) -> MethodSpec:
    cls = load_class(target)
    if variant and variant not in cls.variants:
        raise unknown(f"variant of {name.removesuffix(f':{variant}')}", variant, cls.variants)
    needs, changes = frozenset(cls.needs), {}
    if variant:
        chosen = cls.variants[variant]
        needs, changes = (needs - chosen.without) | chosen.needs, dict(chosen.params)
    with _blamed(f"{name}: its hyper-parameters, {cls.__name__}.Params, raise", "give them values they accept"):
        params = replace(cls.Params(), **changes) if changes else cls.Params()
    try:
        canonical_json(asdict(params))
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{name}: a hyper-parameter cannot be written down as JSON ({error}); use plain values"
        ) from error
    return MethodSpec(name, target, variant, params, needs, _digest(cls))


def _from_file(name: str) -> MethodSpec:
    path, _, rest = name.rpartition(".py")
    file = Path(f"{path}.py")
    if not rest.startswith(":") or not rest[1:]:
        raise BadInput(f"--method {name}: name the class too, as in {file}:MyMethod")
    class_name, _, variant = rest[1:].partition(":")
    if not name.isprintable():
        raise BadInput(f"--method {name}: control characters in the name; rename the file")
    full = f"{file.stem}.{class_name}" + (f":{variant}" if variant else "")
    return _specification(full, f"{file.resolve()}:{class_name}", variant)


def load_class(target: str) -> type[Method]:
    """The class of "module:Class" or "path/to/file.py:Class"; BadInput where it is no complete method."""
    from ..methods.base import Method
    from .method_class import check_class

    place, _, class_name = target.rpartition(":")
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    cls = getattr(module, class_name, None)
    if cls is None:
        items = vars(module).items()
        classes = [name for name, item in items if isinstance(item, type) and issubclass(item, Method)]
        raise unknown(f"class in {place}", class_name, [name for name in classes if name != "Method"] or ["no method"])
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise BadInput(f"{place}: {class_name} is not a Method; derive it from fernoise_bench.methods.base.Method")
    check_class(place, class_name, cls)
    return cls


def _load_module(name: str) -> Any:
    with _blamed(f"{name}, a method's module, does not import:", "repair or uninstall the package it comes with"):
        return importlib.import_module(name)


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"--method {path}: no such file")
    name = f"fernoise_user_{path.stem}_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise BadInput(f"--method {path}: not a Python file; give path/to/file.py:Class")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where dataclasses and inspect look for it
    try:
        with _blamed(f"--method {path}: does not import:", f"to see where: python {path}"):
            specification.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextlib.contextmanager
def _blamed(what: str, remedy: str) -> Iterator[None]:
    """One line for whatever a user's code raises, leaving the program included; Ctrl-C is the user's own."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        told = f"{what} {type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(f"{told}; {remedy}") from error


def _digest(cls: type[Method]) -> str:
    """First 16 hex digits of the SHA-256 of the syntax trees of a class's file and of the methods' it derives from.

    Comments, docstrings and the source texts of hyper-parameters do not count.
    """
    from ..methods.base import Method

    owners = [owner for owner in cls.__mro__ if issubclass(owner, Method) and owner is not Method]
    try:
        files = dict.fromkeys(Path(inspect.getfile(owner)) for owner in owners)
    except (TypeError, OSError) as error:
        raise BadInput(f"{cls.__name__}: its source cannot be found ({error}); define it in a file") from error
    return hashlib.sha256("".join(map(_code_of, files)).encode()).hexdigest()[:16]


def _code_of(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sourced":
            del node.args[1:]
    return repr(_plain(tree))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _plain(node: Any) -> Any:
    """A syntax tree as nested tuples that do not depend on the Python version: empty fields are left out."""
    if isinstance(node, ast.AST):
        parts = ((name, _plain(value)) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return (type(node).__name__, *parts)
    if isinstance(node, list):
        return tuple(_plain(item) for item in node)
    return node

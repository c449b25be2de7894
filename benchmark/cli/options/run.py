"""The options of `run` and `plan`, and their help in groups."""

from __future__ import annotations

from typing import Any

import click

from ...engines.options import ENGINES, RETRIES, EngineOptions
from ...settings import KEPT_EPOCHS
from .common import DATA_ROOT, DEVICE, PROFILE, RESULTS_FOLDER, add_options, separated

grid_options = add_options(
    click.option("--protocol", metavar="NAME|FILE.toml",
                 help="Protocol to run: a name that `fernoise-bench list` prints, or a TOML file of your own."),
    click.option("--table", metavar="ID",
                 help="Run the trials that a paper's table (as recot-4) lacks; the options below select among them."),
    click.option("--method", "methods", multiple=True, metavar="NAME", callback=separated,
                 help="Run a method: NAME, NAME:VARIANT or file.py:Class. Can be repeated, or several with commas."),
    click.option("--all-methods", is_flag=True, help="Run every method that is applicable to the protocol."),
    click.option("--without", multiple=True, metavar="NAME", callback=separated,
                 help="Leave a method out of --all-methods or --table. Can be repeated, or several with commas."),
    click.option("--noise", default="", metavar="RATES",
                 help="Noise levels, as in 0.2,0.4. Default: every level of the protocol."),
    click.option("--fold", "folds", multiple=True, metavar="NAME",
                 help="Run one fold, by name or number. Can be repeated. Default: every fold."),
    click.option("--seeds", type=int, metavar="N",
                 help="Run seeds 0 to N-1. Default: the paper's number of runs, or 3; 1 at the smoke profile."),
    PROFILE,
    click.option("--synthetic", is_flag=True, help="Use generated faces instead of a licensed data set."),
    DATA_ROOT,
    click.option("--partial", is_flag=True, help="Accept data that differ from the published set; tables say so."),
    DEVICE,
    click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16"]), default="fp32", show_default=True,
                 help="Arithmetic inside the encoders; different precisions are never compared in one table."),
    click.option("--compile", "compiled", is_flag=True,
                 help="Compile the encoders by torch.compile, for large ones on a GPU; such results are never compared "
                 "with others in one table."),
    click.option("--weights", metavar="WORD|FILE",
                 help="Initial weights: none, imagenet, msceleb, vggface2 or a checkpoint. Default: the recipe's."),
    click.option("--keep-weights", type=click.Choice(KEPT_EPOCHS),
                 help="Keep each trial's weights in its folder, of the last epoch or of the best on validation rows; "
                 "predict and export read them."),
    click.option("--recipe", type=click.Choice(["protocol", "native"]), default="protocol", show_default=True,
                 help="Train every method by the protocol's recipe, or each by that of its own paper (native); results "
                 "of the two are never compared in one table."),
    click.option("--noise-salt", default="", metavar="TEXT",
                 help="Key the drawn label noise by a text too, not by the seed alone, so that no method can draw it "
                 "again; random makes one. Records keep it; results of two salts are never compared in one table."),
    RESULTS_FOLDER,
)  # fmt: skip

engine_options = add_options(
    click.option("--engine", type=click.Choice(ENGINES),
                 help="Run trials in this process, in a pool of processes (local), or on a cluster. Default: local for "
                 "several workers and trials, else inline."),
    click.option("--workers", type=click.IntRange(min=1),
                 help="Number of worker processes. Default: one for each CPU core, or what the GPUs have room for."),
    click.option("--gpus-per-trial", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE", show_default=True,
                 help="ray, slurm: share of a GPU for each trial, as in 0.25."),
    click.option("--address", metavar="ADDRESS",
                 help="ray: address of a running cluster, as in host:6379, or auto. Default: start one here."),
    click.option("--retries", type=click.IntRange(min=0), metavar="N",
                 help=f"ray: how often to try a trial again whose worker or machine died. Default: {RETRIES}."),
    click.option("--partition", metavar="NAME", help="slurm: partition. Default: the cluster's own."),
    click.option("--time", metavar="TIME", help="slurm: time limit of a job, as in 4:00:00. Default: one hour."),
    click.option("--slurm", "sbatch", multiple=True, metavar="NAME=VALUE",
                 help="slurm: another option of sbatch. Can be repeated."),
)  # fmt: skip

GROUPS = (
    ("What to run", ("protocol", "table", "methods", "all_methods", "without", "noise", "folds", "seeds", "profile")),
    ("Data and results", ("synthetic", "data_root", "partial", "noise_salt", "out")),
    ("Training", ("device", "precision", "compiled", "weights", "keep_weights", "recipe")),
    ("Engine", ("engine", "workers", "gpus_per_trial", "address", "retries", "partition", "time", "sbatch")),
    ("All tables", ("all_tables", "gpus", "gpu")),
)


class GroupedCommand(click.Command):
    """A command whose help lists its options under GROUPS, those of no group last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options into the help."""
        texts = {parameter.name or "": parameter.get_help_record(ctx) for parameter in self.get_params(ctx)}
        others = tuple(name for name in texts if not any(name in names for _, names in GROUPS))
        for title, names in (*GROUPS, ("Other options", others)):
            if rows := [text for name in names if (text := texts.get(name))]:
                with formatter.section(title):
                    formatter.write_dl(rows)


def take_engine_options(options: dict[str, Any]) -> EngineOptions:
    """Moves the engine options out of a command's options, and sets the device; BadInput for contradictions."""
    engine = EngineOptions(**{name: options.pop(name) for name in EngineOptions.__dataclass_fields__})
    options["device"] = engine.device(options["device"])
    options["device_here"] = not engine.on_cluster
    return engine

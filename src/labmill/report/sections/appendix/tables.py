"""Tables of every class, seed, epoch, layer and setting, and of the environment."""

from collections import Counter

from labmill.evaluation.records import Metrics
from labmill.profiling.records import Measurement
from labmill.report.number_format import format_of
from labmill.report.results import StudyResults
from labmill.report.sections.results.tables import SCORES
from labmill.report.sections.variants.tables import recipes, shared, words
from labmill.report.table import Table
from labmill.report.text import listed, quoted, setting, spaced
from labmill.study.metrics import metric
from labmill.training.records import ModelDescription


def environment(results: StudyResults) -> Table | None:
    """Versions, machine and seeds behind the numbers."""
    own = own_code(results)
    for variant in results.variants:
        if description := results.first(variant, ModelDescription):
            made = description.provenance
            machine = made.machine
            rows = [
                ["Processor", f"{machine['processor']}, {machine['cores']} cores"],
                ["System", f"{machine['system']}, Python {machine['python']}"],
                ["Device of training", description.training.device],
                ["Threads per training", threads(results)],
                *([name, found] for name, found in made.versions.items()),
                *([["The author's own code", own]] if own else []),
                ["Seeds", setting(results.study["seeds"])],
                split_seeds(results),
                ["Summary's fingerprint", results.summary["provenance"]["fingerprint"]],
            ]
            return Table(["What", "Value"], rows, "Environment of the runs.", "ll")
    return None


def split_seeds(results: StudyResults) -> list[str]:
    """Return the row of the split's seed, or of one per seed of the runs."""
    data = results.study["data"]
    if several := data.get("split_seeds"):
        return ["Seeds of the splits", setting(several)]
    return ["Seed of the split", setting(data["split_seed"])]


def own_code(results: StudyResults) -> str:
    """Return the files of the author's own code, with their fingerprints."""
    read = [run.read(kind) for run in results.rows for kind in JOBS]
    codes = [found.provenance.code for found in read if found]
    files = {
        f"{name.removeprefix('own.').replace('.', '/')}.py ({code})"
        for code_of in (results.summary["provenance"]["code"], *codes)
        for name, code in code_of.items()
        if name.startswith("own.")
    }
    return ", ".join(sorted(files))


def threads(results: StudyResults) -> str:
    """How many threads the trainings had; of which variants, where they differ."""
    found: dict[int, list[str]] = {}
    for variant, label in results.variants.items():
        for run in results.sound(variant):
            if description := run.read(ModelDescription):
                labels = found.setdefault(description.training.threads, [])
                labels += [] if label in labels else [label]
    if len(found) < 2:
        return setting(next(iter(found), None))
    return "; ".join(
        f"{number} ({listed(map(quoted, labels), most=len(labels))})"
        for number, labels in sorted(found.items())
    )


def settings(results: StudyResults) -> Table | None:
    """Every setting that all variants share."""
    known = recipes(results)
    rows = [[words(key), setting(value)] for key, value in shared(known).items()]
    whose = "that variants share" if len(known) > 1 else "of the network"
    return Table(["Setting", "Value"], rows, f"All settings {whose}.", "ll")


def classes(results: StudyResults, figure: str = "class_accuracy") -> Table | None:
    """Test accuracy by class: means over seeds."""
    rows = [
        [
            name,
            *(
                format_of("accuracy")(m.estimate)
                if (m := results.mean(variant, f"{figure}.{name}"))
                else "–"
                for variant in results.variants
            ),
        ]
        for name in results.classes
    ]
    return Table(
        ["Class", *results.variants.values()],
        rows,
        "Test accuracy by class: share of a class's "
        f"{results.things} that are recognised.",
    )


def seeds(results: StudyResults) -> Table:
    """One row per run."""
    known = ("test_accuracy", *SCORES, "train_seconds")
    runs = [row for by_seed in results.runs.values() for row in by_seed.values()]
    columns = [c for c in known if any(row.value(c) is not None for row in runs)]
    rows = [
        [
            row.cells["label"],
            row.seed,
            spaced(row.cells["status"]),
            *(format_of(c)(row.value(c)) for c in columns),
        ]
        for row in runs
    ]
    return Table(
        ["Variant", "Seed", "Training", *(metric(c).title for c in columns)],
        rows,
        "Every run.",
        "lrl" + "r" * len(columns),
    )


def slurm(results: StudyResults) -> Table | None:
    """Return what SLURM gave the jobs; None where none ran there."""
    counts: Counter[tuple[str, ...]] = Counter()
    keys = ("partition", "cpus", "memory_mb", "gpus", "account", "qos")
    for run in results.rows:
        for kind, job in JOBS.items():
            if (found := run.read(kind)) and (given := found.provenance.slurm):
                counts[job, *(given.get(key, "–") for key in keys)] += 1
    if not counts:
        return None
    return Table(
        ["Jobs", "Partition", "CPUs", "Memory (MB)", "GPUs", "Account", "QOS", "n"],
        [[*given, n] for given, n in counts.items()],
        "Resources that SLURM gave the jobs.",
        "llrrrllr",
    )


# A stage's record → the job that wrote it.
JOBS: dict[type[ModelDescription | Metrics | Measurement], str] = {
    ModelDescription: "training",
    Metrics: "evaluation",
    Measurement: "measurement",
}

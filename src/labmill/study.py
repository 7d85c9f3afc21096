"""The study file's schema, and the only home of defaults. Imports neither torch nor numpy.

One class per section. `docs/options.md` is generated from the descriptions here.
Mappings define, lists select: an overlay (`laptop:`, `smoke:`) merges mappings and
replaces lists.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list in which nothing stands twice: a seed run twice is no second run."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{value!r} is listed twice")
    return values


Unique = AfterValidator(unique)

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Epoch = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*$")]
Names = Annotated[tuple[Name, ...], Field(min_length=1), Unique]
# One variant may stand at several places of a comparison: against several others.
Places = Annotated[tuple[Name, ...], Field(min_length=1)]
Criterion = Literal["squares", "l1", "batchnorm", "taylor", "random"]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Unique]
Texts = Annotated[tuple[str, ...], Unique]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Section(BaseModel):
    """A part of the study file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


class Author(Section):
    """Who hands the report in; shown on its first page."""

    name: str | None = Field(None, description="Your name.")
    roll_number: str | None = Field(None, description="Roll or matriculation number.")
    course: str | None = Field(None, description="Course, term, assignment.")


class MeanStd(Section):
    """Normalisation by declared numbers, per channel, in 0..1."""

    mean: tuple[float, ...] = Field(description="Mean per channel.")
    std: tuple[Positive, ...] = Field(description="Standard deviation per channel.")


class Data(Section):
    """Which images, which classes, and how they are split. One split per study."""

    dataset: Name = Field("digits", description="A file in `labmill/data/`.")
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the dataset, such as `path` of an `image_folder`.",
    )
    classes: tuple[str | int, ...] | None = Field(
        None, description="Classes kept, by name or index; relabelled in this order."
    )
    roll_number: str | None = Field(
        None, description="Odd last digit keeps the even classes, even the odd ones."
    )
    validation: Share | Count = Field(
        0.1, description="Share of the training images, or images per class."
    )
    test: Share | Count = Field(
        0.2, description="The same, where the dataset has no official test part."
    )
    unlabelled: Share | Count | None = Field(
        None,
        description="Training images whose labels are discarded: share, or number in total.",
    )
    limit: Count | None = Field(
        None, description="At most that many training images in all, balanced."
    )
    test_limit: Count | None = Field(
        None, description="At most that many test images, balanced."
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Seed of the split; independent of the runs' seeds."
    )
    normalisation: Literal["dataset", "half", "none"] | MeanStd = Field(
        "dataset",
        description="`dataset`: its own mean and deviation; `half`: 0.5 and 0.5; or numbers.",
    )


def flat_model(value: Any) -> Any:
    """Accept `{name: vit, dim: 8}` beside `{name: vit, arguments: {dim: 8}}`."""
    if isinstance(value, str):
        return {"name": value, "arguments": {}}
    if isinstance(value, dict) and "arguments" not in value:
        arguments = {key: item for key, item in value.items() if key != "name"}
        return {"name": value.get("name"), "arguments": arguments}
    return value


class Model(Section):
    """A network: a file in `labmill/models/` and arguments of its `build`.

    Written flat: `{name: vit, dim: 8, heads: 8}`.
    """

    name: Name = Field(description="A file in `labmill/models/`.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Every other key: arguments of `build`."
    )


class Augmentation(Section):
    """Random changes of training images, drawn per (seed, epoch, image)."""

    crop: Annotated[int, Field(ge=0)] = Field(
        0, description="Pad by that many pixels, crop back at random."
    )
    flip: bool = Field(False, description="Mirror left-right with probability 1/2.")
    brightness: Fraction = Field(0.0, description="Largest relative change.")
    contrast: Fraction = Field(0.0, description="Largest relative change.")
    rotate90: bool = Field(False, description="Rotate by 0, 90, 180 or 270 degrees.")
    cutout: Annotated[int, Field(ge=0)] = Field(
        0, description="Side of a square set to black, in pixels."
    )


class Schedule(Section):
    """The learning rate over the run; `learning_rate` is its peak."""

    kind: Literal["constant", "cosine", "step", "one_cycle"] = Field(
        "constant",
        description="`one_cycle`: linear up, linear down; `cosine`: down to `final`.",
    )
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Linear rise from 0; for `one_cycle` the rise's length."
    )
    step_epochs: Count = Field(10, description="`step`: epochs between two falls.")
    gamma: Share = Field(0.1, description="`step`: factor of each fall.")
    final: Fraction = Field(
        0.0, description="`cosine`, `one_cycle`: last share of peak."
    )


class Until(Section):
    """Train until a target is reached."""

    train_accuracy: Share = Field(
        description="Accuracy over an epoch's training images."
    )
    max_epochs: Count = Field(description="Give up after that many epochs.")


class Patience(Section):
    """When validation no longer gains."""

    patience: Count = Field(5, description="Epochs without a gain before stopping.")
    tolerance: Annotated[float, Field(ge=0)] = Field(
        0.0, description="A smaller gain of the watched figure does not count."
    )


class Training(Section):
    """How a network is trained. Also used, as a delta, for fine-tuning."""

    epochs: Annotated[int, Field(ge=0)] = Field(10, description="Passes over the data.")
    batch_size: Count = Field(
        32, description="Images per step; a short last batch is kept."
    )
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = Field(
        "adam", description="`muon`: matrices by Muon, the rest by AdamW."
    )
    learning_rate: Positive = Field(1e-3, description="Peak learning rate.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.9, description="Of `sgd` and `muon`."
    )
    nesterov: bool = Field(False, description="Of `sgd`.")
    betas: tuple[Fraction, Fraction] = Field(
        (0.9, 0.999), description="Of `adam` and `adamw`."
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="L2 for `sgd` and `adam`, decoupled for `adamw` and `muon`."
    )
    schedule: Schedule = Field(
        default_factory=Schedule, description="Learning rate over time."
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of probability spread over all classes."
    )
    gradient_clip: Positive | None = Field(None, description="Largest gradient norm.")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Decay per step of averaged weights, which are then the result.",
    )
    initialisation: Literal[
        "default",
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
    ] = Field(
        "default",
        description="Of matrices and kernels; other than `default` zeroes biases.",
    )
    augmentation: Augmentation | Literal["dataset"] = Field(
        default_factory=Augmentation,
        description="Random changes of training images; `dataset`: what suits it.",
    )
    labels: Count | None = Field(
        None, description="Label budget: train on the first n of the split, balanced."
    )
    until: Until | None = Field(None, description="Stop at a target.")
    converged: Patience | None = Field(
        None,
        description="Stop when validation loss no longer falls; keep the last weights.",
    )
    early_stopping: Patience | None = Field(
        None,
        description="Stop when validation accuracy no longer rises; keep the best weights.",
    )
    log_batches: Count | None = Field(
        None, description="Also record the loss every n batches."
    )
    evaluate_every: Count = Field(1, description="Epochs between two validations.")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        "auto",
        description="`auto`: bf16 where docs/performance.md shows it pays and costs nothing.",
    )
    compile: Literal["off", "step", "auto"] = Field(
        "auto",
        description="The whole step in one graph; `auto` decides from size and length.",
    )


class Start(Section):
    """What a variant's weights start from, instead of a random initialisation."""

    pretext: Name = Field(description="A name under `pretexts`.")
    freeze: bool = Field(False, description="Train the head only (a linear probe).")


class Choice(Section):
    """A setting found by a search instead of typed in."""

    search: Name = Field(description="A stage under `search`.")
    rank: Count = Field(1, description="1 is the selected point, 2 the next best …")


class Variant(Section):
    """A named difference from `defaults`: only what differs is written."""

    label: str | None = Field(None, description="Name in the report; default: the key.")
    model: dict[str, Any] = Field(
        default_factory=dict,
        description="Changes of `defaults.model`; another `name` drops its arguments.",
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Changes of `defaults.training`."
    )
    seeds: Seeds | None = Field(None, description="Seeds of this variant alone.")
    start: Start | None = Field(None, description="Begin from a pretext's weights.")
    chosen: Choice | None = Field(
        None,
        description="Begin from the settings that a search chose, then apply the changes.",
    )
    test_flip: bool = Field(
        False,
        description="Average the logits of each image and its mirror in evaluation.",
    )


class Defaults(Section):
    """What all variants share unless they say otherwise."""

    model: Annotated[Model, BeforeValidator(flat_model)] = Field(
        default_factory=lambda: Model(name="cnn"), description="The network."
    )
    training: Training = Field(default_factory=Training, description="The recipe.")


class Pretext(Section):
    """Training without labels; its weights feed any number of variants."""

    task: Literal["rotation"] = Field(
        "rotation", description="`rotation`: tell 0, 90, 180 and 270 degrees apart."
    )
    images: Literal["unlabelled", "train"] = Field(
        "unlabelled", description="Which part of the split it sees."
    )
    after: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Leave out the first n images of that part; of `train` those are the "
        "ones in the label budgets up to n.",
    )
    model: dict[str, Any] = Field(
        default_factory=dict, description="Changes of `defaults.model`."
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Changes of `defaults.training`."
    )
    seeds: Seeds | None = Field(None, description="Default: the study's seeds.")


class Select(Section):
    """How a search chooses. It sees validation figures only."""

    rule: Literal["best", "fastest", "knee"] = Field(
        "best",
        description="`best`: highest validation accuracy; `fastest`: least cost within "
        "`tolerance` of the best; `knee`: of the Pareto front.",
    )
    tolerance: Fraction = Field(
        0.01, description="`fastest`: accuracy given up at most."
    )
    cost: Literal["seconds", "operations", "parameters"] = Field(
        "operations", description="What `fastest` and `knee` spend."
    )


class Search(Section):
    """A grid over any settings of one variant."""

    variant: Name = Field(description="The variant whose settings are varied.")
    matrix: dict[str, Annotated[tuple[Any, ...], Field(min_length=1), Unique]] = Field(
        description="Setting (`model.dim`, `training.batch_size`) → values."
    )
    training: dict[str, Any] = Field(
        default_factory=dict,
        description="Changes for the search alone, such as `until`.",
    )
    seeds: Seeds = Field((0,), description="Seeds of every point.")
    select: Select = Field(
        default_factory=Select, description="How the choice is made."
    )


class Pruning(Section):
    """A loop of remove → measure → fine-tune → measure; each step is a job of its own."""

    variants: Names = Field(description="The variants that are pruned.")
    criterion: Criterion = Field(
        "squares", description="Predicted influence of a unit; the smallest goes first."
    )
    layers: Texts | None = Field(
        None, description="Layers to prune, in order; default: all prunable ones."
    )
    scope: Literal["each", "global", "in_turn"] = Field(
        "each",
        description="`each`: the same share of every layer; `global`: smallest anywhere; "
        "`in_turn`: one layer until `drop`, then the next.",
    )
    remove: Share | Count = Field(
        0.25, description="Per step: share of the units that are left, or their number."
    )
    steps: Count = Field(
        3, description="Number of steps; with `drop` or `macs` the most."
    )
    drop: Share | None = Field(
        None,
        description="Stop a layer when validation accuracy, before pruning → after "
        "fine-tuning, fell by more.",
    )
    macs: Share | None = Field(
        None, description="Stop when that share of the operations is left."
    )
    finetune: dict[str, Any] = Field(
        default_factory=lambda: {"epochs": 2},
        description="Changes of the variant's training.",
    )
    above: Share | None = Field(
        None,
        description="Choose the step of least operations whose validation accuracy is "
        "above that, and open the test set for it too.",
    )
    controls: Annotated[tuple[Literal["scratch", "longer"], ...], Unique] = Field(
        (),
        description="`scratch`: the last step's widths, trained anew; `longer`: the "
        "unpruned network, fine-tuned as long as all steps.",
    )
    measured: Literal["last", "every"] = Field(
        "last", description="The steps whose latency is measured, of the first seed."
    )


class Measure(Section):
    """What is measured of every network."""

    batches: Annotated[tuple[Count, ...], Field(min_length=1), Unique] = Field(
        (1, 32), description="Batch sizes for latency."
    )
    repeats: Count = Field(30, description="Timed calls per batch size.")
    profile: bool = Field(
        False, description="Also profile training steps, and show where the time goes."
    )
    convention: Literal["macs", "report3", "report5", "everything"] = Field(
        "macs", description="How operations are counted."
    )
    count_table: bool = Field(False, description="Show operations layer by layer.")


class Examine(Section):
    """Which transformers are looked into: what they attend to, what each layer knows."""

    variants: Names = Field(
        description="Variants with attention; the first seed's net is examined."
    )
    images: Count = Field(
        6, description="Validation images whose attention maps are kept."
    )
    distance_images: Count = Field(
        500, description="Validation images for the attention distance."
    )
    probe_images: Count = Field(
        5000,
        description="Training images that a linear probe of each layer is fitted to.",
    )


class Represent(Section):
    """Which networks' features are looked at: their map, neighbours, mixing weights."""

    variants: Names = Field(
        description="Variants and pretexts that read images; the first seed's net."
    )
    images: Count = Field(
        1000, description="Validation images whose features are kept, balanced."
    )
    queries: Count = Field(5, description="Images whose nearest neighbours are shown.")
    neighbours: Count = Field(7, description="Neighbours of each.")


class Influence(Section):
    """Remove every unit alone and measure; is that what criteria predict?"""

    variants: Names = Field(
        description="The variants whose units are tried; the first seed's net."
    )
    layers: Texts | None = Field(
        None, description="Layers whose units are tried; default: all prunable ones."
    )
    criteria: Annotated[tuple[Criterion, ...], Unique] = Field(
        ("squares", "l1", "taylor", "random"),
        description="Predictions to set beside it, as in `pruning`.",
    )


class Formulate(Section):
    """Time convolutions and dense layers written as matrix products."""

    variants: Names = Field(
        description="The variants that are timed; the first seed's net."
    )
    images: Count = Field(
        10_000, description="Images of one timed pass; training images, repeated."
    )
    batch_size: Count = Field(32, description="Images at a time.")
    repeats: Count = Field(3, description="Timed passes of each kind, in turns.")


class Lessons(Section):
    """Curves that teach: runs that go wrong on purpose, beside one that does not."""

    reference: Name = Field(description="The variant that the others differ from.")
    variants: Names = Field(description="The variants that go wrong.")


class Edits(Section):
    """Search for the smallest change of architecture that makes a variant faster."""

    variants: Names = Field(description="Variants with a layer description.")
    tolerance: Fraction = Field(0.01, description="Accuracy that may be lost.")
    trials: Count = Field(4, description="Edits trained briefly.")
    epochs: Count = Field(2, description="Epochs of a brief training.")
    confirm: Count = Field(2, description="Edits trained in full with all seeds.")


class Comparison(Section):
    """A question put to the results: what does one factor do?"""

    question: str | None = Field(None, description="Heading in the report.")
    levels: dict[str, Places] = Field(
        description="Level → variants; the n-th variants of all levels are compared with "
        "each other (a level may be one variant, listed for each of the others). The "
        "first level is the reference."
    )
    metric: str = Field("test_accuracy", description="A column of runs.csv.")


class PublishedPoint(Section):
    """A point of a search in an earlier report."""

    settings: dict[str, Any] = Field(description="Setting (`model.dim`) → value.")
    accuracy: float = Field(description="Accuracy, there on test images.")
    seconds: float | None = Field(None, description="Training time there.")


class Published(Section):
    """Figures of an earlier report, as fractions and seconds."""

    source: str = Field(description="Where they stand.")
    variants: dict[Name, dict[str, float | dict[str, float]]] = Field(
        description="Variant → figure (a column of runs.csv, `class_accuracy`) → value."
    )
    searches: dict[Name, Annotated[tuple[PublishedPoint, ...], Unique]] = Field(
        default_factory=dict,
        description="Search → its points there, beside the same settings here.",
    )
    confusions: dict[Name, dict[str, dict[str, float]]] = Field(
        default_factory=dict,
        description="Variant → true class → predicted class → share of its images.",
    )
    history: dict[Name, dict[str, dict[Epoch, float]]] = Field(
        default_factory=dict,
        description="Variant or pretext → column of history.csv → epoch → value.",
    )
    notes: dict[Name, str] = Field(
        default_factory=dict, description="What differs, by variant or pretext."
    )
    edits: dict[Name, Name] = Field(
        default_factory=dict,
        description="Edited variant → the one before the edit: what the edit changed "
        "there, beside what it changed here.",
    )


class Report(Section):
    """What the document shows, and the author's own words."""

    sections: Texts | None = Field(
        None, description="Sections in order; default: all that have content."
    )
    text: dict[str, str] = Field(
        default_factory=dict,
        description='Your Markdown by section; `{{ result("vit", "test_accuracy") }}` works.',
    )
    references: str = Field("", description="BibTeX.")


class Study(Section):
    """One question, its variants, and the report that answers it."""

    title: Title = Field(description="Title of the report.")
    question: str = Field("", description="What is asked, in Markdown.")
    author: Author = Field(
        default_factory=Author, description="Shown on the first page."
    )
    data: Data = Field(default_factory=Data, description="Images, classes, split.")
    defaults: Defaults = Field(
        default_factory=Defaults,
        description="Model and training that variants start from.",
    )
    seeds: Seeds = Field((0, 1, 2), description="One run per variant and seed.")
    variants: dict[Name, Variant] = Field(
        min_length=1,
        description="What is compared: name → differences from `defaults`.",
    )
    run: Names | None = Field(None, description="Only these variants; default: all.")
    pretexts: dict[Name, Pretext] = Field(
        default_factory=dict, description="Training without labels."
    )
    search: dict[Name, Search] = Field(
        default_factory=dict, description="Hyperparameter searches."
    )
    pruning: dict[Name, Pruning] = Field(
        default_factory=dict, description="Prune loops; the name prefixes their stages."
    )
    edits: Edits | None = Field(None, description="Minimal architecture edits.")
    measure: Measure = Field(
        default_factory=Measure, description="Cost of every network."
    )
    examine: Examine | None = Field(
        None, description="Attention maps and probes by depth."
    )
    represent: Represent | None = Field(
        None, description="Features in two dimensions, neighbours, mixing weights."
    )
    influence: Influence | None = Field(
        None, description="Real influence of units beside the predicted."
    )
    formulate: Formulate | None = Field(
        None, description="Networks without the library's layers, timed."
    )
    lessons: Lessons | None = Field(
        None, description="What learning curves show when a setting is wrong."
    )
    compare: dict[Name, Comparison] = Field(
        default_factory=dict, description="Questions answered by claims."
    )
    published: Published | None = Field(
        None, description="An earlier report's figures."
    )
    figures: Texts = Field(
        (), description="Extra figures: names of files in `labmill/report/figures/`."
    )
    report: Report = Field(default_factory=Report, description="The document.")
    laptop: dict[str, Any] = Field(
        default_factory=dict, description="Overlay for SCALE=laptop."
    )
    smoke: dict[str, Any] = Field(
        default_factory=dict,
        description="Overlay for SCALE=smoke, after the general one.",
    )


class Run(Section):
    """A variant with one seed, resolved: all that its training depends on."""

    variant: str
    seed: int
    task: Literal["classification", "rotation"] = "classification"
    images: Literal["train", "unlabelled"] = "train"
    after: int = 0
    model: Model
    training: Training
    normalisation: Literal["dataset", "half", "none"] | MeanStd = "dataset"
    start: Start | None = None
    rank: int | None = None
    fixed: tuple[str, ...] = ()
    test_flip: bool = False

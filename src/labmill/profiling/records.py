"""Record of a measurement: measure.json, with an optional profile of training steps."""

from typing import Literal

from labmill.core.records import Number, Provenance, Record


class BlockCount(Record):
    """Operations, parameters and bytes of one block, a layer or a network."""

    multiplications: int
    additions: int
    operations: int
    parameters: int
    activation_bytes: int
    traffic_bytes: int


class Quantities(BlockCount):
    """All that `labmill.flops.table` counts."""

    comparisons: int
    special: int


class LayerCount(Quantities):
    """One row of the count table; shapes include the batch axis."""

    name: str
    kind: str
    input_shape: list[int]
    output_shape: list[int]


class Convention(Record):
    """What was counted; see `labmill.flops.table.Convention`."""

    biases: bool
    pooling: bool
    activation_cost: int | None
    normalisation: bool
    elementwise: bool
    multiply_add_as_one: bool
    materialise_attention: bool


class CountTable(Record):
    """Operations of one image, by layer in the order of execution, and in all."""

    layers: list[LayerCount]
    total: Quantities
    convention: Convention
    dtype: str
    uncounted: list[str]


class Spread(Record):
    """Median and quartiles of `n` times in milliseconds."""

    median_ms: float
    q1_ms: float
    q3_ms: float
    n: int


class Latency(Spread):
    """Milliseconds of one forward pass over a batch."""

    batch: int
    threads: int
    device: str


class StepTime(Spread):
    """Milliseconds of a training step without the profiler."""

    clock: Literal["thread", "wall"]


class Phases(Record):
    """Milliseconds of each phase of a training step."""

    data: float
    forward: float
    loss: float
    backward: float
    optimizer: float
    bookkeeping: float


class ModuleTime(Record):
    """Milliseconds of one module: its own, and with all modules inside."""

    name: str
    parent: str | None
    kind: str
    own_forward_ms: float
    own_backward_ms: float
    forward_ms: float
    backward_ms: float


class LayerCost(Record):
    """Cost, time and place under the roofline of one module that computes."""

    name: str
    kind: str
    macs: int
    parameters: int
    activation_bytes: int
    traffic_bytes: int
    forward_ms: float
    backward_ms: float
    intensity: float
    gflops: float | None
    share_of_peak: float | None
    share_of_roof: float | None
    bound: Literal["arithmetic", "memory"]


class OperatorTime(Record):
    """Milliseconds and calls of an operator or kernel in one step."""

    name: str
    ms: float
    calls: Number
    share: float


class Memory(Record):
    """Bytes that a training step needs.

    Attributes:
        timeline: [milliseconds, bytes above the step's beginning].
    """

    state_bytes: int
    image_bytes: int
    gradient_bytes: int
    step_peak_bytes: Number
    timeline: list[tuple[Number, Number]]
    borders: list[tuple[str, Number]]  # [phase, milliseconds at which it begins]


class Peak(Record):
    """The machine's best: a matrix product of `side`, and a copy."""

    gflops: float
    gbytes_per_s: float
    side: int
    dtype: str


class Profile(Record):
    """Where the time and memory of training steps go.

    Attributes:
        modules: own and inclusive times, scaled to the phases of unprofiled steps.
    """

    batch: int
    steps_per_epoch: int
    threads: int
    precision: Literal["fp32", "bf16"]
    step: StepTime
    phases: Phases
    loss_backward_ms: float
    modules: list[ModuleTime]
    layers: list[LayerCost]
    operators: list[OperatorTime]
    kernels: list[OperatorTime]
    memory: Memory
    peak: Peak
    profiled_steps: int
    profiled_ms: float  # the median step with the profiler on
    trace: str  # name of the trace file


class CountsAtLength(Record):
    """Counts of the first encoder block's parts for sequences of `n` tokens."""

    n: int
    attention: BlockCount
    mlp: BlockCount


# Layer, head, query, key.
AttentionWeights = list[list[list[list[float]]]]


class AttentionMaps(Record):
    """Tokens of one sequence, and its attention weights."""

    source: list[int]
    target: list[int]
    encoder: AttentionWeights
    decoder: AttentionWeights
    cross: AttentionWeights


class SequenceCosts(Record):
    """Counts and attention maps of a sequence model."""

    length: int
    heads: int
    dim: int
    hidden: int
    vocabulary: int
    total: BlockCount
    blocks: dict[str, BlockCount]  # a block's path → its counts
    lengths: list[CountsAtLength]
    maps: dict[str, AttentionMaps]  # kind of sequence → attention maps of the first one


class Measurement(Record):
    """measure.json: what one network costs."""

    parameters: int
    weight_bytes: int
    activation_bytes: int
    macs: int  # multiply-adds of one image
    operations: CountTable  # counted by the study's convention
    latency: list[Latency]
    provenance: Provenance
    sequence: SequenceCosts | None = None  # of sequence models only
    profile: Profile | None = None  # where the study asks for it

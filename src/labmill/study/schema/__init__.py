"""The study file's schema, and the only home of defaults. Imports neither torch nor numpy.

One class per section. `docs/options.md` is generated from the descriptions here.
Mappings define, lists select: an overlay (`laptop:`, `smoke:`) merges mappings and
replaces lists.
"""

from labmill.study.schema.analyses import (
    Examine,
    Formulate,
    Lessons,
    Measure,
    Represent,
)
from labmill.study.schema.base import (
    LONGEST_NAME,
    PERIODIC,
    Count,
    Criterion,
    Name,
    Names,
    Section,
    SeedRounds,
)
from labmill.study.schema.data import Data, MeanStd
from labmill.study.schema.pruning import Influence, Pruning
from labmill.study.schema.report import (
    INTERPRETATION,
    Author,
    Comparison,
    Published,
    PublishedPoint,
    Report,
    Task,
)
from labmill.study.schema.search import Budget, Edits, Search, Select
from labmill.study.schema.study import Study
from labmill.study.schema.training import (
    Augmentation,
    Patience,
    Schedule,
    Training,
    Until,
)
from labmill.study.schema.variants import (
    Choice,
    Defaults,
    Model,
    Pretext,
    Run,
    Start,
    Variant,
    flat_model,
)

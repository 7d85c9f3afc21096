"""Rule round: decide which points of a search train next, and to which epoch.

Optuna's study, by ask and tell, is a journal file that each round copies and extends.
Seeds depend on the round, and trials are told in the order in which they were asked, so
that neither a kill nor the order of finishing changes what follows.
"""

import random
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labmill.core.logs import log
from labmill.core.records import Provenance, Settings
from labmill.search.records import Proposals, RankedPoint, SearchRound
from labmill.search.select import RunPaths, accuracy_of, summarise
from labmill.stats.randomness import seed_for
from labmill.study.schema import Search
from labmill.study.search_budget import Round, next_round, spent_runs, unit_of

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

# Points drawn at random before `tpe` proposes any, and how often it may propose a point
# that was tried before one is drawn at random.
DRAWN, TRIES = 4, 100


def propose(
    *,
    before: Path | None,
    asked: Path | None,
    histories: Sequence[RunPaths],
    record: Path,
    journal: Path,
    provenance: Provenance,
) -> None:
    """Write round<n>.json and its journal.

    Args:
        before: the record of the last round; None for the first.
        asked: the journal of the last round.
        histories: of all points that were tried, see `select`.
        record: the file to write.
        journal: Optuna's journal file, to write.
        provenance: the job's settings are those of the search, `points` (name → dotted
            settings), `ends` (of its rounds) and `round`.
    """
    settings = provenance.settings
    rounds = list(Proposals.read(before).rounds) if before else []
    points = settings["points"]
    tried = dict.fromkeys(name for one in rounds for name in one.points)
    progress = SearchProgress(
        search=search_of(settings),
        number=settings["round"],
        ends=settings["ends"],
        points=points,
        rounds=rounds,
        results={name: summarise(name, points[name], histories) for name in tried},
    )
    following = progress.following()
    with tempfile.TemporaryDirectory(dir=journal.parent) as folder:
        file = Path(folder) / journal.name
        if asked:
            shutil.copyfile(asked, file)
        trained = progress.ask(following, file)
        file.replace(journal)
    if following and trained:
        rounds.append(SearchRound(end=following.end, points=trained))
        log.info("%d points train to epoch %d", len(trained), following.end)
    Proposals(
        rounds=rounds,
        finished=not trained or progress.is_last(rounds),
        spent=progress.spent,
        provenance=provenance,
    ).write(record)


def search_of(settings: Settings) -> Search:
    """Return the search of a job's settings, without its points."""
    names = ("method", "budget", "at_once", "factor", "seeds")
    own = {name: settings[name] for name in names}
    return Search.model_validate({"variant": "any", "matrix": {}} | own, strict=False)


@dataclass(frozen=True)
class SearchProgress:
    """A search between two rounds; `results` are of all points that it tried."""

    search: Search
    number: int  # of the round that follows
    ends: list[int]
    points: dict[str, Settings]
    rounds: list[SearchRound]
    results: dict[str, RankedPoint]

    @property
    def spent(self) -> float:
        """What the rounds cost, in the budget's unit."""
        assert self.search.budget is not None
        unit, _ = unit_of(self.search.budget)
        costs = [point.costs for point in self.results.values()]
        if unit == "operations":
            return float(sum(sum(cost.operations) for cost in costs))
        if unit == "hours":
            return sum(sum(cost.seconds) for cost in costs) / 3600
        return spent_runs(counted(self.rounds), self.ends) * len(self.search.seeds)

    def following(self) -> Round | None:
        """Return the size of the next round; None where the budget affords none."""
        return self.after(self.rounds, self.spent)

    def after(self, rounds: Sequence[SearchRound], spent: float) -> Round | None:
        """Return the round that follows these."""
        assert self.search.budget is not None
        unit, size = unit_of(self.search.budget)
        trained, left = spent_runs(counted(rounds), self.ends), None
        if unit == "runs":
            left = (size - spent) / len(self.search.seeds)
        elif trained and spent:
            # What a point costs is learnt from those before: at most twice as many in
            # all, lest a cheap first one lets the next round exceed the budget by far.
            left = min((size - spent) / (spent / trained), trained)
        unseen = len(self.points.keys() - {p for one in rounds for p in one.points})
        return next_round(
            self.search, self.ends, counted(rounds), left=left, unseen=unseen
        )

    def is_last(self, rounds: Sequence[SearchRound]) -> bool:
        """Return True if no round can follow these, whatever they cost."""
        assert self.search.budget is not None
        spent = spent_runs(counted(rounds), self.ends) * len(self.search.seeds)
        known = self.search.budget.runs is not None
        return known and self.after(rounds, spent) is None

    def ask(self, following: Round | None, file: Path) -> list[str]:
        """Tell Optuna what is known, and return the points of the next round."""
        survivors: list[str] = []
        if following and following.continued:
            survivors = self.best(self.rounds[-1].points)[: following.points]
        study = self.study(file)
        self.tell(study, survivors)
        if following is None or following.continued:
            return survivors
        tried = {*self.results}
        for _ in range(following.points):
            tried.add(point := self.proposed(study, tried) or self.drawn(study, tried))
            survivors.append(point)
        return survivors

    def best(self, points: Sequence[str]) -> list[str]:
        """Return the points that did not diverge, the best first."""
        sound = [
            self.results[p] for p in points if self.results[p].status != "diverged"
        ]
        order = sorted(sound, key=lambda p: (-accuracy_of(p), p.operations, p.point))
        return [point.point for point in order]

    # --- Optuna ----------------------------------------------------------------------

    def study(self, file: Path) -> "optuna.Study":
        """Open the study in a journal file."""
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            study_name="search",
            direction="maximize",
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(file))),
            sampler=optuna.samplers.TPESampler(
                seed=self.seed("tpe") % 2**32,
                n_startup_trials=DRAWN,
                multivariate=True,
            ),
            load_if_exists=True,
        )

    def seed(self, axis: str) -> int:
        """Return the seed of this round."""
        return seed_for(self.search.seeds[0], axis, self.number)

    def tell(self, study: "optuna.Study", survivors: Sequence[str]) -> None:
        """Tell the results of all trials that do not continue, in their order."""
        from optuna.trial import TrialState

        for trial in study.get_trials(states=[TrialState.RUNNING]):
            point = self.results[trial.user_attrs["point"]]
            if point.point in survivors:
                continue
            if point.status == "diverged":
                study.tell(trial.number, state=TrialState.FAIL)
            else:
                study.tell(trial.number, accuracy_of(point))

    @cached_property
    def values(self) -> dict[str, list[Any]]:
        """Setting → its values, in the order of their text or, of numbers, of their size."""
        found: dict[str, list[Any]] = {}
        for settings in self.points.values():
            for key, value in settings.items():
                if value not in found.setdefault(key, []):
                    found[key].append(value)
        return {
            key: sorted(values, key=None if numeric(values) else str)
            for key, values in found.items()
        }

    @cached_property
    def distributions(self) -> "dict[str, BaseDistribution]":
        """Setting → the positions of its values; those of numbers have an order."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        found: dict[str, BaseDistribution] = {}
        for key, values in self.values.items():
            last = len(values) - 1
            found[key] = (
                IntDistribution(0, last)
                if numeric(values) and last > 1
                else CategoricalDistribution(range(last + 1))
            )
        return found

    def proposed(self, study: "optuna.Study", tried: set[str]) -> str | None:
        """Return a new point that Optuna proposes; None if it proposes none."""
        from optuna.trial import TrialState

        if self.search.method != "tpe" or len(tried) < DRAWN:
            return None
        names = {tuple(at.items()): name for name, at in self.positions.items()}
        for _ in range(TRIES):
            trial = study.ask(self.distributions)
            point = names[tuple((key, trial.params[key]) for key in self.values)]
            if point not in tried:
                trial.set_user_attr("point", point)
                return point
            study.tell(trial, state=TrialState.FAIL)
        return None

    def drawn(self, study: "optuna.Study", tried: set[str]) -> str:
        """Return a new point that is drawn at random."""
        order = sorted(self.points)
        random.Random(seed_for(self.search.seeds[0], "search")).shuffle(order)
        point = next(name for name in order if name not in tried)
        study.enqueue_trial(dict(self.positions[point]))
        study.ask(self.distributions).set_user_attr("point", point)
        return point

    @cached_property
    def positions(self) -> dict[str, dict[str, int]]:
        """Point → the position of each setting's value."""
        return {
            name: {key: self.values[key].index(settings[key]) for key in self.values}
            for name, settings in self.points.items()
        }


def numeric(values: Sequence[Any]) -> bool:
    """Return True if all values are numbers."""
    return all(type(value) in (int, float) for value in values)


def counted(rounds: Sequence[SearchRound]) -> list[Round]:
    """Return the sizes of rounds."""
    return [Round(one.end, len(one.points)) for one in rounds]

"""How much of the variance of accuracy each setting of a search explains."""

import warnings
from collections.abc import Mapping, Sequence

from labmill.core.trees import Settings

# With fewer points a forest learns nothing.
FEWEST = 6


def importance(
    points: Sequence[Settings], accuracies: Sequence[float]
) -> dict[str, float]:
    """Return setting → the share of the variance that it explains alone, largest first.

    A random forest predicts accuracy from the settings; a share is the variance of its
    mean prediction over all other settings (fANOVA; Hutter et al., 2014). The rest are
    interactions and chance. Empty with too few points, or where all are equal.
    """
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    values = {key: texts(points, key) for key in points[0]}
    values = {key: found for key, found in values.items() if len({*found}) > 1}
    if len(points) < FEWEST or len({*accuracies}) < 2 or not values:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    spaces = {k: CategoricalDistribution(sorted({*v})) for k, v in values.items()}
    for number, accuracy in enumerate(accuracies):
        params = {key: found[number] for key, found in values.items()}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=dict(spaces), value=accuracy
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), normalize=False
        )
    return {key: float(share) for key, share in found.items()}


def texts(points: Sequence[Mapping[str, object]], key: str) -> list[str]:
    """Return a setting's value of each point as text."""
    return [str(point[key]) for point in points]

"""A bar for each variant."""

from labmill.report import style

CAPTION = "Test accuracy as bars."
ALT = "One bar per variant."


def draw(results):
    figure = style.figure(2)
    axes = figure.subplots()
    means = [results.mean(name, "test_accuracy").estimate for name in results.variants]
    axes.bar([*results.variants.values()], means)
    return figure

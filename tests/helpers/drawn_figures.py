"""What can be seen of a drawn figure."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def words_of(figure: Figure) -> list[Text]:
    """Every text that can be seen."""
    found = figure.findobj(Text)
    return [one for one in found if one.get_text().strip() and one.get_visible()]


def assert_whole(figure: Figure) -> None:
    """Nothing of it is cut off at the figure's edge."""
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.02 and box.x1 <= width + 0.02
    assert box.y0 >= -0.02 and box.y1 <= height + 0.02

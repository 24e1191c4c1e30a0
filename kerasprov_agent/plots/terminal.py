"""The same in the terminal: lines of dots and bars, by plotext."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.plots.series import VALIDATION, Group
from kerasprov_agent.visible import visible

PIPE_WIDTH = 100
HEIGHT = 22
TICKS = 8
MARKS, VALIDATION_MARKS = "●■▲◆★", "○□△◇☆"
"""Of a group in training and in validation; in a pipe there are no colours."""


def curves(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """A chart a metric: training and validation of each group, the mean of its runs."""
    charts = []
    for metric in metrics:
        plot = _plot()
        epochs: set[int] = set()
        for place, group in enumerate(groups):
            for name in (metric, VALIDATION + metric):
                points = group.mean(name)
                if points:
                    is_validation = ", validation" if name != metric else ""
                    marks = VALIDATION_MARKS if is_validation else MARKS
                    plot.plot(
                        *map(list, zip(*points, strict=True)),
                        label=f"{visible(group.name)}{is_validation}",
                        marker=marks[place % len(marks)],
                    )
                    epochs.update(epoch for epoch, _ in points)
        if epochs:
            plot.xticks(_whole_numbers(min(epochs), max(epochs)))
        plot.title(visible(metric))
        plot.xlabel("epoch")
        charts.append(_built(plot))
    return "\n".join(charts)


def _whole_numbers(least: int, greatest: int) -> list[int]:
    """Some epochs for the axis, as far apart as each other."""
    step = max(1, -(-(greatest - least) // TICKS))
    return list(range(least, greatest + 1, step))


def times(groups: Sequence[Group]) -> str:
    """The mean time of an epoch in each group."""
    plot = _plot()
    means = [sum(group.seconds) / len(group.seconds) for group in groups]
    plot.simple_bar(
        [visible(group.name) for group in groups],
        means,
        width=_width(),
        title="seconds per epoch, mean",
    )
    return _built(plot)


def _plot() -> Any:
    try:
        import plotext
    except ImportError as exc:
        raise KerasProvError(
            "drawing here needs plotext: pip install plotext; or give -o FILE.png"
        ) from exc
    if "utf" not in (sys.stdout.encoding or "").lower():
        raise KerasProvError(
            "drawing here needs UTF-8, as LANG=C.UTF-8 sets it; or give -o FILE.png"
        )
    plotext.clear_figure()
    plotext.theme("clear" if not sys.stdout.isatty() else "pro")
    plotext.plotsize(_width(), HEIGHT)
    return plotext


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def _built(plot: Any) -> str:
    text: str = plot.build()
    return text if sys.stdout.isatty() else str(plot.uncolorize(text))

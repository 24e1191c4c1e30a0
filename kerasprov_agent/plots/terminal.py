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


def curves(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """A chart a metric: training and validation of each group, the mean of its runs."""
    charts = []
    for metric in metrics:
        plot = _plot()
        for group in groups:
            for name in (metric, VALIDATION + metric):
                points = group.mean(name)
                if points:
                    label = f"{visible(group.name)}{'' if name == metric else ', validation'}"
                    plot.plot(*map(list, zip(*points, strict=True)), label=label)
        plot.title(visible(metric))
        plot.xlabel("epoch")
        charts.append(_built(plot))
    return "\n".join(charts)


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

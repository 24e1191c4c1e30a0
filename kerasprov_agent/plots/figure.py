"""Figures for papers, by matplotlib: PNG, SVG, PDF."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.plots.series import VALIDATION, Group
from kerasprov_agent.replacing import replaced
from kerasprov_agent.visible import visible

WIDTH, HEIGHT = 5.0, 3.6
"""Inches of a panel."""
LEGEND_ROWS = 12
LEGEND_INCHES = 2.5
"""What each further column of the legend adds to the figure, so that the panels keep their size."""
COLOURS = 10
MARKS = "os^Dv*PXhp"
MARKS_ON_A_LINE = 8
DECADES = 1000
"""A metric whose greatest value is so many times its least gets a logarithmic axis."""


def curves(groups: Sequence[Group], metrics: Sequence[str]) -> Any:
    """A figure, a panel a metric, a colour and a mark a group; validation is dashed.

    Of several runs in a group each is a thin line, their mean a thick one as long as all of them go
    on.
    """
    figure, panels = _panels(len(metrics))
    for panel, metric in zip(panels, metrics, strict=True):
        for place, group in enumerate(groups):
            colour = f"C{place % COLOURS}"
            mark = MARKS[(place + place // COLOURS) % len(MARKS)]
            for name, style in ((metric, "-"), (VALIDATION + metric, "--")):
                lines = [line for line in group.lines if line.metric == name]
                count = f" (n={len(lines)})" if len(lines) > 1 else ""
                is_validation = ", validation" if name != metric else ""
                label = f"{_plain(group.name)}{is_validation}{count}"
                for line in lines if len(lines) > 1 else ():
                    panel.plot(
                        *zip(*line.points, strict=True), style, color=colour, lw=0.6, alpha=0.4
                    )
                mean = group.mean(name)
                if mean:
                    panel.plot(
                        *zip(*mean, strict=True), style, color=colour, lw=1.6, label=label,
                        marker=mark, markersize=4,
                        markevery=max(1, len(mean) // MARKS_ON_A_LINE),
                        markerfacecolor="white" if is_validation else colour,
                    )  # fmt: skip
        if _spans_decades(groups, metric):
            panel.set_yscale("log")
        panel.set_xlabel("epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set_ylabel(_plain(metric))
    named: dict[str, Any] = {}  # a group may have a metric that others lack
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        for label, handle in zip(labels, handles, strict=True):
            named.setdefault(label, handle)
    if named:
        columns = -(-len(named) // LEGEND_ROWS)
        figure.set_figwidth(WIDTH * len(panels) + LEGEND_INCHES * (columns - 1))
        figure.legend(list(named.values()), list(named), loc="outside right center",
                      ncols=columns, frameon=False, fontsize="small")  # fmt: skip
    return figure


def times(groups: Sequence[Group]) -> Any:
    """A figure of the mean time of an epoch in each group."""
    figure, (panel,) = _panels(1)
    means = [sum(group.seconds) / len(group.seconds) for group in groups]
    bars = panel.barh([_plain(group.name) for group in groups], means, color="C0")
    panel.bar_label(bars, [f" {mean:.3g}" for mean in means])
    panel.margins(x=0.15)
    panel.invert_yaxis()
    panel.set_xlabel("seconds per epoch, mean")
    return figure


def write(path: str, figure: Any) -> None:
    """Write a figure into a file whose name ends in .png, .svg or .pdf; raises `KerasProvError`."""
    form = path.rpartition(".")[2].lower()
    known = sorted(figure.canvas.get_supported_filetypes())
    if form not in known:
        raise KerasProvError(f"{path}: the name must end in one of {', '.join(known)}")
    with replaced(path) as beside:
        _draw(figure, beside, form)


def _draw(figure: Any, to: Any, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font that lacks a letter
        figure.savefig(to, dpi=150, format=form)


def _plain(text: str) -> str:
    """A text that matplotlib takes for no formula, nor for one to leave out of the legend."""
    shown = visible(text).replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown


def _spans_decades(groups: Sequence[Group], metric: str) -> bool:
    """Whether most of a metric's curves would lie flat on the axis, as after a first bad epoch."""
    names = (metric, VALIDATION + metric)
    values = [v for group in groups for line in group.lines if line.metric in names
              for _, v in line.points]  # fmt: skip
    return bool(values) and min(values) > 0 and max(values) > DECADES * min(values)


def _panels(count: int) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise KerasProvError(
            "a picture needs matplotlib: pip install 'kerasprov_agent[plot]'"
        ) from exc

    class Picture(Figure):
        """Shows itself in a notebook, whether pyplot is in use or not."""

        def _repr_png_(self) -> bytes:
            drawn = BytesIO()
            _draw(self, drawn, "png")
            return drawn.getvalue()

    figure = Picture(figsize=(WIDTH * count, HEIGHT), layout="constrained")
    panels = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels

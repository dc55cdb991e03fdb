"""A picture of how training went."""

import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .atomic import write_atomically
from .training.log import Log


def plot_losses(logs: Mapping[tuple[str, int], Log], path: Path) -> None:
    """Draw training (dashed) and validation (solid) loss of every epoch, one panel for each feature set.

    Args:
        logs: by feature set and seed.
        path: of the PNG file.
    """
    sets = list(dict.fromkeys(features for features, _ in logs))
    figure = Figure(figsize=(4.0 * len(sets) + 1.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for panel, features in zip(panels, sets, strict=True):
        members = [(seed, log) for (name, seed), log in logs.items() if name == features]
        for number, (seed, log) in enumerate(members):
            epochs = [row["epoch"] for row in log]
            colour = f"C{number}"
            panel.plot(epochs, [row["train_loss"] for row in log], "--", color=colour, linewidth=0.9)
            validation = [row["validation_loss"] for row in log]
            panel.plot(epochs, validation, color=colour, linewidth=1.4, label=f"seed {seed}")
            best = min(range(len(log)), key=validation.__getitem__)
            panel.plot(epochs[best], validation[best], "o", color=colour, markersize=5)
        panel.set(title=f"{features.replace('_', ' ')} inputs", xlabel="epoch", yscale="log")
        panel.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("loss (1 ≙ 1 K/day or 5 W m$^{-2}$)")
    seeds, labels = panels[0].get_legend_handles_labels()
    title = "dashed: training\nsolid: validation\ndot: kept"
    figure.legend(seeds, labels, title=title, loc="outside right upper", fontsize=8, title_fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=200)
    write_atomically(path, stream.getvalue())

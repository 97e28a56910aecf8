"""A picture for each corpus, of synthetic clips: how one of them sounds, and how many have each
label."""

import io
from collections import Counter
from functools import cache

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.signal import spectrogram

from bimotion.corpora import CORPORA
from bimotion.data.synthetic import layouts
from bimotion.data.synthetic.voice import utter

INKS = {"light": "#26323f", "dark": "#e2e8ef"}
"""Scheme of the site -> colour of words and axes; the ground is the page's."""
BARS = "#d9822b"
MAX_HZ, FRAME_S, RANGE_DB = 8000, 0.025, 70
INVENTED = ("elderreact", "iemocap")
"""Corpora whose clips' names tell no label: the synthetic ones have labels by chance."""

matplotlib.use("svg")


@cache
def _clips(name: str) -> list[layouts.Clip]:
    """All clips of a corpus under their true names, none of them made."""
    return layouts.plan(scale=1.0, corpora=[name])


def _labels(name: str) -> dict[str, int]:
    """Label -> number of clips; a clip of several counts for each."""
    counted = Counter(code for clip in _clips(name) for code in clip.label)
    return {emotion: counted[code] for code, emotion in CORPORA[name].card.native_labels.items()}


def caption(name: str) -> str:
    """The picture in Markdown, in both schemes, with words about it."""
    labels = ", ".join(f"{emotion} {n_clips}" for emotion, n_clips in _labels(name).items())
    words = f"Spectrogram of one synthetic clip, and the number of clips of each label: {labels}."
    pictures = [f"![{words}]({name}-{scheme}.png#only-{scheme})" for scheme in INKS]
    about = (
        "Labels are drawn by chance, for names do not tell them in this corpus"
        if name in INVENTED
        else "Labels are those that the true names tell"
    )
    return (
        f"{''.join(pictures)}\n\nOne clip and all labels as `bimotion data synth` would write them "
        f"at full size: SYNTHETIC, made by formulas. {about}."
    )


def drawn(name: str) -> dict[str, bytes]:
    """Scheme -> the picture of a corpus as PNG."""
    pictures = {}
    for scheme, ink in INKS.items():
        with matplotlib.rc_context({"text.color": ink, "axes.edgecolor": ink, "font.size": 9}):
            figure = Figure(figsize=(8.8, 2.9), layout="constrained")
            left, right = figure.subplots(1, 2, width_ratios=(3, 2))
            _draw_sound(left, name)
            _draw_labels(right, name)
            for axes in (left, right):
                axes.tick_params(colors=ink)
                axes.xaxis.label.set_color(ink)
                axes.yaxis.label.set_color(ink)
                axes.set_facecolor("none")
            stream = io.BytesIO()
            figure.savefig(stream, format="png", dpi=110, transparent=True)
        pictures[scheme] = stream.getvalue()
    return pictures


def _draw_sound(axes, name: str) -> None:
    """Spectrogram of the first synthetic clip of a corpus that has a label."""
    clip = next(clip for clip in _clips(name) if clip.voiced)
    rate_hz = layouts.SAMPLE_RATES_HZ.get(name, layouts.DEFAULT_RATE_HZ)
    samples = utter(clip.voice, clip.voiced, key=clip.id, sample_rate_hz=rate_hz)
    width = round(FRAME_S * rate_hz)
    hz, seconds, power = spectrogram(samples, rate_hz, nperseg=width, noverlap=width * 3 // 4)
    level_db = 10 * np.log10(power + 1e-12)
    kept = hz <= MAX_HZ
    axes.pcolormesh(
        seconds,
        hz[kept] / 1000,
        level_db[kept],
        vmin=level_db.max() - RANGE_DB,
        cmap="magma",
        rasterized=True,
    )
    axes.set_title(f"SYNTHETIC {clip.stem}: {' + '.join(clip.voiced)}", fontsize=9)
    axes.set_xlabel("seconds")
    axes.set_ylabel("kHz")


def _draw_labels(axes, name: str) -> None:
    """Bars of the number of clips of each label."""
    labels = _labels(name)
    bars = axes.barh(list(labels), list(labels.values()), color=BARS)
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.set_title("clips of each label", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)

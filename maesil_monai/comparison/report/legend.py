"""The marks beside values, and the one legend that explains them: fixed, whatever a comparison came to."""

from __future__ import annotations

from maesil_monai.reports.tables import Mark

WORSE = Mark("\u25bc", "v", "worse than the best baseline that learns nothing", warns=True)
BEST_BASELINE = Mark("\u25c6", "b", "the best of the baselines that learn nothing")
BLIND_SPOT = Mark(
    "!",
    "!",
    "one value everywhere does better than every model that inpaints: hidden_body does not see tissue painted into the air; read "
    "both columns of PSNR, and trust a model that leads in both",
    warns=True,
)
OWN_SIZE = Mark(
    "*",
    "*",
    "judged on superpatches of its own size: not comparable with the others line by line, so without place, difference and marks",
)

LEGEND = (
    Mark("bold", "bold", "the best of those that inpaint, baselines included; by evaluation rule: the best of the models"),
    WORSE,
    BEST_BASELINE,
    Mark(
        "\u0394",
        "better, worse",
        "difference to MAESIL (total), paired by patient; better (green) or worse (red) where its 95 % interval excludes 0",
    ),
    Mark("[ ]", "[ ]", "95 % interval, bootstrap over patients and seeds"),
    Mark("3 of 7", "3 of 7", "MAESIL's place among the models that inpaint and are finite; its own variants are no rivals"),
    BLIND_SPOT,
    OWN_SIZE,
    Mark("n = 1", "n = 1", "one patient: no interval"),
    Mark("not finite", "not finite", "the prediction of so many patients is not, which undoes the mean"),
    Mark("not measured", "not measured", "the reason stands below the first table"),
    Mark("-", "-", "no part of this comparison"),
)

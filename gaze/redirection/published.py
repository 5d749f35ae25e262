"""What papers report of redirection: on photographs, with large networks as judges. Not to be mixed with figures of ours.

GazeGaussian (ICCV 2025), tables 1 and 2; DiT-Gaze: arXiv 2511.11231, its abstract's figure.
"""

from __future__ import annotations

import pyarrow as pa

METRICS = ("gaze_deg", "head_deg", "ssim", "psnr", "lpips", "fid", "id_sim", "frames_per_s")
WITHIN = {
    "STED": (16.217, 13.153, 0.726, 17.530, 0.300, 115.020, 24.347, 18),
    "HeadNeRF": (12.117, 4.275, 0.720, 15.298, 0.294, 69.487, 46.126, 35),
    "GazeNeRF": (6.944, 3.470, 0.733, 15.453, 0.291, 81.816, 45.207, 46),
    "Gaussian Head Avatar": (30.963, 13.563, 0.638, 12.108, 0.359, 74.560, 27.272, 91),
    "GazeGaussian": (6.622, 2.128, 0.823, 18.734, 0.216, 41.972, 67.749, 74),
    "DiT-Gaze": (6.353, None, None, None, None, None, None, None),
}
ACROSS_METRICS = ("gaze_deg", "head_deg", "lpips", "id_sim")
ACROSS = {  # by data set, trained on ETH-XGaze
    "columbia": {
        "STED": (17.887, 14.693, 0.413, 6.384),
        "HeadNeRF": (15.250, 6.255, 0.349, 23.579),
        "GazeNeRF": (9.464, 3.811, 0.352, 23.157),
        "Gaussian Head Avatar": (10.939, 3.953, 0.347, 46.183),
        "GazeGaussian": (7.415, 3.332, 0.273, 59.788),
    },
    "mpii": {
        "STED": (14.796, 11.893, 0.288, 10.677),
        "HeadNeRF": (14.320, 9.372, 0.288, 31.877),
        "GazeNeRF": (14.933, 7.118, 0.272, 30.981),
        "Gaussian Head Avatar": (12.021, 8.530, 0.295, 30.932),
        "GazeGaussian": (10.943, 5.685, 0.224, 41.505),
    },
    "gaze_capture": {
        "STED": (15.478, 16.533, 0.271, 6.807),
        "HeadNeRF": (12.955, 10.366, 0.232, 20.981),
        "GazeNeRF": (10.463, 9.064, 0.232, 19.025),
        "Gaussian Head Avatar": (11.571, 7.664, 0.295, 22.236),
        "GazeGaussian": (9.752, 7.061, 0.209, 44.007),
    },
}
TITLES = {"xgaze": "ETH-XGaze", "columbia": "ColumbiaGaze", "mpii": "MPIIFaceGaze", "gaze_capture": "GazeCapture"}


def published(kind: str) -> pa.Table:
    """The published rows of a data set; those of ETH-XGaze for one that nobody has published on.

    Args:
        kind: of `gaze.head_views.layout.KINDS`.
    """
    names, rows = (ACROSS_METRICS, ACROSS[kind]) if kind in ACROSS else (METRICS, WITHIN)
    columns = {"published": pa.array(list(rows)), "on": pa.array([title(kind)] * len(rows))}
    columns |= {name: pa.array([row[i] for row in rows.values()], pa.float64()) for i, name in enumerate(names)}
    return pa.table(columns)


def title(kind: str) -> str:
    """The data set whose figures `published` gives."""
    return TITLES.get(kind, TITLES["xgaze"])

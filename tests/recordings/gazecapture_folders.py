"""Miniature GazeCapture recordings, in the files and fields of the data set's README."""

import json

from PIL import Image

# A phone 6 (58.50 x 104.05 mm, camera 18.61 mm right of and 8.03 mm above the corner): dots of each orientation,
# as (x, y) in points and cm, by the data set's screen2cam.m worked by hand.
#   1: x 75 * 58.5/375 = 11.7 mm, - 18.61 = -6.91; y 267 * 104.05/667 = 41.652, - 8.03 - 41.652 = -49.682
#   2: x 18.61 - 58.5 + 11.7 = -28.19; y 8.03 + 104.05 - 41.652 = 70.428
#   3: x 267 * 104.05/667 = 41.652, 8.03 + 41.652 = 49.682; y 75 * 58.5/375 = 11.7, 58.5 - 18.61 - 11.7 = 28.19
#   4: x -8.03 - 104.05 + 41.652 = -70.428; y 18.61 - 11.7 = 6.91
PORTRAIT, LANDSCAPE = (375, 667), (667, 375)
MM = 267 * 104.05 / 667
DOTS = {
    1: (PORTRAIT, (75, 267), (-0.691, (-8.03 - MM) / 10)),
    2: (PORTRAIT, (75, 267), (-2.819, (112.08 - MM) / 10)),
    3: (LANDSCAPE, (267, 75), ((8.03 + MM) / 10, 2.819)),
    4: (LANDSCAPE, (267, 75), ((MM - 112.08) / 10, 0.691)),
}
FACE = (96.5, 160.0, 192.0, 192.0)  # in 480 x 640 the cells 5.03, 6.25, 10, 7.5: from 1, 6 7 10 8
LEFT, RIGHT = (110.25, 50.0, 40.0, 40.0), (35.0, 50.0, 40.0, 40.0)  # inside the face; the user's left is at the right


def cells(face, size):
    """The face grid as the file has it, from 1, for boxes whose cells are no halves."""
    x, y, w, h = (v * 25 / s for v, s in zip(face, size * 2, strict=True))
    return round(x) + 1, round(y) + 1, round(w), int(h + 0.5)


def write_recording(root, name="00002", orientations=(1,), device="iPhone 6", split="train", **changes):
    """A recording with one frame per orientation; `changes` replace files, by their stem (None: leave it out)."""
    folder = root / name
    (folder / "frames").mkdir(parents=True)
    frames = [f"{at:05d}.jpg" for at in range(len(orientations))]
    sizes = [(480, 640) if held <= 2 else (640, 480) for held in orientations]
    for frame, size in zip(frames, sizes, strict=True):
        Image.new("RGB", size).save(folder / "frames" / frame)
    screens, points, plane = zip(*(DOTS[held] for held in orientations), strict=True)
    files = {
        "frames": frames,
        "appleFace": columns([FACE] * len(frames)),
        "appleLeftEye": columns([LEFT] * len(frames)),
        "appleRightEye": columns([RIGHT] * len(frames)),
        "faceGrid": columns([cells(FACE, size) for size in sizes]),
        "dotInfo": {
            "DotNum": list(range(len(frames))),
            "XPts": [p[0] for p in points],
            "YPts": [p[1] for p in points],
            "XCam": [p[0] for p in plane],
            "YCam": [p[1] for p in plane],
            "Time": [0.6] * len(frames),
        },
        "screen": {
            "W": [s[0] for s in screens],
            "H": [s[1] for s in screens],
            "Orientation": list(orientations),
        },
        "info": {"TotalFrames": len(frames), "Dataset": split, "DeviceName": device},
    }
    for stem, content in {**files, **changes}.items():
        if content is not None:
            (folder / f"{stem}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def columns(boxes, valid=None):
    """Boxes as the JSON files have them."""
    table = {key: [box[at] for box in boxes] for at, key in enumerate("XYWH")}
    return {**table, "IsValid": [1] * len(boxes) if valid is None else valid}

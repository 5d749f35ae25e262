"""Indices of MediaPipe's face landmarks. Left and right are the person's own: left is at the image's right."""

from __future__ import annotations

COUNT = 478  # with irises
MESH = 468  # without

# Rings start at the outer corner and go along the lower lid to the inner one, then back along the upper.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
RIGHT_BROW = (46, 53, 52, 65, 55, 70, 63, 105, 66, 107)
LEFT_BROW = (276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
RIGHT_IRIS = (468, 469, 470, 471, 472)  # the middle first
LEFT_IRIS = (473, 474, 475, 476, 477)

RIGHT_CORNERS = (33, 133)  # outer, inner
LEFT_CORNERS = (263, 362)
RIGHT_LIDS = (159, 145)  # upper, lower
LEFT_LIDS = (386, 374)
NOSE_TIP, NOSE_BRIDGE, BETWEEN_EYES = 1, 6, 168
RIGHT_MOUTH, LEFT_MOUTH = 61, 291
CHIN, FOREHEAD = 152, 10
RIGHT_CHEEK, LEFT_CHEEK = 234, 454

_ANCHORS = (
    *(NOSE_TIP, NOSE_BRIDGE, BETWEEN_EYES, RIGHT_MOUTH, LEFT_MOUTH),
    *(CHIN, FOREHEAD, RIGHT_CHEEK, LEFT_CHEEK),
)
# What models with a landmark stream see: 71 points.
DEFAULT = (*RIGHT_EYE, *LEFT_EYE, *RIGHT_BROW, *LEFT_BROW, *RIGHT_IRIS, *LEFT_IRIS, *_ANCHORS)

BLENDSHAPES = 52
LEFT_BLINK, RIGHT_BLINK = 9, 10  # indices of blendshapes, 0 open to 1 closed

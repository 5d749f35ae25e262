"""MediaPipe's 478 landmarks of a face: which is which, mirrored, and the boxes that they give."""

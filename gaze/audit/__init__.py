"""Which convention do labels of gaze directions follow? Found from the labels, the heads and a model that is trusted."""

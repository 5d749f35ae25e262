"""Networks that compare pictures as people do, or as an estimator of gaze does."""

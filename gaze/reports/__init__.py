"""One page about runs and searches, to be read by somebody who was not there."""

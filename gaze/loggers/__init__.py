"""Where the journal of a run is sent."""

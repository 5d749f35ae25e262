"""How eyes turn with the gaze: rigidly about their centres, as the published code has it, or by any offset."""

"""GPUs, and waiting for the device where a clock is read."""

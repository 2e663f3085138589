"""Measurements: ratios between things done side by side in one run. `script/bench` runs them."""

"""Hints: the statistics behind them, each rule in a fleet that calls for it, and silence where nothing happens."""

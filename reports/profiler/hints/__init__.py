"""Hints: what a run's figures say about where to look, by stated rules, each with its evidence (docs/hints.md). ``rules.hints`` gives them all."""

"""The load generator: fires the plan's rows at their time and says what became of them."""

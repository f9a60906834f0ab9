"""What traces of rehearsals and of flights have in common: the model of a span, names and attributes, ids, W3C Trace Context, sampling by thresholds."""

"""Where is a fact stored? Causal tracing, attribution, the logit lens."""

"""The page of a fit: points over the fitted curves, steps against the weight, what is left, model by model."""

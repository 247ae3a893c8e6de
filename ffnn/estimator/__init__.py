"""The estimators' common base: parameters, ``fit``, predictions."""

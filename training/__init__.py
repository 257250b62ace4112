"""How a network becomes good: data, splits, augmentation, the fit, the measurement."""

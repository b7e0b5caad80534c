"""How long the steps of Adam are in the weights of the parts-based autoencoder, in either engine."""

RISING_STEPS = 10
"""Steps over which the learning rate rises from 0: Adam's first steps are as long as all others, whatever the slope."""

BIAS_SCALE = 0.1
"""What a step of a unit's bias is relative to; its activity has mean square 1."""

ENCODER_SHARE = 0.3
"""How long a step of the encoder is beside one of the decoder."""

ADAM_EPS = 1e-10
"""Slopes of rare genes in a mean over many genes are small, and still far larger."""

BETAS = (0.9, 0.999)
"""How much of the mean slope, and of the mean square, a step leaves."""

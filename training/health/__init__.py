"""Whether a trained model is any good, at once after its training: a card of lights, each with its reason and its knob.

It finds what is broken (dead adapters, answers that never end) and what is likely (forgetting, learning by heart,
lost refusals). It does not decide whether the model is better than a prompt: a comparison on test rows does.
"""

from training.health.card import HealthFinding, HealthReport, Light
from training.health.check import check_health

__all__ = ["HealthFinding", "HealthReport", "Light", "check_health"]

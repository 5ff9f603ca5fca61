"""Approaches: what can be done with a model and examples, one file each. A comparison runs them as its arms."""

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.few_shot import FewShotFixed, FewShotNearest
from advisor.approaches.fine_tuned import FineTuned, FineTunedRetrieval
from advisor.approaches.retrieval import Retrieval, RetrievalFewShot
from advisor.approaches.zero_shot import ZeroShot

# In order of cost and upkeep, the cheapest first (SCIENCE A.5: Z < F < R < RF < Q < QR).
APPROACHES: tuple[type[Approach], ...] = (
    ZeroShot,
    FewShotFixed,
    FewShotNearest,
    Retrieval,
    RetrievalFewShot,
    FineTuned,
    FineTunedRetrieval,
)
ARM_TITLES: dict[str, str] = {approach.name: approach.title for approach in APPROACHES}

__all__ = ["APPROACHES", "ARM_TITLES", "Approach", "Tools"]

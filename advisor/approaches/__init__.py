"""Approaches: what can be done with a model and examples, one file each. A comparison runs them as its arms."""

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.classifier import Classifier
from advisor.approaches.corpus import Corpus
from advisor.approaches.few_shot import FewShotFixed, FewShotNearest
from advisor.approaches.fine_tuned import FineTuned, FineTunedFewShot, FineTunedRetrieval
from advisor.approaches.instruction import Instruction
from advisor.approaches.retrieval import Retrieval, RetrievalFewShot
from advisor.approaches.tuning import Prompt, Setting, Trial, Tuned, choose
from advisor.approaches.zero_shot import ZeroShot

# In order of cost and upkeep, the cheapest first. A classifier's upkeep is that of one more model, however small.
APPROACHES: tuple[type[Approach], ...] = (
    ZeroShot,
    Instruction,
    Classifier,
    FewShotFixed,
    FewShotNearest,
    Corpus,
    Retrieval,
    RetrievalFewShot,
    FineTuned,
    FineTunedFewShot,
    FineTunedRetrieval,
)
ARM_TITLES: dict[str, str] = {approach.name: approach.title for approach in APPROACHES}

__all__ = ["APPROACHES", "ARM_TITLES", "Approach", "Prompt", "Setting", "Tools", "Trial", "Tuned", "ZeroShot", "choose"]

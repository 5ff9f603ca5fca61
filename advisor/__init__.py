"""Examples and approaches in, a verdict out. Imports no torch by itself."""

from advisor.comparison import comparisons_folder, run_comparison, start_comparison
from advisor.request import ComparisonRequest
from advisor.task import LeakGuard, Task, make_task
from advisor.verdict import Verdict, decide

__all__ = [
    "ComparisonRequest",
    "LeakGuard",
    "Task",
    "Verdict",
    "comparisons_folder",
    "decide",
    "make_task",
    "run_comparison",
    "start_comparison",
]

"""New examples: from a chat, from an edited answer, from documents. The model that writes is passed in."""

from dataset_tools.building.candidate_checks import CHECKS, Reason
from dataset_tools.building.chat import Answer, ChatTurn, Conversation, Step
from dataset_tools.building.documents import Documents, read_document, read_documents
from dataset_tools.building.draft import Draft, DraftSummary
from dataset_tools.building.draft_export import Exported
from dataset_tools.building.draft_rows import DraftRow, NewRow
from dataset_tools.building.generate import Generate
from dataset_tools.building.questions import (
    Candidate,
    Questions,
    QuestionSettings,
    add_candidates,
    question_prompt,
    write_questions,
)
from dataset_tools.building.sections import Document, Section, passages
from dataset_tools.building.similar_rows import Embed, SimilarRow

__all__ = [
    "CHECKS",
    "Answer",
    "Candidate",
    "ChatTurn",
    "Conversation",
    "Document",
    "Documents",
    "Draft",
    "DraftRow",
    "DraftSummary",
    "Embed",
    "Exported",
    "Generate",
    "NewRow",
    "QuestionSettings",
    "Questions",
    "Reason",
    "Section",
    "SimilarRow",
    "Step",
    "add_candidates",
    "passages",
    "question_prompt",
    "read_document",
    "read_documents",
    "write_questions",
]

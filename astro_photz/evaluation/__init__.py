# Licensed under a 3-clause BSD style license - see LICENSE
"""
Quality of a model: figures of merit against known redshifts, and the page that reports them.
"""

from .card_page import write_model_card
from .published import comparison
from .record import Evaluation
from .scores import evaluate, evaluate_model

__all__ = ["Evaluation", "comparison", "evaluate", "evaluate_model", "write_model_card"]

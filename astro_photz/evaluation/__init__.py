# Licensed under a 3-clause BSD style license - see LICENSE
"""
How good a model is: figures of merit against known redshifts, and the page that reports them.
"""

from .card_page import write_model_card
from .scores import comparison, evaluate, evaluate_model

__all__ = ["comparison", "evaluate", "evaluate_model", "write_model_card"]

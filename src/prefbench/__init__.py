"""prefbench: how willing is a language model to express preferences, and what changes that?"""

__version__ = "0.1.0"

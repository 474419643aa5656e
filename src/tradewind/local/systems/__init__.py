"""The systems that `tradewind up` can start: every module here has one, as ``SYSTEM``."""

"""The online part of the digits pipeline: a page to draw on, and the API behind it."""

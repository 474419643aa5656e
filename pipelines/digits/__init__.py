"""Handwritten digits: fetched, converted, trained, judged and deployed daily; a page uses them."""

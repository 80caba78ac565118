"""Generates Python from the rules that the passes hand over."""

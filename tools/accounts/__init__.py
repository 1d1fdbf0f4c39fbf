"""Compares what a player wrote down itself (the side file) with what arrived in stream and lake."""

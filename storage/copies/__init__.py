"""Copies of an image on other hosts: made by jobs from host to host, and kept in step where that was asked for."""

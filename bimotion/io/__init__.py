"""This machine: decode audio, write a file whole or not at all, progress, tables, self-contained
HTML."""

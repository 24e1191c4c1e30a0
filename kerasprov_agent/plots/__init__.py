"""Curves and times of runs as pictures: what is drawn, and how, in a file or in the terminal."""

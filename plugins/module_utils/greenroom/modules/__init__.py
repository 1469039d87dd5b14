# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Modules that hosts have compiled: a file for each with its call, and the program that carries calls out."""

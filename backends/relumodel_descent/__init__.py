"""Descent on the neurons of polynomial networks, with the exact certificate of their semidefinite program."""

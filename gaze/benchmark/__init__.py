"""How fast are we, against the published way of doing the same, in one run on one machine?"""

"""Statistics of a profile run: distributions, frontiers, sensitivities and findings.

Every statistic is computed on `draws`: arrays whose row 0 is the measured sample and whose other
rows are its bootstrap resamples. One formula gives the number and its interval at once.
"""

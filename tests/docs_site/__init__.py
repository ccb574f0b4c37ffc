"""The pages that lead by the hand, followed; the reference, compared with the code; the site, built and looked at."""

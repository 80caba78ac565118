"""The pure core: models, matching, acceptances and the one function that judges. Standard library only."""

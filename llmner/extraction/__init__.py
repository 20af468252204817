"""The extraction job: documents in, an entity data set out."""

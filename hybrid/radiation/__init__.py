"""The radiation story: RFMIP columns learned, exported, predicted in three languages, and reported."""

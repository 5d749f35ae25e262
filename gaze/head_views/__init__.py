"""Views of heads with masks, cameras and codes, in HDF5 files of one person each: the layout of ETH-XGaze renders."""

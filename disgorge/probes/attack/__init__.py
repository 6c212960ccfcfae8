"""Three membership attacks, how well each tells removed from held-out items, and where never-trained models lie."""

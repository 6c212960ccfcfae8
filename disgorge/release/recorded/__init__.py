"""Components and releases that were recorded by hand: what makes them again, what they reach, what is made of them."""

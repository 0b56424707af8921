"""What every page of ours is made of: HTML as text, the frame of a plot, one style sheet, light and dark."""

"""What a folder holds that a network was exported into; nothing here needs nascli."""

"""What guests used over a day, a week, two weeks: who uses most, and whose size does not fit."""

"""The first page: answer, numbers, figure, and one row for each question."""

HEADING = "Answers"
POSITION = 10
